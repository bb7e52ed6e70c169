-- fiber:interrupt(): where it is raised, how it sticks, how it is kept away.
local channel, time, mutex = require "channel", require "time", require "mutex"

-- Waits until it is interrupted; gives nothing.
local function wait() time.sleep(10) end

return {
  ["a sleeping fiber is woken by an interruption"] = function(t)
    local watch = t.stopwatch()
    local fiber = t.waiting(wait)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
    if t.virtual then watch.took(0) end
  end,

  ["the interruption is always the same error value, with code, category and text"] = function(t)
    local seen = {}
    for i = 1, 2 do
      local fiber = t.waiting(function()
        local ok, err = pcall(wait)
        t.equal(ok, false)
        seen[i] = err
      end)
      fiber:interrupt()
      fiber:join()
      t.interruption(seen[i])
    end
    t.equal(seen[1].code, "interrupted")
    t.equal(seen[1].category, "fiber")
    t.equal(tostring(seen[1]), "the fiber was interrupted")
    t.equal(seen[1].message, "the fiber was interrupted")
  end,

  ["interrupt does not wait"] = function(t)
    local log = t.order()
    local fiber = t.waiting(function()
      scope_cleanup_push(function() log "cleanup" end)
      wait()
    end)
    fiber:interrupt()
    log "interrupted"
    fiber:join()
    log:is "interrupted cleanup"
  end,

  ["a fiber that is interrupted before it began runs to its first point"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      log "began"
      time.sleep(0.01)
      log "went on"
    end)
    fiber:interrupt()
    fiber:join()
    log:is "began"
    t.equal(fiber.interruption_caught, true)
  end,

  ["a fiber that is interrupted and never waits returns as ever"] = function(t)
    local fiber = spawn(function() return "result" end)
    fiber:interrupt()
    t.equal(fiber:join(), "result")
    t.equal(fiber.interruption_caught, false)
  end,

  ["a finished fiber is not touched by an interruption"] = function(t)
    local fiber = spawn(function() return "result" end)
    this_fiber.yield()
    fiber:interrupt()
    t.equal(fiber:join(), "result")
    t.equal(fiber.interruption_caught, false)
    fiber:interrupt()
    t.equal(fiber.interruption_caught, false)
  end,

  ["interrupting twice is interrupting once"] = function(t)
    local cleanups = 0
    local fiber = t.waiting(function()
      scope_cleanup_push(function() cleanups = cleanups + 1 end)
      wait()
    end)
    fiber:interrupt()
    fiber:interrupt()
    fiber:join()
    fiber:interrupt()
    t.equal(cleanups, 1)
  end,

  ["a fiber that interrupts itself ends at its next point"] = function(t)
    local log, fiber = t.order(), nil
    fiber = spawn(function()
      fiber:interrupt()
      log "still here"
      this_fiber.yield()
      log "not here"
    end)
    fiber:join()
    log:is "still here"
    t.equal(fiber.interruption_caught, true)
  end,

  ["an interruption that was caught is raised again at the next point"] = function(t)
    local log = t.order()
    local fiber = t.waiting(function()
      local ok, err = pcall(wait)
      t.equal(ok, false)
      t.interruption(err)
      log "caught"
      time.sleep(0.01)
      log "not here"
    end)
    fiber:interrupt()
    fiber:join()
    log:is "caught"
    t.equal(fiber.interruption_caught, true)
  end,

  ["a fiber cannot hide from an interruption in a loop of pcalls"] = function(t)
    local rounds = 0
    local fiber = t.waiting(function()
      while true do
        rounds = rounds + 1
        pcall(wait)
      end
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(rounds, 2, "the second pcall raises it")
    t.equal(fiber.interruption_caught, true)
  end,

  ["a fiber that catches the interruption and returns was not ended by it"] = function(t)
    local fiber = t.waiting(function()
      pcall(wait)
      return "tidied up"
    end)
    fiber:interrupt()
    t.equal(fiber:join(), "tidied up")
    t.equal(fiber.interruption_caught, false)
  end,

  ["a fiber that catches the interruption and raises it again was ended by it"] = function(t)
    local fiber = t.waiting(function()
      local ok, err = pcall(wait)
      if not ok then error(err, 0) end
    end)
    fiber:interrupt()
    t.equal(select("#", fiber:join()), 0)
    t.equal(fiber.interruption_caught, true)
  end,

  ["a fiber that catches the interruption and raises something else fails with that"] = function(t)
    local fiber = t.waiting(function()
      pcall(wait)
      error("another error", 0)
    end)
    fiber:interrupt()
    t.raises("another error", fiber.join, fiber)
    t.equal(fiber.interruption_caught, false)
  end,

  ["pcall is an interruption point, and does not catch what it raises itself"] = function(t)
    local called
    local fiber = spawn(function() pcall(function() called = true end) end)
    fiber:interrupt()
    fiber:join()
    t.equal(called, nil)
    t.equal(fiber.interruption_caught, true)
  end,

  ["xpcall is an interruption point, and does not catch what it raises itself"] = function(t)
    local called
    local fiber = spawn(function()
      xpcall(function() called = "f" end, function() called = "handler" end)
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(called, nil)
    t.equal(fiber.interruption_caught, true)
  end,

  ["coroutine.resume is an interruption point"] = function(t)
    local called
    local fiber = spawn(function()
      local co = coroutine.create(function() called = true end)
      coroutine.resume(co)
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(called, nil)
    t.equal(fiber.interruption_caught, true)
  end,

  ["a function made by coroutine.wrap is an interruption point"] = function(t)
    local called
    local fiber = spawn(function()
      local f = coroutine.wrap(function() called = true end)
      f()
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(called, nil)
    t.equal(fiber.interruption_caught, true)
  end,

  ["what never waits is no interruption point"] = function(t)
    local log = t.order()
    local m, c = mutex.new(), channel.new(1)
    local semaphore = require("semaphore").new(1)
    local cv = require("condition_variable").new()
    local promise, future = require("future").new()
    local fiber = spawn(function()
      t.equal(m:try_lock(), true)
      m:unlock()
      t.equal(c:try_send "x", true)
      t.equal(c:try_recv(), "x")
      t.equal(semaphore:try_acquire(), true)
      semaphore:release()
      cv:notify_one()
      cv:notify_all()
      promise:set_value(1)
      t.equal(future:is_ready(), true)
      spawn(function() end):detach()
      t.ok(time.now() > 0)
      local timer = time.after(10, print)
      timer:cancel()
      c:close()
      log "unharmed"
      return select("#", 1, 2, 3)
    end)
    fiber:interrupt()
    t.equal(fiber:join(), 3)
    log:is "unharmed"
  end,

  ["scope runs its function in an interrupted fiber, up to the next point"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      scope(function()
        scope_cleanup_push(function() log "cleanup" end)
        log "inside"
        this_fiber.yield()
        log "not here"
      end)
    end)
    fiber:interrupt()
    fiber:join()
    log:is "inside cleanup"
  end,

  ["a fiber that is woken already gets what it waited for, and the interruption at the next point"] = function(t)
    local c, got = channel.new(), nil
    local fiber = t.waiting(function()
      got = c:recv()
      this_fiber.yield()
      got = "went on"
    end)
    t.equal(c:send "value", true)
    fiber:interrupt()
    fiber:join()
    t.equal(got, "value")
    t.equal(fiber.interruption_caught, true)
  end,

  ["disabled interruption keeps a wait undisturbed"] = function(t)
    local watch = t.stopwatch()
    local log = t.order()
    local fiber = t.waiting(function()
      this_fiber.disable_interruption()
      time.sleep(0.03)
      log "slept"
      this_fiber.restore_interruption()
      log "restored"
      this_fiber.yield()
      log "not here"
    end)
    fiber:interrupt()
    fiber:join()
    log:is "slept restored"
    t.equal(fiber.interruption_caught, true)
    watch.took(0.03)
  end,

  ["disabled interruption keeps pcall and coroutines going"] = function(t)
    local fiber = spawn(function()
      this_fiber.disable_interruption()
      local _, a = pcall(function() return "a" end)
      local _, b = coroutine.resume(coroutine.create(function() return "b" end))
      local c = coroutine.wrap(function() return "c" end)()
      return a .. b .. c
    end)
    fiber:interrupt()
    t.equal(fiber:join(), "abc")
  end,

  ["disabling is counted"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      this_fiber.disable_interruption()
      this_fiber.disable_interruption()
      this_fiber.restore_interruption()
      this_fiber.yield()
      log "one left"
      this_fiber.restore_interruption()
      this_fiber.yield()
      log "not here"
    end)
    fiber:interrupt()
    fiber:join()
    log:is "one left"
  end,

  ["restoring what was not disabled is a mistake"] = function(t)
    t.raises("restore_interruption", function() this_fiber.restore_interruption() end)
    this_fiber.disable_interruption()
    this_fiber.restore_interruption()
    t.raises("restore_interruption", function() this_fiber.restore_interruption() end)
  end,

  ["disabled interruption does not stop other fibers from being interrupted"] = function(t)
    local fiber = t.waiting(wait)
    this_fiber.disable_interruption()
    fiber:interrupt()
    fiber:join()
    this_fiber.restore_interruption()
    t.equal(fiber.interruption_caught, true)
  end,

  ["what a fiber disabled ends with it"] = function(t)
    spawn(function() this_fiber.disable_interruption() end):join()
    local fiber = t.waiting(wait)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
  end,

  ["an interruption ends with its fiber: the next one on the coroutine is free of it"] = function(t)
    local fiber = t.waiting(wait)
    fiber:interrupt()
    fiber:join()
    local watch = t.stopwatch()
    t.equal(spawn(function()
      time.sleep(0.01)
      return "undisturbed"
    end):join(), "undisturbed")
    watch.took(0.01)
  end,

  ["children of an interrupted fiber go on"] = function(t)
    local child
    local parent = t.waiting(function()
      child = spawn(function()
        time.sleep(0.02)
        return "child"
      end)
      child:join()
    end)
    this_fiber.yield()
    parent:interrupt()
    parent:join()
    t.equal(parent.interruption_caught, true)
    t.equal(child:join(), "child")
  end,

  ["an interruption is raised where the fiber waits, inside a coroutine too"] = function(t)
    local inside, outside
    local fiber = t.waiting(function()
      local co = coroutine.create(function()
        local ok, err = pcall(wait)
        inside = err
        error(err, 0)
      end)
      local ok, err = coroutine.resume(co)
      t.equal(ok, false)
      outside = err
      t.equal(coroutine.status(co), "dead")
    end)
    fiber:interrupt()
    fiber:join()
    t.interruption(inside)
    t.interruption(outside)
  end,

  ["an interruption passes through coroutine.wrap unchanged"] = function(t)
    local fiber = t.waiting(function() coroutine.wrap(wait)() end)
    fiber:interrupt()
    t.equal(select("#", fiber:join()), 0)
    t.equal(fiber.interruption_caught, true)
  end,

  ["interrupted_error can be compared in a handler of xpcall"] = function(t)
    local same
    local fiber = t.waiting(function()
      xpcall(wait, function(err) same = rawequal(err, this_fiber.interrupted_error) end)
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(same, true)
  end,

  ["an interruption in a chain of joins ends only the one that was meant"] = function(t)
    local c = t.waiting(wait)
    local b = t.waiting(function()
      c:join()
      return "b went on"
    end)
    local a = t.waiting(function() return b:join() end)
    c:interrupt()
    t.equal(a:join(), "b went on")
    t.equal(b.interruption_caught, false)
    t.equal(c.interruption_caught, true)
  end,

  ["a hundred waiting fibers are interrupted, each exactly once"] = function(t)
    local fibers, cleanups = {}, 0
    for i = 1, 100 do
      fibers[i] = spawn(function()
        scope_cleanup_push(function() cleanups = cleanups + 1 end)
        wait()
      end)
    end
    this_fiber.yield()
    for i = 1, 100 do fibers[i]:interrupt() end
    for i = 1, 100 do
      fibers[i]:join()
      t.equal(fibers[i].interruption_caught, true)
    end
    t.equal(cleanups, 100)
  end,
}
