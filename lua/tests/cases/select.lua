-- select { ... }: the first of several that can go on.
local channel, future, semaphore = require "channel", require "future", require "semaphore"
local time = require "time"

return {
  ["select receives from the channel that has something"] = function(t)
    local a, b = channel.new(1), channel.new(1)
    b:send "from b"
    t.list({ select { a, b } }, { 2, "from b" })
    t.equal(b:len(), 0)
  end,

  ["of several that can go on the first in the list wins, and only that one is done"] = function(t)
    local a, b = channel.new(1), channel.new(1)
    a:send "a"
    b:send "b"
    t.list({ select { b, a } }, { 1, "b" })
    t.equal(a:len(), 1)
    t.list({ select { b, a } }, { 2, "a" })
  end,

  ["select waits for the first that comes"] = function(t)
    local a, b, watch = channel.new(), channel.new(), t.stopwatch()
    local sender = spawn(function()
      time.sleep(0.02)
      b:send "late"
    end)
    t.list({ select { a, b } }, { 2, "late" })
    watch.took(0.02)
    sender:join()
    t.equal(a:try_send "x", false, "nobody waits there any more")
    t.equal(b:try_send "x", false, "nobody waits there any more")
  end,

  ["select sends where there is room"] = function(t)
    local full, room = channel.new(1), channel.new(1)
    full:send "x"
    t.list({ select { { full, "send", "a" }, { room, "send", "b" } } }, { 2, true })
    t.equal(room:recv(), "b")
    t.equal(full:recv(), "x")
    t.equal(full:try_recv(), nil)
  end,

  ["select sends to a receiver that comes later"] = function(t)
    local a, b = channel.new(), channel.new()
    local fiber = t.waiting(function() return select { { a, "send", 1 }, { b, "send", 2 } } end)
    t.equal(b:recv(), 2)
    t.list({ fiber:join() }, { 2, true })
    t.equal(a:try_recv(), nil, "the other value is not sent")
  end,

  ["two selects meet: one sends, one receives"] = function(t)
    local c, other = channel.new(), channel.new()
    local receiver = t.waiting(function() return select { other, c } end)
    local sender = t.waiting(function() return select { { c, "send", "met" }, other } end)
    t.list({ receiver:join() }, { 2, "met" })
    t.list({ sender:join() }, { 1, true })
  end,

  ["a select does not meet itself"] = function(t)
    local c = channel.new()
    local watch = t.stopwatch()
    t.timed_out(select { c, { c, "send", "me" }, timeout = 0.02 })
    watch.took(0.02)
  end,

  ["a closed channel can go on: received is nil and closed"] = function(t)
    local open, shut = channel.new(), channel.new()
    shut:close()
    local index, value, err = select { open, shut }
    t.equal(index, 2)
    t.gave_up("closed", "channel", value, err)
    index, value, err = select { { shut, "send", "x" } }
    t.equal(index, 1)
    t.gave_up("closed", "channel", value, err)
  end,

  ["a close wakes a select"] = function(t)
    local a, b = channel.new(), channel.new()
    local fiber = t.waiting(function() return select { a, b } end)
    b:close()
    local index, value, err = fiber:join()
    t.equal(index, 2)
    t.gave_up("closed", "channel", value, err)
    local sender = t.waiting(function() return select { { a, "send", 1 } } end)
    a:close()
    index, value, err = sender:join()
    t.equal(index, 1)
    t.gave_up("closed", "channel", value, err)
  end,

  ["a future that is set can go on, and keeps its value"] = function(t)
    local promise, result = future.new()
    local c = channel.new()
    local fiber = t.waiting(function() return select { c, result } end)
    promise:set_value("value", 2)
    t.list({ fiber:join() }, { 2, true })
    t.list({ result:get() }, { "value", 2 })
    t.list({ select { result, c } }, { 1, true })
  end,

  ["a future that failed can go on, select does not raise its error"] = function(t)
    local promise, result = future.new()
    promise:set_error "failed"
    t.list({ select { result } }, { 1, true })
    t.raises("failed", result.get, result)
  end,

  ["a fiber that ends can go on, and stays joinable"] = function(t)
    local worker = spawn(function()
      time.sleep(0.01)
      return "result"
    end)
    t.list({ select { channel.new(), worker } }, { 2, true })
    t.equal(worker.joinable, true)
    t.list({ select { worker } }, { 1, true })
    t.equal(worker:join(), "result")
  end,

  ["a fiber that fails can go on, its error is joined"] = function(t)
    local worker = spawn(function() error("worker failed", 0) end)
    t.list({ select { worker } }, { 1, true })
    t.raises("worker failed", worker.join, worker)
  end,

  ["the first of three workers"] = function(t)
    local workers = {}
    for i, ms in ipairs { 30, 10, 20 } do workers[i] = spawn(function() time.sleep(ms / 1000) end) end
    t.equal((select(workers)), 2)
    for i = 1, 3 do workers[i]:join() end
  end,

  ["a semaphore gives a unit, and only if it is chosen"] = function(t)
    local s, c = semaphore.new(1), channel.new(1)
    c:send "x"
    t.list({ select { c, s } }, { 1, "x" })
    t.equal(s:count(), 1)
    t.list({ select { c, s } }, { 2, true })
    t.equal(s:count(), 0)
    local fiber = t.waiting(function() return select { c, s } end)
    s:release()
    t.list({ fiber:join() }, { 2, true })
    t.equal(s:count(), 0)
  end,

  ["a steady_timer that runs out can go on"] = function(t)
    local timer, watch = time.steady_timer.new(), t.stopwatch()
    timer:expires_after(20)
    t.list({ select { channel.new(), timer } }, { 2, true })
    watch.took(0.02)
    t.list({ select { timer } }, { 1, true })
  end,

  ["a steady_timer that is cancelled can go on with an error"] = function(t)
    local timer = time.steady_timer.new()
    timer:expires_after(1000)
    local fiber = t.waiting(function() return select { timer } end)
    t.equal(timer:cancel(), 1)
    local index, value, err = fiber:join()
    t.equal(index, 1)
    t.gave_up("cancelled", "timer", value, err)
  end,

  ["select gives up at its timeout and leaves nothing behind"] = function(t)
    local c, s, watch = channel.new(), semaphore.new(0), t.stopwatch()
    t.timed_out(select { c, s, { channel.new(), "send", 1 }, timeout = 0.02 })
    watch.took(0.02)
    t.equal(c:try_send "x", false)
    s:release()
    t.equal(s:count(), 1)
  end,

  ["a timeout of nothing only looks"] = function(t)
    local c = channel.new(1)
    t.timed_out(select { c, timeout = 0 })
    c:send "x"
    t.list({ select { c, timeout = 0 } }, { 1, "x" })
  end,

  ["a timeout alone is a sleep"] = function(t)
    local watch = t.stopwatch()
    t.timed_out(select { timeout = 0.02 })
    watch.took(0.02)
  end,

  ["what comes before the timeout wins, and the timeout is gone"] = function(t)
    local c = channel.new()
    local sender = spawn(function()
      time.sleep(0.01)
      c:send "in time"
    end)
    t.list({ select { c, timeout = 0.03 } }, { 1, "in time" })
    sender:join()
    t.timed_out(c:recv_for(0.05))
  end,

  ["an empty list without a timeout is a mistake"] = function(t)
    t.raises("select: ", function() select {} end)
  end,

  ["what cannot be selected is named by its index"] = function(t)
    local c = channel.new()
    for _, wrong in ipairs { 42, "channel", {}, { c, "receive" }, { 1, "send", 2 }, print, { c, "send" } } do
      t.has(t.raises("select: ", function() select { c, wrong } end), "2")
    end
    t.raises("select: ", function() select { c, timeout = "soon" } end)
    t.raises("select: ", function() select { c, timeout = -1 } end)
    t.equal(c:try_send "x", false, "nothing is registered")
  end,

  ["an interrupted select leaves nothing behind"] = function(t)
    local a, b, s = channel.new(), channel.new(), semaphore.new(0)
    local fiber = t.waiting(function() select { a, { b, "send", 1 }, s } end)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
    t.equal(a:try_send "x", false)
    t.equal(b:try_recv(), nil)
    s:release()
    t.equal(s:count(), 1)
  end,

  ["a select with a timeout of nothing is an interruption point"] = function(t)
    local c = channel.new(1)
    c:send "kept"
    local fiber
    fiber = spawn(function()
      fiber:interrupt()
      select { c, timeout = 0 }
    end)
    fiber:join()
    t.equal(fiber.interruption_caught, true)
    t.equal(c:len(), 1)
  end,

  ["selects and plain receivers are served in the order of waiting"] = function(t)
    local c, log, fibers = channel.new(), t.order(), {}
    for i = 1, 4 do
      fibers[i] = spawn(function()
        if i % 2 == 0 then c:recv() else select { channel.new(), c } end
        log(i)
      end)
    end
    this_fiber.yield()
    for i = 1, 4 do c:send(i) end
    for i = 1, 4 do fibers[i]:join() end
    log:is "1 2 3 4"
  end,

  ["one channel twice in a list is received from once"] = function(t)
    local c = channel.new()
    local fiber = t.waiting(function() return select { c, c } end)
    t.equal(c:send "once", true)
    t.list({ fiber:join() }, { 1, "once" })
    t.equal(c:try_send "twice", false)
  end,

  ["a thousand selects on one pair of channels leave nothing behind"] = function(t)
    local a, b = channel.new(), channel.new()
    local consumer = spawn(function()
      local sum = 0
      for _ = 1, 1000 do sum = sum + (select(2, select { a, b })) end
      return sum
    end)
    for i = 1, 500 do
      b:send(i)
      a:send(i)
    end
    t.equal(consumer:join(), 250500)
    t.equal(a:try_send(1), false)
    t.equal(b:try_send(1), false)
  end,
}
