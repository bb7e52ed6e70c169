-- Every waiting function is an interruption point: while it waits, and at its entry even if it need not wait. Every one
-- raises where waiting is forbidden, and no interrupted waiter leaves a trace in what it waited for.
local mutex, recursive_mutex, cv = require "mutex", require "recursive_mutex", require "condition_variable"
local future, channel, semaphore = require "future", require "channel", require "semaphore"
local barrier, time = require "barrier", require "time"

-- Each makes two functions: one that waits (in another fiber than the maker's), and one that need not wait.
local kinds = {
  ["time.sleep"] = function()
    return function() time.sleep(10) end, function() time.sleep(0) end
  end,

  ["sleep_for"] = function()
    return function() time.sleep_for(10000) end, function() time.sleep_for(0) end
  end,

  ["fiber:join"] = function(t)
    local lasting = spawn(function() pcall(time.sleep, 10) end)
    local ended = spawn(function() end)
    this_fiber.yield()
    return function() lasting:join() end, function() ended:join() end, function()
      lasting:interrupt()
      lasting:join()
      ended:join()
    end
  end,

  ["mutex:lock"] = function()
    local held, free = mutex.new(), mutex.new()
    held:lock()
    return function() held:lock() end, function() free:lock() end, function() held:unlock() end
  end,

  ["mutex:lock_for"] = function()
    local held, free = mutex.new(), mutex.new()
    held:lock()
    return function() held:lock_for(10) end, function() free:lock_for(10) end, function() held:unlock() end
  end,

  ["recursive_mutex:lock"] = function()
    local held, free = recursive_mutex.new(), recursive_mutex.new()
    held:lock()
    return function() held:lock() end, function() free:lock() end, function() held:unlock() end
  end,

  ["future:get"] = function()
    local _, open = future.new()
    local promise, ready = future.new()
    promise:set_value(1)
    return function() open:get() end, function() ready:get() end
  end,

  ["future:get_for"] = function()
    local _, open = future.new()
    local promise, ready = future.new()
    promise:set_value(1)
    return function() open:get_for(10) end, function() ready:get_for(10) end
  end,

  ["channel:recv"] = function()
    local empty, full = channel.new(), channel.new(1)
    full:try_send "x"
    return function() empty:recv() end, function() full:recv() end, function() full:recv() end
  end,

  ["channel:recv_for"] = function()
    local empty, full = channel.new(), channel.new(1)
    full:try_send "x"
    return function() empty:recv_for(10) end, function() full:recv_for(10) end
  end,

  ["channel:send"] = function()
    local none, room = channel.new(), channel.new(1)
    return function() none:send "x" end, function() room:send "x" end, function()
      if room:len() ~= 0 then error "an interrupted send left its value" end
    end
  end,

  ["channel:send_for"] = function()
    local none, room = channel.new(), channel.new(1)
    return function() none:send_for("x", 10) end, function() room:send_for("x", 10) end
  end,

  ["semaphore:acquire"] = function()
    local none, one = semaphore.new(0), semaphore.new(1)
    return function() none:acquire() end, function() one:acquire() end, function()
      if one:count() ~= 1 then error "an interrupted acquire took the unit" end
      none:release()
      if none:count() ~= 1 then error "the unit went to an interrupted waiter" end
    end
  end,

  ["semaphore:acquire_for"] = function()
    local none, one = semaphore.new(0), semaphore.new(1)
    return function() none:acquire_for(10) end, function() one:acquire_for(10) end
  end,

  ["barrier:wait"] = function()
    local two, one = barrier.new(2), barrier.new(1)
    return function() two:wait() end, function() one:wait() end
  end,

  ["steady_timer:wait"] = function()
    local running, expired = time.steady_timer.new(), time.steady_timer.new()
    running:expires_after(10000)
    return function() running:wait() end, function() expired:wait() end
  end,

  ["select"] = function()
    local empty, full = channel.new(), channel.new(1)
    full:try_send "x"
    return function() select { empty } end, function() select { full } end, function()
      if full:len() ~= 1 then error "an interrupted select took the value" end
    end
  end,
}

local function waits_on_cv(wait)
  return function(t)
    local m, c = mutex.new(), cv.new()
    local held_again
    local fiber = t.waiting(function()
      m:lock()
      scope_cleanup_push(function() m:unlock() end)
      local ok, err = pcall(wait, c, m)
      t.equal(ok, false)
      t.interruption(err)
      held_again = not m:try_lock()
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(held_again, true)
    t.equal(m:try_lock(), true)
    m:unlock()
  end
end

local cases = {
  ["this_fiber.yield is an interruption point at entry"] = function(t)
    local passed
    local fiber = spawn(function()
      this_fiber.yield()
      passed = true
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(passed, nil)
    t.equal(fiber.interruption_caught, true)
  end,

  ["a fiber that has yielded is ready: it comes back, and is interrupted at the next point"] = function(t)
    local log = t.order()
    local fiber = t.waiting(function()
      this_fiber.yield()
      log "back"
      this_fiber.yield()
      log "not here"
    end)
    fiber:interrupt()
    fiber:join()
    log:is "back"
    t.equal(fiber.interruption_caught, true)
  end,

  ["this_fiber.yield raises where waiting is forbidden"] = function(t)
    this_fiber.forbid_suspend()
    local ok, err = pcall(this_fiber.yield)
    this_fiber.allow_suspend()
    t.equal(ok, false)
    t.has(err, "this_fiber.yield: waiting is forbidden here (this_fiber.forbid_suspend)")
  end,

  ["condition_variable:wait is an interruption point while it waits"] = waits_on_cv(function(c, m) c:wait(m) end),
  ["condition_variable:wait_for is an interruption point while it waits"] = waits_on_cv(function(c, m)
    c:wait_for(m, 10)
  end),

  ["with_timeout is interrupted where its function waits"] = function(t)
    local fiber = t.waiting(function() with_timeout(10, time.sleep, 5) end)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
  end,
}

for name, make in pairs(kinds) do
  cases[name .. " is an interruption point while it waits"] = function(t)
    local waits, _, finish = make(t)
    local fiber = t.waiting(function()
      local ok, err = pcall(waits)
      t.equal(ok, false)
      t.interruption(err)
      return "interrupted"
    end)
    fiber:interrupt()
    t.equal(fiber:join(), "interrupted")
    if finish then finish() end
  end

  cases[name .. " is an interruption point at entry, also if it need not wait"] = function(t)
    local _, passes, finish = make(t)
    local reached, passed
    local fiber = spawn(function()
      reached = true
      passes()
      passed = true
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(reached, true)
    t.equal(passed, nil)
    t.equal(fiber.interruption_caught, true)
    if finish then finish() end
  end

  cases[name .. " raises where waiting is forbidden, also if it need not wait"] = function(t)
    local waits, passes, finish = make(t)
    for _, f in ipairs { waits, passes } do
      local fiber = spawn(function()
        this_fiber.forbid_suspend()
        local err = t.raises("waiting is forbidden here (this_fiber.forbid_suspend)", function() f() end)
        this_fiber.allow_suspend()
        return err
      end)
      t.has(fiber:join(), name .. ":")
    end
    if finish then finish() end
  end
end

return cases
