-- require "recursive_mutex".
local recursive_mutex, time = require "recursive_mutex", require "time"

return {
  ["its holder locks it again and again, and unlocks it as often"] = function(t)
    local m = recursive_mutex.new()
    for _ = 1, 3 do m:lock() end
    local other = spawn(function() return m:try_lock() end)
    t.equal(other:join(), false)
    m:unlock()
    m:unlock()
    other = spawn(function() return m:try_lock() end)
    t.equal(other:join(), false, "one is left")
    m:unlock()
    other = spawn(function()
      local got = m:try_lock()
      if got then m:unlock() end
      return got
    end)
    t.equal(other:join(), true)
  end,

  ["try_lock and lock_for by the holder count too"] = function(t)
    local m = recursive_mutex.new()
    t.equal(m:try_lock(), true)
    t.equal(m:try_lock(), true)
    t.equal(m:lock_for(0.01), true)
    for _ = 1, 3 do m:unlock() end
    t.raises("recursive_mutex:unlock: the mutex is not locked", function() m:unlock() end)
  end,

  ["it is handed over with a count of one"] = function(t)
    local m = recursive_mutex.new()
    m:lock()
    m:lock()
    local other = t.waiting(function()
      m:lock()
      m:unlock()
      t.raises("not locked", function() m:unlock() end)
    end)
    m:unlock()
    this_fiber.yield()
    m:unlock()
    other:join()
  end,

  ["it keeps other fibers out, first come first served"] = function(t)
    local m, log = recursive_mutex.new(), t.order()
    m:lock()
    m:lock()
    local fibers = {}
    for i = 1, 3 do
      fibers[i] = spawn(function()
        m:lock()
        m:lock()
        log(i)
        this_fiber.yield()
        m:unlock()
        m:unlock()
      end)
    end
    this_fiber.yield()
    m:unlock()
    this_fiber.yield()
    log:is ""
    m:unlock()
    for i = 1, 3 do fibers[i]:join() end
    log:is "1 2 3"
  end,

  ["unlock by another fiber is a mistake"] = function(t)
    local m = recursive_mutex.new()
    m:lock()
    spawn(function() t.raises("another fiber holds the mutex", function() m:unlock() end) end):join()
    m:unlock()
  end,

  ["lock_for by another fiber gives up"] = function(t)
    local m, watch = recursive_mutex.new(), t.stopwatch()
    m:lock()
    spawn(function() t.timed_out(m:lock_for(0.02)) end):join()
    watch.took(0.02)
    m:unlock()
  end,

  ["its waiters are interrupted without a trace"] = function(t)
    local m = recursive_mutex.new()
    m:lock()
    local waiter = t.waiting(function() m:lock() end)
    waiter:interrupt()
    waiter:join()
    m:unlock()
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["a recursive function may lock at every level and wait in between"] = function(t)
    local m, order = recursive_mutex.new(), t.order()
    local function descend(n)
      m:lock()
      scope_cleanup_push(function() m:unlock() end)
      if n == 0 then
        time.sleep(0.01)
        order "bottom"
        return
      end
      scope(descend, n - 1)
    end
    spawn(descend, 10):join()
    m:lock()
    order "free"
    m:unlock()
    order:is "bottom free"
  end,
}
