-- with_timeout(seconds, f, ...).
local channel, mutex, time = require "channel", require "mutex", require "time"

return {
  ["a function in time gives its results, nils too"] = function(t)
    t.list(t.pack(with_timeout(1, function(...)
      time.sleep(0.01)
      return ...
    end, 1, nil, "x", nil)), { n = 4, 1, nil, "x", nil })
  end,

  ["a function that never waits is not stopped"] = function(t)
    t.equal(with_timeout(0, function() return "done" end), "done")
    t.equal(with_timeout(0.01, function()
      local sum = 0
      for i = 1, 1000 do sum = sum + i end
      return sum
    end), 500500)
  end,

  ["a wait beyond the limit is given up"] = function(t)
    local watch, went_on = t.stopwatch(), nil
    t.timed_out(with_timeout(0.02, function()
      time.sleep(10)
      went_on = true
    end))
    watch.took(0.02)
    t.equal(went_on, nil)
  end,

  ["every kind of wait is given up"] = function(t)
    local held, c = mutex.new(), channel.new()
    held:lock()
    local _, result = require("future").new()
    local lasting = spawn(function() time.sleep(1) end)
    local waits = {
      function() c:recv() end,
      function() c:send(1) end,
      function() result:get() end,
      function() lasting:join() end,
      function() require("semaphore").new(0):acquire() end,
      function() require("barrier").new(2):wait() end,
      function() select { c } end,
      function() c:recv_for(5) end,
      function()
        while true do this_fiber.yield() end
      end,
    }
    for _, wait in ipairs(waits) do
      if not t.virtual or wait ~= waits[#waits] then t.timed_out(with_timeout(0.01, wait)) end
    end
    spawn(function() t.timed_out(with_timeout(0.01, held.lock, held)) end):join()
    held:unlock()
    t.equal(held:try_lock(), true)
    held:unlock()
    t.equal(c:try_send "x", false)
    t.equal(c:try_recv(), nil)
    t.equal(lasting.joinable, true)
    lasting:interrupt()
    lasting:join()
  end,

  ["cleanup handlers inside run, once, and may wait"] = function(t)
    local log, watch = t.order(), t.stopwatch()
    t.timed_out(with_timeout(0.02, function()
      scope(function()
        scope_cleanup_push(function()
          time.sleep(0.02)
          log "cleanup"
        end)
        time.sleep(10)
      end)
    end))
    log "after"
    log:is "cleanup after"
    watch.took(0.04)
  end,

  ["waits after the limit fail too, until with_timeout ends"] = function(t)
    local log = t.order()
    t.timed_out(with_timeout(0.02, function()
      pcall(time.sleep, 10)
      log "first"
      time.sleep(0)
      log "not here"
    end))
    time.sleep(0.01)
    log "free again"
    log:is "first free again"
  end,

  ["a function that notices its limit and returns gives its results"] = function(t)
    t.equal(with_timeout(0.02, function()
      pcall(time.sleep, 10)
      return "in the end"
    end), "in the end")
  end,

  ["errors pass through unchanged"] = function(t)
    local value = {}
    local ok, err = pcall(with_timeout, 1, function()
      time.sleep(0.01)
      error(value)
    end)
    t.equal(ok, false)
    t.ok(rawequal(err, value), "the same table")
  end,

  ["an error after the limit passes through"] = function(t)
    t.raises("after the limit", with_timeout, 0.01, function()
      pcall(time.sleep, 10)
      error "after the limit"
    end)
  end,

  ["the inner limit ends the inner only"] = function(t)
    local watch = t.stopwatch()
    t.equal(with_timeout(1, function()
      t.timed_out(with_timeout(0.02, time.sleep, 10))
      time.sleep(0.01)
      return "outer goes on"
    end), "outer goes on")
    watch.took(0.03)
  end,

  ["the outer limit ends both"] = function(t)
    local watch, went_on = t.stopwatch(), nil
    t.timed_out(with_timeout(0.02, function()
      with_timeout(1, time.sleep, 10)
      went_on = true
    end))
    watch.took(0.02)
    t.equal(went_on, nil, "the outer one's function did not go on")
  end,

  ["the outer limit comes while the inner one's cleanup waits"] = function(t)
    local log = t.order()
    t.timed_out(with_timeout(0.02, function()
      with_timeout(0.01, function()
        scope(function()
          scope_cleanup_push(function()
            time.sleep(0.03)
            log "inner"
          end)
          time.sleep(10)
        end)
      end)
      log "between"
      time.sleep(0.01)
      log "not here"
    end))
    log:is "inner between"
  end,

  ["a real interruption wins over a limit"] = function(t)
    local answered
    local fiber = t.waiting(function()
      with_timeout(1, time.sleep, 10)
      answered = true
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(answered, nil)
    t.equal(fiber.interruption_caught, true)
  end,

  ["an interruption after the limit is raised at the next point"] = function(t)
    local log = t.order()
    local fiber
    fiber = spawn(function()
      t.timed_out(with_timeout(0.01, time.sleep, 10))
      log "timed out"
      fiber:interrupt()
      this_fiber.yield()
      log "not here"
    end)
    fiber:join()
    log:is "timed out"
    t.equal(fiber.interruption_caught, true)
  end,

  ["the limit is gone when the function ends"] = function(t)
    local watch = t.stopwatch()
    t.equal(with_timeout(0.02, function() return 1 end), 1)
    time.sleep(0.05)
    watch.took(0.05)
  end,

  ["the limit is gone when the function fails"] = function(t)
    local watch = t.stopwatch()
    t.raises("x", with_timeout, 0.02, function() error "x" end)
    time.sleep(0.05)
    watch.took(0.05)
  end,

  ["a fiber that is spawned inside has no limit"] = function(t)
    local child
    with_timeout(0.01, function()
      child = spawn(function()
        time.sleep(0.03)
        return "unlimited"
      end)
      time.sleep(10)
    end)
    t.equal(child:join(), "unlimited")
  end,

  ["a lock that is got in time is kept"] = function(t)
    local m = mutex.new()
    with_timeout(0.02, m.lock, m)
    t.equal(m:try_lock(), false)
    m:unlock()
  end,

  ["a receive that times out takes nothing"] = function(t)
    local c = channel.new()
    t.timed_out(with_timeout(0.01, c.recv, c))
    local receiver = t.waiting(function() return c:recv() end)
    c:send "kept"
    t.equal(receiver:join(), "kept")
  end,

  ["a limit inside a coroutine"] = function(t)
    local co = coroutine.wrap(function()
      t.timed_out(with_timeout(0.01, time.sleep, 10))
      coroutine.yield "alive"
      return "end"
    end)
    t.equal(co(), "alive")
    t.equal(co(), "end")
  end,

  ["a wait in a coroutine inside is given up"] = function(t)
    local watch = t.stopwatch()
    t.timed_out(with_timeout(0.02, function() coroutine.wrap(function() time.sleep(10) end)() end))
    watch.took(0.02)
  end,

  ["a condition variable's mutex is held again after the limit"] = function(t)
    local cv, m = require("condition_variable").new(), mutex.new()
    m:lock()
    t.timed_out(with_timeout(0.01, cv.wait, cv, m))
    t.raises("holds the mutex already", function() m:lock() end)
    m:unlock()
  end,

  ["the limit's error cannot be mistaken for an interruption"] = function(t)
    local seen
    with_timeout(0.01, function()
      local _, err = pcall(time.sleep, 10)
      seen = err
    end)
    t.ok(seen ~= nil, "something was raised")
    local fiber = spawn(function() with_timeout(0.01, time.sleep, 10) end)
    fiber:join()
    t.equal(fiber.interruption_caught, false)
  end,

  ["a thousand limits that are not reached leave nothing behind"] = function(t)
    for i = 1, 1000 do t.equal(with_timeout(10, function() return i end), i) end
  end,

  ["wrong arguments are mistakes"] = function(t)
    for _, wrong in ipairs { "soon", {}, -1, 0 / 0 } do
      t.raises("with_timeout: ", function() with_timeout(wrong, print) end)
    end
    t.raises("with_timeout: ", function() with_timeout(1, 42) end)
    t.raises("with_timeout: ", function() with_timeout(1) end)
  end,
}
