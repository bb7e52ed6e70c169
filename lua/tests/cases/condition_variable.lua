-- require "condition_variable".
local cv, mutex, recursive_mutex = require "condition_variable", require "mutex", require "recursive_mutex"
local time = require "time"

-- Fibers 1..n that wait for c under m and log their numbers when they are notified.
local function waiters(n, c, m, log)
  local fibers = {}
  for i = 1, n do
    fibers[i] = spawn(function()
      m:lock()
      c:wait(m)
      log(i)
      m:unlock()
    end)
  end
  this_fiber.yield()
  return fibers
end

return {
  ["wait lets the mutex go, and holds it again when notified"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local fiber = t.waiting(function()
      m:lock()
      t.equal(c:wait(m), true)
      log "notified"
      t.raises("holds the mutex already", function() m:lock() end)
      m:unlock()
    end)
    t.equal(m:try_lock(), true, "free while it waits")
    c:notify_one()
    this_fiber.yield()
    log "still mine"
    m:unlock()
    fiber:join()
    log:is "still mine notified"
  end,

  ["notify_one wakes one, in the order of waiting"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local fibers = waiters(3, c, m, log)
    for i = 1, 3 do
      c:notify_one()
      fibers[i]:join()
      log "|"
    end
    log:is "1 | 2 | 3 |"
  end,

  ["notify_all wakes all, in the order of waiting"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local fibers = waiters(5, c, m, log)
    c:notify_all()
    for i = 1, 5 do fibers[i]:join() end
    log:is "1 2 3 4 5"
  end,

  ["a notification without a waiter is lost"] = function(t)
    local c, m = cv.new(), mutex.new()
    c:notify_one()
    c:notify_all()
    m:lock()
    t.timed_out(c:wait_for(m, 0.02))
    m:unlock()
  end,

  ["notify_all does not wake who waits later"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local fibers = waiters(2, c, m, log)
    c:notify_all()
    m:lock()
    t.timed_out(c:wait_for(m, 0.02))
    m:unlock()
    fibers[1]:join()
    fibers[2]:join()
    log:is "1 2"
  end,

  ["who notifies under the mutex goes on, the waiter comes when it is unlocked"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local fibers = waiters(1, c, m, log)
    m:lock()
    c:notify_one()
    this_fiber.yield()
    log "unlock"
    m:unlock()
    fibers[1]:join()
    log:is "unlock 1"
  end,

  ["wait_for gives true when it is notified in time"] = function(t)
    local c, m, watch = cv.new(), mutex.new(), t.stopwatch()
    local notifier = spawn(function()
      time.sleep(0.02)
      c:notify_one()
    end)
    m:lock()
    t.equal(c:wait_for(m, 1), true)
    watch.took(0.02)
    m:unlock()
    notifier:join()
  end,

  ["wait_for that times out holds the mutex again"] = function(t)
    local c, m, watch = cv.new(), mutex.new(), t.stopwatch()
    m:lock()
    t.timed_out(c:wait_for(m, 0.02))
    watch.took(0.02)
    t.raises("holds the mutex already", function() m:lock() end)
    m:unlock()
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["wait_for that times out waits for the mutex, however long that takes"] = function(t)
    local c, m, watch = cv.new(), mutex.new(), t.stopwatch()
    local fiber = t.waiting(function()
      m:lock()
      t.timed_out(c:wait_for(m, 0.01))
      watch.took(0.04)
      m:unlock()
    end)
    m:lock()
    time.sleep(0.04)
    m:unlock()
    fiber:join()
  end,

  ["a waiter that timed out does not eat a notification"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local impatient = t.waiting(function()
      m:lock()
      t.timed_out(c:wait_for(m, 0.01))
      log "timed out"
      m:unlock()
    end)
    local fibers = waiters(1, c, m, log)
    time.sleep(0.02)
    impatient:join()
    c:notify_one()
    fibers[1]:join()
    log:is "timed out 1"
  end,

  ["a waiter that timed out but still waits for the mutex does not eat a notification"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local impatient = t.waiting(function()
      m:lock()
      t.timed_out(c:wait_for(m, 0.01))
      log "timed out"
      m:unlock()
    end)
    local fibers = waiters(1, c, m, log)
    m:lock()
    time.sleep(0.03)
    c:notify_one()
    m:unlock()
    impatient:join()
    fibers[1]:join()
    log:is "timed out 1"
  end,

  ["an interrupted waiter holds the mutex again while its cleanup runs"] = function(t)
    local c, m = cv.new(), mutex.new()
    local held
    local fiber = t.waiting(function()
      m:lock()
      scope_cleanup_push(function()
        held = not m:try_lock()
        m:unlock()
      end)
      c:wait(m)
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(held, true)
    t.equal(fiber.interruption_caught, true)
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["an interrupted waiter waits for the mutex before it ends"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local fiber = t.waiting(function()
      m:lock()
      scope_cleanup_push(function()
        log "cleanup"
        m:unlock()
      end)
      c:wait(m)
    end)
    m:lock()
    fiber:interrupt()
    time.sleep(0.02)
    log "unlock"
    m:unlock()
    fiber:join()
    log:is "unlock cleanup"
  end,

  ["an interrupted waiter does not eat a notification that comes later"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local first = t.waiting(function()
      m:lock()
      scope_cleanup_push(function() m:unlock() end)
      c:wait(m)
      log "first"
    end)
    local fibers = waiters(1, c, m, log)
    first:interrupt()
    c:notify_one()
    first:join()
    fibers[1]:join()
    log:is "1"
  end,

  ["a notification that came before the interruption is not lost"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local first = t.waiting(function()
      m:lock()
      scope_cleanup_push(function() m:unlock() end)
      c:wait(m)
      log "first"
    end)
    local second = t.waiting(function()
      m:lock()
      if c:wait_for(m, 0.1) then log "second" end
      m:unlock()
    end)
    c:notify_one()
    first:interrupt()
    first:join()
    second:join()
    local text = tostring(first.interruption_caught)
    -- Either the notified one returns from its wait, or the notification goes to the next.
    if text == "false" then log:is "first" end
    if text == "true" then log:is "second" end
  end,

  ["an interrupted waiter of many leaves the order of the others"] = function(t)
    local c, m, log = cv.new(), mutex.new(), t.order()
    local fibers = {}
    for i = 1, 4 do
      fibers[i] = spawn(function()
        m:lock()
        scope_cleanup_push(function() m:unlock() end)
        c:wait(m)
        log(i)
      end)
    end
    this_fiber.yield()
    fibers[2]:interrupt()
    fibers[2]:join()
    for _ = 1, 3 do c:notify_one() end
    for _, i in ipairs { 1, 3, 4 } do fibers[i]:join() end
    log:is "1 3 4"
  end,

  ["wait without the mutex is a mistake"] = function(t)
    local c, m = cv.new(), mutex.new()
    t.raises("condition_variable:wait: ", function() c:wait(m) end)
    t.raises("condition_variable:wait_for: ", function() c:wait_for(m, 1) end)
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["wait with another fiber's mutex is a mistake"] = function(t)
    local c, m = cv.new(), mutex.new()
    m:lock()
    spawn(function() t.raises("condition_variable:wait: ", function() c:wait(m) end) end):join()
    m:unlock()
  end,

  ["wait with something else is a mistake"] = function(t)
    local c = cv.new()
    for _, wrong in ipairs { 42, "mutex", {}, print } do
      t.raises("condition_variable:wait: ", function() c:wait(wrong) end)
    end
    t.raises("condition_variable:wait: ", function() c:wait() end)
  end,

  ["a recursive mutex that is held once will do"] = function(t)
    local c, m = cv.new(), recursive_mutex.new()
    local fiber = t.waiting(function()
      m:lock()
      local ok = c:wait(m)
      m:unlock()
      return ok
    end)
    c:notify_one()
    t.equal(fiber:join(), true)
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["a recursive mutex that is held twice is a mistake"] = function(t)
    local c, m = cv.new(), recursive_mutex.new()
    m:lock()
    m:lock()
    t.raises("condition_variable:wait: ", function() c:wait(m) end)
    m:unlock()
    m:unlock()
    t.raises("not locked", function() m:unlock() end)
  end,

  ["cond is the same module"] = function(t) t.equal(require "cond", cv) end,

  ["a queue of two condition variables hands on every item once"] = function(t)
    local m, not_empty, not_full = mutex.new(), cv.new(), cv.new()
    local queue, seen = {}, {}
    local function put(value)
      m:lock()
      while #queue == 3 do not_full:wait(m) end
      queue[#queue + 1] = value
      not_empty:notify_one()
      m:unlock()
    end
    local function take()
      m:lock()
      while #queue == 0 do not_empty:wait(m) end
      local value = table.remove(queue, 1)
      not_full:notify_one()
      m:unlock()
      return value
    end
    local fibers = {}
    for p = 1, 4 do
      fibers[#fibers + 1] = spawn(function()
        for i = 1, 25 do put(p * 100 + i) end
      end)
      fibers[#fibers + 1] = spawn(function()
        for _ = 1, 25 do
          local value = take()
          t.equal(seen[value], nil)
          seen[value] = true
        end
      end)
    end
    for _, fiber in ipairs(fibers) do fiber:join() end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    t.equal(count, 100)
  end,
}
