-- require "channel".
local channel, time = require "channel", require "time"

local function closed(t, ...) t.gave_up("closed", "channel", ...) end

return {
  ["a channel without room hands over from sender to receiver"] = function(t)
    local c, log = channel.new(), t.order()
    local sender = spawn(function()
      t.equal(c:send "value", true)
      log "sent"
    end)
    this_fiber.yield()
    log "before"
    t.equal(c:recv(), "value")
    log "received"
    sender:join()
    log:is "before received sent"
  end,

  ["a receiver waits for a sender"] = function(t)
    local c, watch = channel.new(), t.stopwatch()
    local sender = spawn(function()
      time.sleep(0.02)
      c:send "late"
    end)
    t.equal(c:recv(), "late")
    watch.took(0.02)
    sender:join()
  end,

  ["a sender does not wait while there is room"] = function(t)
    local c, log = channel.new(2), t.order()
    local sender = spawn(function()
      for i = 1, 3 do
        c:send(i)
        log("sent" .. i)
      end
    end)
    this_fiber.yield()
    log:is "sent1 sent2"
    t.equal(c:recv(), 1)
    sender:join()
    t.equal(c:recv(), 2)
    t.equal(c:recv(), 3)
    log:is "sent1 sent2 sent3"
  end,

  ["values come out in the order in which they went in"] = function(t)
    for _, capacity in ipairs { 0, 1, 7, 1000 } do
      local c = channel.new(capacity)
      local sender = spawn(function()
        for i = 1, 100 do c:send(i) end
      end)
      for i = 1, 100 do t.equal(c:recv(), i) end
      sender:join()
    end
  end,

  ["waiting senders are served in the order of waiting"] = function(t)
    local c, fibers = channel.new(), {}
    for i = 1, 5 do fibers[i] = t.waiting(function() c:send(i) end) end
    for i = 1, 5 do t.equal(c:recv(), i) end
    for i = 1, 5 do fibers[i]:join() end
  end,

  ["waiting receivers are served in the order of waiting"] = function(t)
    local c, fibers = channel.new(), {}
    for i = 1, 5 do fibers[i] = t.waiting(function() return c:recv() end) end
    for i = 1, 5 do c:send(i) end
    for i = 1, 5 do t.equal(fibers[i]:join(), i) end
  end,

  ["a sender that waits comes after what is in the buffer"] = function(t)
    local c = channel.new(2)
    local fibers = {}
    for i = 1, 5 do fibers[i] = t.waiting(function() c:send(i) end) end
    for i = 1, 5 do t.equal(c:recv(), i) end
    for i = 1, 5 do fibers[i]:join() end
    t.equal(c:len(), 0)
  end,

  ["false can be sent, nil cannot"] = function(t)
    local c = channel.new(1)
    t.equal(c:send(false), true)
    t.equal(c:recv(), false)
    t.has(t.raises("nil", function() c:send(nil) end), "channel:send")
    t.has(t.raises("nil", function() c:try_send(nil) end), "channel:try_send")
    t.has(t.raises("nil", function() c:send_for(nil, 1) end), "channel:send_for")
  end,

  ["any value goes through as it is"] = function(t)
    local c = channel.new(4)
    local object = {}
    for _, value in ipairs { object, print, coroutine.create(print), 0 / 1 } do
      c:send(value)
      t.ok(rawequal(c:recv(), value))
    end
  end,

  ["capacity, length and being closed can be asked"] = function(t)
    local c = channel.new(3)
    t.equal(c:capacity(), 3)
    t.equal(c:len(), 0)
    c:send "a"
    c:send "b"
    t.equal(c:len(), 2)
    t.equal(c:is_closed(), false)
    c:close()
    t.equal(c:is_closed(), true)
    t.equal(c:len(), 2)
    t.equal(channel.new():capacity(), 0)
  end,

  ["a capacity that is no whole number from 0 on is a mistake"] = function(t)
    for _, wrong in ipairs { -1, 1.5, "x", {}, 0 / 0, math.huge } do
      t.raises("channel.new: ", function() channel.new(wrong) end)
    end
  end,

  ["recv after close gives what is buffered, then the end"] = function(t)
    local c = channel.new(2)
    c:send "a"
    c:send "b"
    c:close()
    t.equal(c:recv(), "a")
    t.equal(c:recv(), "b")
    closed(t, c:recv())
    closed(t, c:recv())
  end,

  ["send after close gives the end"] = function(t)
    local c = channel.new(2)
    c:close()
    closed(t, c:send "x")
    closed(t, c:send_for("x", 1))
    closed(t, c:try_send "x")
    t.equal(c:len(), 0)
  end,

  ["close wakes waiting receivers"] = function(t)
    local c, fibers = channel.new(), {}
    for i = 1, 3 do fibers[i] = t.waiting(function() return c:recv() end) end
    c:close()
    for i = 1, 3 do closed(t, fibers[i]:join()) end
  end,

  ["close wakes waiting senders, their values are not received"] = function(t)
    local c, fibers = channel.new(), {}
    for i = 1, 3 do fibers[i] = t.waiting(function() return c:send(i) end) end
    c:close()
    for i = 1, 3 do closed(t, fibers[i]:join()) end
    closed(t, c:recv())
  end,

  ["close keeps the buffer of a full channel and turns its waiting senders away"] = function(t)
    local c = channel.new(1)
    c:send "buffered"
    local sender = t.waiting(function() return c:send "turned away" end)
    c:close()
    closed(t, sender:join())
    t.equal(c:recv(), "buffered")
    closed(t, c:recv())
  end,

  ["close twice is a mistake"] = function(t)
    local c = channel.new()
    c:close()
    t.raises("channel:close: ", function() c:close() end)
  end,

  ["try_send sends only if it need not wait"] = function(t)
    local c = channel.new(1)
    t.equal(c:try_send "a", true)
    t.equal(c:try_send "b", false)
    t.equal(c:recv(), "a")
    local none = channel.new()
    t.equal(none:try_send "x", false)
    local receiver = t.waiting(function() return none:recv() end)
    t.equal(none:try_send "y", true)
    t.equal(receiver:join(), "y")
  end,

  ["try_recv receives only if it need not wait"] = function(t)
    local c = channel.new(1)
    t.equal(c:try_recv(), nil)
    t.equal(select(2, c:try_recv()), nil, "empty is no error")
    c:send "a"
    t.equal(c:try_recv(), "a")
    local none = channel.new()
    local sender = t.waiting(function() none:send "from a waiter" end)
    t.equal(none:try_recv(), "from a waiter")
    sender:join()
    none:close()
    closed(t, none:try_recv())
  end,

  ["recv_for gives up at its limit"] = function(t)
    local c, watch = channel.new(), t.stopwatch()
    t.timed_out(c:recv_for(0.02))
    watch.took(0.02)
    t.equal(c:try_send "x", false, "nobody waits any more")
  end,

  ["recv_for gives what comes in time"] = function(t)
    local c, watch = channel.new(), t.stopwatch()
    local sender = spawn(function()
      time.sleep(0.02)
      c:send "in time"
    end)
    t.equal(c:recv_for(1), "in time")
    watch.took(0.02)
    sender:join()
  end,

  ["send_for gives up at its limit, and its value is gone"] = function(t)
    local c, watch = channel.new(), t.stopwatch()
    t.timed_out(c:send_for("x", 0.02))
    watch.took(0.02)
    t.equal(c:try_recv(), nil)
    local full = channel.new(1)
    full:send "a"
    t.timed_out(full:send_for("b", 0.01))
    t.equal(full:recv(), "a")
    t.equal(full:try_recv(), nil)
  end,

  ["send_for gives true when it is received in time"] = function(t)
    local c = channel.new()
    local sender = t.waiting(function() return c:send_for("x", 1) end)
    t.equal(c:recv(), "x")
    t.equal(sender:join(), true)
  end,

  ["limits of nothing try only"] = function(t)
    local c = channel.new(1)
    t.timed_out(c:recv_for(0))
    t.equal(c:send_for("a", 0), true)
    t.timed_out(c:send_for("b", 0))
    t.equal(c:recv_for(0), "a")
  end,

  ["an interrupted receiver takes nothing: the next one gets it"] = function(t)
    local c = channel.new()
    local first = t.waiting(function() c:recv() end)
    local second = t.waiting(function() return c:recv() end)
    first:interrupt()
    t.equal(c:send "value", true)
    t.equal(second:join(), "value")
    first:join()
    t.equal(first.interruption_caught, true)
  end,

  ["an interrupted sender sends nothing: the next one's value comes"] = function(t)
    local c = channel.new()
    local first = t.waiting(function() c:send "first" end)
    local second = t.waiting(function() c:send "second" end)
    first:interrupt()
    t.equal(c:recv(), "second")
    first:join()
    second:join()
  end,

  ["a value that is handed over is received in spite of an interruption, never lost"] = function(t)
    local c, got = channel.new(), nil
    local receiver = t.waiting(function() got = c:recv() end)
    t.equal(c:send "value", true)
    receiver:interrupt()
    receiver:join()
    t.equal(got, "value")
    t.equal(receiver.interruption_caught, false)
  end,

  ["a receiver that gave up leaves the value to the next one"] = function(t)
    local c = channel.new()
    local impatient = t.waiting(function() t.timed_out(c:recv_for(0.01)) end)
    local patient = t.waiting(function() return c:recv() end)
    impatient:join()
    c:send "value"
    t.equal(patient:join(), "value")
  end,

  ["iter gives all until the channel is closed"] = function(t)
    local c = channel.new(2)
    local sender = spawn(function()
      for i = 1, 5 do c:send(i) end
      c:close()
    end)
    local sum = 0
    for value in c:iter() do sum = sum * 10 + value end
    t.equal(sum, 12345)
    sender:join()
  end,

  ["iter goes on after false"] = function(t)
    local c = channel.new(3)
    c:send "a"
    c:send(false)
    c:send "b"
    c:close()
    local log = t.order()
    for value in c:iter() do log(value) end
    log:is "a false b"
  end,

  ["many senders and receivers hand on every value once"] = function(t)
    for _, capacity in ipairs { 0, 3 } do
      local c, fibers, seen = channel.new(capacity), {}, {}
      local senders = 5
      for s = 1, 5 do
        fibers[#fibers + 1] = spawn(function()
          for i = 1, 20 do
            c:send(s * 100 + i)
            if i % s == 0 then this_fiber.yield() end
          end
          senders = senders - 1
          if senders == 0 then c:close() end
        end)
      end
      for _ = 1, 3 do
        fibers[#fibers + 1] = spawn(function()
          for value in c:iter() do
            t.equal(seen[value], nil)
            seen[value] = true
          end
        end)
      end
      for _, fiber in ipairs(fibers) do fiber:join() end
      local count = 0
      for _ in pairs(seen) do count = count + 1 end
      t.equal(count, 100)
    end
  end,

  ["a fiber that sends to itself through a buffer need not wait"] = function(t)
    local c = channel.new(1)
    for i = 1, 100 do
      c:send(i)
      t.equal(c:recv(), i)
    end
  end,

  ["a pipeline of a hundred fibers passes a value on"] = function(t)
    local first = channel.new()
    local last, fibers = first, {}
    for i = 1, 100 do
      local from, to = last, channel.new()
      fibers[i] = spawn(function() to:send(from:recv() + 1) end)
      last = to
    end
    first:send(0)
    t.equal(last:recv(), 100)
    for i = 1, 100 do fibers[i]:join() end
  end,
}
