-- require "semaphore".
local semaphore, time = require "semaphore", require "time"

return {
  ["acquire takes units until there are none, then waits"] = function(t)
    local s, log = semaphore.new(2), t.order()
    t.equal(s:acquire(), true)
    t.equal(s:acquire(), true)
    t.equal(s:count(), 0)
    local waiter = t.waiting(function()
      s:acquire()
      log "got"
    end)
    log "before"
    s:release()
    waiter:join()
    log:is "before got"
    t.equal(s:count(), 0)
  end,

  ["waiters are served in the order of waiting"] = function(t)
    local s, log, fibers = semaphore.new(0), t.order(), {}
    for i = 1, 5 do
      fibers[i] = spawn(function()
        s:acquire()
        log(i)
      end)
    end
    this_fiber.yield()
    for _ = 1, 5 do s:release() end
    for i = 1, 5 do fibers[i]:join() end
    log:is "1 2 3 4 5"
  end,

  ["release of several wakes several"] = function(t)
    local s, log, fibers = semaphore.new(0), t.order(), {}
    for i = 1, 3 do
      fibers[i] = spawn(function()
        s:acquire()
        log(i)
      end)
    end
    this_fiber.yield()
    s:release(2)
    fibers[1]:join()
    fibers[2]:join()
    this_fiber.yield()
    log:is "1 2"
    s:release(5)
    fibers[3]:join()
    t.equal(s:count(), 4)
  end,

  ["who comes later does not barge in"] = function(t)
    local s, log = semaphore.new(0), t.order()
    local waiter = t.waiting(function()
      s:acquire()
      log "waiter"
      s:release()
    end)
    s:release()
    t.equal(s:try_acquire(), false, "the unit is the waiter's")
    s:acquire()
    log "me"
    waiter:join()
    log:is "waiter me"
  end,

  ["try_acquire takes only what is there"] = function(t)
    local s = semaphore.new(1)
    t.equal(s:try_acquire(), true)
    t.equal(s:try_acquire(), false)
    t.equal(s:count(), 0)
  end,

  ["acquire_for gives up at its limit and leaves the unit to others"] = function(t)
    local s, watch = semaphore.new(0), t.stopwatch()
    t.timed_out(s:acquire_for(0.02))
    watch.took(0.02)
    s:release()
    t.equal(s:count(), 1)
    t.equal(s:acquire_for(0.02), true)
  end,

  ["acquire_for gets a unit that comes in time"] = function(t)
    local s, watch = semaphore.new(0), t.stopwatch()
    local releaser = spawn(function()
      time.sleep(0.02)
      s:release()
    end)
    t.equal(s:acquire_for(1), true)
    watch.took(0.02)
    releaser:join()
  end,

  ["an interrupted waiter takes no unit, the next one does"] = function(t)
    local s = semaphore.new(0)
    local first = t.waiting(function() s:acquire() end)
    local second = t.waiting(function()
      s:acquire()
      return "second"
    end)
    first:interrupt()
    s:release()
    t.equal(second:join(), "second")
    first:join()
    t.equal(s:count(), 0)
  end,

  ["any fiber may release, more than was there at first"] = function(t)
    local s = semaphore.new(0)
    spawn(function() s:release(3) end):join()
    t.equal(s:count(), 3)
    s:release()
    t.equal(s:count(), 4)
  end,

  ["at most n fibers are inside at a time"] = function(t)
    local s, inside, most, fibers = semaphore.new(3), 0, 0, {}
    for i = 1, 20 do
      fibers[i] = spawn(function()
        s:acquire()
        inside = inside + 1
        most = math.max(most, inside)
        time.sleep(0.01)
        inside = inside - 1
        s:release()
      end)
    end
    for i = 1, 20 do fibers[i]:join() end
    t.equal(most, 3)
    t.equal(s:count(), 3)
  end,

  ["wrong counts are mistakes"] = function(t)
    for _, wrong in ipairs { -1, 1.5, "x", {}, 0 / 0 } do
      t.raises("semaphore.new: ", function() semaphore.new(wrong) end)
    end
    t.raises("semaphore.new: ", function() semaphore.new() end)
    local s = semaphore.new(0)
    for _, wrong in ipairs { -1, 1.5, "x", {}, 0 / 0 } do
      t.raises("semaphore:release: ", function() s:release(wrong) end)
    end
    t.equal(s:count(), 0)
  end,
}
