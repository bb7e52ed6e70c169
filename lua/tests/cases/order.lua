-- Who runs when.
local time = require "time"

return {
  ["a spawned fiber does not run before its spawner waits"] = function(t)
    local log = t.order()
    local fiber = spawn(function() log "spawned" end)
    log "spawner"
    fiber:join()
    log:is "spawner spawned"
  end,

  ["spawned fibers begin in the order of their spawning"] = function(t)
    local log = t.order()
    for i = 1, 5 do spawn(function() log(i) end):detach() end
    this_fiber.yield()
    log:is "1 2 3 4 5"
  end,

  ["a spawned fiber runs when its spawner ends without waiting"] = function(t)
    local log = t.order()
    local parent = spawn(function()
      spawn(function() log "child" end):detach()
      log "parent"
    end)
    parent:join()
    this_fiber.yield()
    log:is "parent child"
  end,

  ["the arguments of spawn go to its function, nils too"] = function(t)
    local got
    spawn(function(...) got = t.pack(...) end, 1, nil, "x", nil):join()
    t.list(got, { n = 4, 1, nil, "x", nil })
  end,

  ["spawn without arguments passes none"] = function(t)
    local count
    spawn(function(...) count = select("#", ...) end):join()
    t.equal(count, 0)
  end,

  ["yield lets every ready fiber run first"] = function(t)
    local log = t.order()
    for i = 1, 3 do spawn(function() log(i) end):detach() end
    log "before"
    this_fiber.yield()
    log "after"
    log:is "before 1 2 3 after"
  end,

  ["yield alone comes back"] = function(t)
    for _ = 1, 100 do this_fiber.yield() end
  end,

  ["fibers that yield take turns"] = function(t)
    local log = t.order()
    local function speak(name)
      for i = 1, 3 do
        log(name .. i)
        this_fiber.yield()
      end
    end
    local a, b = spawn(speak, "a"), spawn(speak, "b")
    a:join()
    b:join()
    log:is "a1 b1 a2 b2 a3 b3"
  end,

  ["a fiber that yields for ever does not keep others from running"] = function(t)
    local stop
    local busy = spawn(function()
      while not stop do this_fiber.yield() end
    end)
    time.sleep(0.02)
    stop = true
    busy:join()
  end,

  ["fibers spawned by fibers run after those that are ready already"] = function(t)
    local log = t.order()
    local a = spawn(function()
      log "a"
      spawn(function() log "a's child" end):detach()
    end)
    local b = spawn(function() log "b" end)
    a:join()
    b:join()
    this_fiber.yield()
    log:is "a b a's child"
  end,

  ["nothing else runs between two statements without a wait"] = function(t)
    local shared = 0
    local function work()
      for _ = 1, 10 do
        local before = shared
        for _ = 1, 100 do shared = shared + 1 end
        t.equal(shared, before + 100)
        this_fiber.yield()
      end
    end
    local fibers = {}
    for i = 1, 5 do fibers[i] = spawn(work) end
    for i = 1, 5 do fibers[i]:join() end
    t.equal(shared, 5000)
  end,

  ["sleepers wake by their deadlines, not by when they fell asleep"] = function(t)
    local log = t.order()
    local fibers = {}
    for i, ms in ipairs { 50, 10, 40, 20, 30 } do
      fibers[i] = spawn(function()
        time.sleep(ms / 1000)
        log(ms)
      end)
    end
    for i = 1, 5 do fibers[i]:join() end
    log:is "10 20 30 40 50"
  end,

  ["sleepers with the same deadline wake in the order in which they fell asleep"] = function(t)
    local log = t.order()
    local fibers = {}
    for i = 1, 20 do
      fibers[i] = spawn(function()
        time.sleep(0.02)
        log(i)
      end)
    end
    for i = 1, 20 do fibers[i]:join() end
    log:is "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"
  end,

  ["a sleep of nothing is a yield"] = function(t)
    local log = t.order()
    local fiber = spawn(function() log "other" end)
    time.sleep(0)
    log "me"
    fiber:join()
    log:is "other me"
  end,

  ["a ready fiber runs before a sleeper whose time has not come"] = function(t)
    local log = t.order()
    local sleeper = spawn(function()
      time.sleep(0.03)
      log "sleeper"
    end)
    local ready = spawn(function()
      for i = 1, 3 do
        log(i)
        this_fiber.yield()
      end
    end)
    ready:join()
    sleeper:join()
    log:is "1 2 3 sleeper"
  end,

  ["a chain of a thousand spawns ends"] = function(t)
    local depth = 0
    local function deeper(n)
      depth = depth + 1
      if n > 1 then return spawn(deeper, n - 1):join() end
      return "bottom"
    end
    t.equal(spawn(deeper, 1000):join(), "bottom")
    t.equal(depth, 1000)
  end,

  ["ten thousand fibers run, each once"] = function(t)
    local runs, fibers = 0, {}
    for i = 1, 10000 do
      fibers[i] = spawn(function()
        this_fiber.yield()
        runs = runs + 1
        return i
      end)
    end
    local sum = 0
    for i = 1, 10000 do sum = sum + fibers[i]:join() end
    t.equal(runs, 10000)
    t.equal(sum, 50005000)
  end,

  ["a fiber that never waits leaves nothing for the next one on its coroutine"] = function(t)
    local first, second
    spawn(function(a) first = a end, "first"):join()
    spawn(function(...) second = select("#", ...) end):join()
    t.equal(first, "first")
    t.equal(second, 0)
  end,

  ["values survive a wait: locals, upvalues, varargs"] = function(t)
    local function work(...)
      local a, b = 1, { "x" }
      time.sleep(0.01)
      return a, b[1], select("#", ...), (...)
    end
    t.list(t.pack(spawn(work, "v", nil):join()), { n = 4, 1, "x", 2, "v" })
  end,

  ["a wait in the middle of an expression keeps its parts"] = function(t)
    local function slow(value)
      time.sleep(0.01)
      return value
    end
    t.equal(slow(1) + slow(2) * slow(3), 7)
    t.equal(slow "a" .. slow "b" .. slow "c", "abc")
    local list = { slow(1), slow(2), [slow "key"] = slow "value" }
    t.equal(#list, 2)
    t.equal(list.key, "value")
  end,

  ["a wait in a tail call and in deep recursion comes back"] = function(t)
    local function deep(n)
      if n == 0 then
        time.sleep(0.01)
        return 0
      end
      return 1 + deep(n - 1)
    end
    local function tail(n)
      if n == 0 then
        time.sleep(0.01)
        return "end"
      end
      return tail(n - 1)
    end
    t.equal(deep(5000), 5000)
    t.equal(tail(100000), "end")
  end,

  ["a wait in a compiled loop comes back"] = function(t)
    local sum = 0
    for i = 1, 3000 do
      sum = sum + i
      if i % 100 == 0 then this_fiber.yield() end
    end
    t.equal(sum, 4501500)
  end,
}
