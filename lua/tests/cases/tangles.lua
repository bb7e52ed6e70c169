-- Several things at once, as nobody should write them: nothing breaks, and what comes after is undisturbed.
local channel, time, mutex = require "channel", require "time", require "mutex"

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Calls f when the collector comes by.
local function finalizer(f)
  getmetatable(newproxy(true)).__gc = f
end

local function endless() return 1 + endless() end

-- The scheduler still keeps time.
local function undisturbed(t)
  local watch = t.stopwatch()
  time.sleep(0.05)
  watch.took(0.05)
end

return {
  ["a message handler of xpcall that waits"] = function(t)
    t.equal(xpcall(error, function() time.sleep(0.01) end, "x"), false)
    undisturbed(t)
  end,

  ["a cleanup handler that pushes another has that run too"] = function(t)
    local log = t.order()
    scope(function()
      scope_cleanup_push(function()
        log "first"
        scope_cleanup_push(function() log "second" end)
      end)
    end)
    log:is "first second"
  end,

  ["five thousand arguments and results"] = function(t)
    local many = {}
    for i = 1, 5000 do many[i] = i end
    local function pass(...)
      time.sleep(0.01)
      return ...
    end
    t.equal(select("#", spawn(pass, unpack(many)):join()), 5000)
    t.equal(select("#", pcall(pass, unpack(many))), 5001)
    t.equal(select("#", scope(pass, unpack(many))), 5000)
    local co = coroutine.create(function(...) return coroutine.yield(pass(...)) end)
    t.equal(select("#", coroutine.resume(co, unpack(many))), 5001)
  end,

  ["a fiber that exhausts its stack runs its cleanup handlers, which may wait"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      scope_cleanup_push(function()
        time.sleep(0.01)
        log "cleanup"
      end)
      endless()
    end)
    t.raises("stack overflow", fiber.join, fiber)
    log:is "cleanup"
  end,

  ["a coroutine that exhausts its stack after a wait"] = function(t)
    t.raises("stack overflow", coroutine.wrap(function()
      time.sleep(0.01)
      endless()
    end))
    undisturbed(t)
  end,

  ["a limit in a coroutine that is dropped strikes nobody"] = function(t)
    coroutine.wrap(function() with_timeout(0.02, coroutine.yield) end)()
    undisturbed(t)
    this_fiber.yield()
  end,

  ["a limit in a coroutine that goes on in another fiber strikes neither wrongly"] = function(t)
    local co = coroutine.create(function()
      return with_timeout(0.02, function()
        coroutine.yield()
        time.sleep(0.05)
        return "late"
      end)
    end)
    coroutine.resume(co)
    spawn(function() return coroutine.resume(co) end):join()
    undisturbed(t)
  end,

  ["a comparison of table.sort that waits in a coroutine, fifty times"] = function(t)
    for _ = 1, 50 do
      t.equal(pcall(table.sort, { 3, 2, 1 }, function(a, b)
        coroutine.wrap(function() time.sleep(0.01) end)()
        return a < b
      end), false)
    end
    undisturbed(t)
  end,

  ["a finalizer that resumes a waiting coroutine"] = function(t)
    local co = coroutine.create(function()
      time.sleep(0.02)
      return "value"
    end)
    local fiber = t.waiting(function() return select(2, coroutine.resume(co)) end)
    local ok
    finalizer(function() ok = coroutine.resume(co) end)
    collect()
    t.equal(ok, false)
    t.equal(fiber:join(), "value")
  end,

  ["a finalizer that spawns and interrupts"] = function(t)
    local victim, ran = t.waiting(time.sleep, 10), nil
    finalizer(function()
      spawn(function() ran = true end):detach()
      victim:interrupt()
    end)
    collect()
    victim:join()
    t.equal(ran, true)
    t.equal(victim.interruption_caught, true)
  end,

  ["an interruption inside coroutines runs the handlers of all, the innermost first"] = function(t)
    local log = t.order()
    local fiber = t.waiting(function()
      scope_cleanup_push(function() log "fiber" end)
      coroutine.wrap(function()
        scope_cleanup_push(function()
          time.sleep(0.01)
          log "outer"
        end)
        coroutine.wrap(function()
          scope_cleanup_push(function()
            time.sleep(0.01)
            log "inner"
          end)
          time.sleep(10)
        end)()
      end)()
    end)
    fiber:interrupt()
    fiber:join()
    log:is "inner outer fiber"
    t.equal(fiber.interruption_caught, true)
  end,

  ["a waiter that was notified and is interrupted while it waits for the mutex"] = function(t)
    local cv, m = require("condition_variable").new(), mutex.new()
    local got
    local fiber = t.waiting(function()
      m:lock()
      scope_cleanup_push(function() m:unlock() end)
      got = cv:wait(m)
      this_fiber.yield()
      got = "went on"
    end)
    m:lock()
    cv:notify_one()
    this_fiber.yield()
    fiber:interrupt()
    this_fiber.yield()
    m:unlock()
    fiber:join()
    t.equal(got, true)
    t.equal(fiber.interruption_caught, true)
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["a value and a limit that come in the same moment: received and sent, or neither"] = function(t)
    for _ = 1, 10 do
      local c = channel.new()
      local receiver = spawn(function() return c:recv_for(0.01) end)
      local sender = spawn(function()
        time.sleep(0.01)
        return c:send_for("value", 0.01)
      end)
      t.equal(receiver:join() == "value", sender:join() == true)
    end
  end,

  ["waiting functions as the bodies of coroutines and fibers"] = function(t)
    local watch = t.stopwatch()
    t.equal(coroutine.resume(coroutine.create(time.sleep), 0.02), true)
    spawn(time.sleep, 0.01):join()
    watch.took(0.03)
    coroutine.wrap(this_fiber.yield)()
    local c = channel.new()
    local fiber = t.waiting(c.recv, c)
    c:send(5)
    t.equal(fiber:join(), 5)
  end,

  ["a mutex is its fiber's, whichever coroutine unlocks it"] = function(t)
    local m = mutex.new()
    m:lock()
    coroutine.wrap(function()
      m:unlock()
      m:lock()
    end)()
    m:unlock()
    t.equal(m:try_lock(), true)
    m:unlock()
  end,

  ["a cleanup handler of an interrupted fiber spawns one that lives on"] = function(t)
    local child
    local fiber = t.waiting(function()
      scope_cleanup_push(function()
        child = spawn(function()
          time.sleep(0.01)
          return "lives"
        end)
      end)
      time.sleep(10)
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(child:join(), "lives")
  end,

  ["spawn as the body of a coroutine"] = function(t)
    local fiber = coroutine.wrap(spawn)(function() return 7 end)
    t.equal(fiber:join(), 7)
  end,
}
