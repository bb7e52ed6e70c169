-- require "mutex".
local mutex, time = require "mutex", require "time"

-- A fiber that locks m, logs its name and unlocks.
local function locker(m, log, name)
  return spawn(function()
    m:lock()
    log(name)
    m:unlock()
  end)
end

return {
  ["a locked mutex keeps others out until it is unlocked"] = function(t)
    local m, log = mutex.new(), t.order()
    local fiber = spawn(function()
      m:lock()
      log "in"
      time.sleep(0.02)
      log "out"
      m:unlock()
    end)
    this_fiber.yield()
    m:lock()
    log "me"
    m:unlock()
    fiber:join()
    log:is "in out me"
  end,

  ["a mutex is handed over in the order of asking"] = function(t)
    local m, log = mutex.new(), t.order()
    m:lock()
    local fibers = {}
    for i = 1, 5 do fibers[i] = locker(m, log, i) end
    this_fiber.yield()
    m:unlock()
    for i = 1, 5 do fibers[i]:join() end
    log:is "1 2 3 4 5"
  end,

  ["unlock hands over: who comes later does not barge in"] = function(t)
    local m, log = mutex.new(), t.order()
    m:lock()
    local waiter = locker(m, log, "waiter")
    this_fiber.yield()
    m:unlock()
    t.equal(m:try_lock(), false, "it is the waiter's already")
    m:lock()
    log "me"
    m:unlock()
    waiter:join()
    log:is "waiter me"
  end,

  ["unlock does not wait"] = function(t)
    local m, log = mutex.new(), t.order()
    m:lock()
    local waiter = locker(m, log, "waiter")
    this_fiber.yield()
    m:unlock()
    log "unlocked"
    waiter:join()
    log:is "unlocked waiter"
  end,

  ["try_lock says whether it was free"] = function(t)
    local m = mutex.new()
    t.equal(m:try_lock(), true)
    local other = spawn(function() return m:try_lock() end)
    t.equal(other:join(), false)
    m:unlock()
    other = spawn(function()
      local got = m:try_lock()
      m:unlock()
      return got
    end)
    t.equal(other:join(), true)
  end,

  ["try_lock by the holder says false"] = function(t)
    local m = mutex.new()
    m:lock()
    t.equal(m:try_lock(), false)
    m:unlock()
  end,

  ["try_lock works where waiting is forbidden"] = function(t)
    local m = mutex.new()
    this_fiber.forbid_suspend()
    local got = m:try_lock()
    m:unlock()
    this_fiber.allow_suspend()
    t.equal(got, true)
  end,

  ["lock by the holder is a mistake"] = function(t)
    local m = mutex.new()
    m:lock()
    t.raises("mutex:lock: this fiber holds the mutex already", function() m:lock() end)
    m:unlock()
    t.equal(m:try_lock(), true, "it is free after one unlock")
    m:unlock()
  end,

  ["lock by the holder inside a coroutine of its own is a mistake too"] = function(t)
    local m = mutex.new()
    m:lock()
    coroutine.wrap(function()
      t.raises("mutex:lock: this fiber holds the mutex already", function() m:lock() end)
      m:unlock()
    end)()
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["unlock of what is not locked is a mistake"] = function(t)
    local m = mutex.new()
    t.raises("mutex:unlock: the mutex is not locked", function() m:unlock() end)
    m:lock()
    m:unlock()
    t.raises("mutex:unlock: the mutex is not locked", function() m:unlock() end)
  end,

  ["unlock by another fiber is a mistake"] = function(t)
    local m = mutex.new()
    m:lock()
    local other = spawn(function()
      t.raises("mutex:unlock: another fiber holds the mutex", function() m:unlock() end)
    end)
    other:join()
    m:unlock()
  end,

  ["lock_for gives up at its limit"] = function(t)
    local m, watch = mutex.new(), t.stopwatch()
    local holder = t.waiting(function()
      m:lock()
      time.sleep(0.06)
      m:unlock()
    end)
    t.timed_out(m:lock_for(0.02))
    watch.took(0.02)
    holder:join()
    t.equal(m:lock_for(0.02), true)
    m:unlock()
  end,

  ["lock_for gets the mutex when it comes free in time"] = function(t)
    local m, watch = mutex.new(), t.stopwatch()
    local holder = t.waiting(function()
      m:lock()
      time.sleep(0.02)
      m:unlock()
    end)
    t.equal(m:lock_for(1), true)
    watch.took(0.02)
    m:unlock()
    holder:join()
    time.sleep(0.01)
  end,

  ["lock_for of nothing tries"] = function(t)
    local m = mutex.new()
    m:lock()
    local other = spawn(function() t.timed_out(m:lock_for(0)) end)
    other:join()
    m:unlock()
    t.equal(m:lock_for(0), true)
    m:unlock()
  end,

  ["who gave up is not handed the mutex"] = function(t)
    local m, log = mutex.new(), t.order()
    m:lock()
    local impatient = spawn(function()
      t.timed_out(m:lock_for(0.01))
      log "gave up"
    end)
    local patient = spawn(function()
      m:lock()
      log "patient"
      m:unlock()
    end)
    impatient:join()
    m:unlock()
    patient:join()
    log:is "gave up patient"
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["an interrupted waiter does not get the mutex, the next one does"] = function(t)
    local m, log = mutex.new(), t.order()
    m:lock()
    local first, second = locker(m, log, "first"), locker(m, log, "second")
    this_fiber.yield()
    first:interrupt()
    first:join()
    m:unlock()
    second:join()
    log:is "second"
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["a waiter that is interrupted after it was handed the mutex holds it"] = function(t)
    local m = mutex.new()
    m:lock()
    local held
    local fiber = t.waiting(function()
      m:lock()
      held = true
      scope_cleanup_push(function() m:unlock() end)
      this_fiber.yield()
      held = "went on"
    end)
    m:unlock()
    fiber:interrupt()
    fiber:join()
    t.equal(held, true)
    t.equal(fiber.interruption_caught, true)
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["a mutex protects a read, a wait and a write"] = function(t)
    local m, counter, fibers = mutex.new(), 0, {}
    for i = 1, 20 do
      fibers[i] = spawn(function()
        for _ = 1, 5 do
          m:lock()
          local seen = counter
          this_fiber.yield()
          counter = seen + 1
          m:unlock()
        end
      end)
    end
    for i = 1, 20 do fibers[i]:join() end
    t.equal(counter, 100)
  end,

  ["a cleanup handler unlocks on error"] = function(t)
    local m = mutex.new()
    t.raises("inside", scope, function()
      m:lock()
      scope_cleanup_push(function() m:unlock() end)
      error "inside"
    end)
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["a fiber that ends while it holds a mutex is logged, and the mutex stays locked"] = function(t)
    t.reports "ended while it held a mutex"
    local m = mutex.new()
    spawn(function() m:lock() end):join()
    t.equal(m:try_lock(), false)
    t.timed_out(m:lock_for(0.01))
  end,

  ["a fiber that fails while it holds a mutex is logged"] = function(t)
    t.reports "ended while it held a mutex"
    local m = mutex.new()
    local fiber = spawn(function()
      m:lock()
      error("failed with it", 0)
    end)
    t.raises("failed with it", fiber.join, fiber)
  end,

  ["a thousand waiters are served, first come first served"] = function(t)
    local m, fibers, order, sorted = mutex.new(), {}, 0, true
    m:lock()
    for i = 1, 1000 do
      fibers[i] = spawn(function()
        m:lock()
        sorted = sorted and order == i - 1
        order = i
        m:unlock()
      end)
    end
    this_fiber.yield()
    m:unlock()
    for i = 1, 1000 do fibers[i]:join() end
    t.equal(order, 1000)
    t.ok(sorted, "in order")
  end,
}
