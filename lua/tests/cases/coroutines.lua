-- Coroutines of the program inside fibers.
local channel, time = require "channel", require "time"

local WAITS = "cannot resume a coroutine that waits: its fiber will go on with it"
local OWN = "cannot resume a fiber's own coroutine: the scheduler does that"

local function fails(value) error(value, 0) end

return {
  ["values go in and out of a coroutine as ever"] = function(t)
    local co = coroutine.create(function(...)
      local a = t.pack(coroutine.yield(select("#", ...), ...))
      return a.n, a[1], a[2]
    end)
    t.list(t.pack(coroutine.resume(co, 1, nil)), { n = 4, true, 2, 1, nil })
    t.list(t.pack(coroutine.resume(co, nil, "x")), { n = 4, true, 2, nil, "x" })
    t.list(t.pack(coroutine.resume(co)), { n = 2, false, "cannot resume dead coroutine" })
  end,

  ["yield of nothing gives nothing"] = function(t)
    local co = coroutine.create(function() return select("#", coroutine.yield()) end)
    t.equal(select("#", coroutine.resume(co)), 1)
    t.list(t.pack(coroutine.resume(co)), { n = 2, true, 0 })
  end,

  ["generators work in for loops"] = function(t)
    local function range(n)
      return coroutine.wrap(function()
        for i = 1, n do coroutine.yield(i, i * i) end
      end)
    end
    local sum = 0
    for i, square in range(100) do sum = sum + square - i end
    t.equal(sum, 338350 - 5050)
  end,

  ["generators that wait work in for loops"] = function(t)
    local watch = t.stopwatch()
    local function slowly(n)
      return coroutine.wrap(function()
        for i = 1, n do
          time.sleep(0.01)
          coroutine.yield(i)
        end
      end)
    end
    local sum = 0
    for i in slowly(5) do sum = sum + i end
    t.equal(sum, 15)
    watch.took(0.05)
  end,

  ["a wait inside a coroutine suspends the whole fiber, and others run"] = function(t)
    local log = t.order()
    local other = spawn(function()
      time.sleep(0.01)
      log "other"
    end)
    local co = coroutine.create(function()
      log "before"
      time.sleep(0.02)
      log "after"
      return "value"
    end)
    t.list(t.pack(coroutine.resume(co)), { n = 2, true, "value" })
    log "resumed"
    other:join()
    log:is "before other after resumed"
  end,

  ["the resumer gets what is yielded after the wait, not the wait"] = function(t)
    local c = channel.new()
    local sender = spawn(function() c:send "from outside" end)
    local co = coroutine.create(function(a)
      local b = coroutine.yield(a + 1)
      coroutine.yield(c:recv() .. b)
      return "end"
    end)
    t.list(t.pack(coroutine.resume(co, 1)), { n = 2, true, 2 })
    t.list(t.pack(coroutine.resume(co, "!")), { n = 2, true, "from outside!" })
    t.list(t.pack(coroutine.resume(co)), { n = 2, true, "end" })
    sender:join()
  end,

  ["a wait five coroutines deep comes back through all of them"] = function(t)
    local function nest(n)
      if n == 0 then
        time.sleep(0.01)
        return "deep"
      end
      return coroutine.wrap(function()
        local inner = nest(n - 1)
        coroutine.yield(inner .. n)
      end)()
    end
    t.equal(nest(5), "deep12345")
  end,

  ["a hundred coroutines deep, waiting at each level"] = function(t)
    local function nest(n)
      if n == 0 then return 0 end
      this_fiber.yield()
      local ok, depth = coroutine.resume(coroutine.create(nest), n - 1)
      t.equal(ok, true)
      this_fiber.yield()
      return depth + 1
    end
    t.equal(nest(100), 100)
  end,

  ["coroutines nested without end are an error, or just deep, but no crash"] = function(t)
    local deepest = 0
    local function nest(n)
      deepest = n
      if n == 10000 then return end
      local ok, err = coroutine.resume(coroutine.create(nest), n + 1)
      if not ok then error(err, 0) end
    end
    local ok, err = pcall(nest, 1)
    t.ok(ok and deepest == 10000 or type(err) == "string", err)
    collectgarbage()
    t.equal(spawn(function() return "alive" end):join(), "alive")
  end,

  ["a waiting coroutine is seen as normal by other fibers"] = function(t)
    local co = coroutine.create(function() time.sleep(0.02) end)
    t.equal(coroutine.status(co), "suspended")
    local fiber = t.waiting(function() coroutine.resume(co) end)
    t.equal(coroutine.status(co), "normal")
    fiber:join()
    t.equal(coroutine.status(co), "dead")
  end,

  ["the classic: a coroutine that sleeps is resumed from the main fiber and from a spawned one"] = function(t)
    local log = t.order()
    local co = coroutine.create(function()
      time.sleep(0.03)
      log "slept"
      return "value"
    end)
    local owner = t.waiting(function() return coroutine.resume(co) end)
    t.list(t.pack(coroutine.resume(co)), { n = 2, false, WAITS })
    local stranger = spawn(function()
      local results = t.pack(coroutine.resume(co))
      log "refused"
      return unpack(results, 1, results.n)
    end)
    t.list(t.pack(stranger:join()), { n = 2, false, WAITS })
    t.list(t.pack(owner:join()), { n = 2, true, "value" })
    log:is "refused slept"
  end,

  ["a wrapped coroutine that sleeps raises in who resumes it, not in who waits"] = function(t)
    local f = coroutine.wrap(function()
      time.sleep(0.03)
      return "value"
    end)
    local owner = t.waiting(function() return f() end)
    local stranger = spawn(function() f() end)
    t.raises(WAITS, stranger.join, stranger)
    t.raises(WAITS, f)
    t.equal(owner:join(), "value")
  end,

  ["the resumer of a waiting coroutine cannot be resumed either"] = function(t)
    local outer = coroutine.create(function()
      coroutine.resume(coroutine.create(function() time.sleep(0.02) end))
      return "outer"
    end)
    local owner = t.waiting(function() return select(2, coroutine.resume(outer)) end)
    local ok, err = coroutine.resume(outer)
    t.equal(ok, false)
    t.equal(type(err), "string")
    t.equal(coroutine.status(outer), "normal")
    t.equal(owner:join(), "outer")
  end,

  ["a fiber's own coroutine cannot be resumed by another fiber"] = function(t)
    local own
    local fiber = t.waiting(function()
      own = coroutine.running()
      time.sleep(0.02)
      return "went on"
    end)
    t.list(t.pack(coroutine.resume(own)), { n = 2, false, OWN })
    t.equal(fiber:join(), "went on")
  end,

  ["a fiber's own coroutine cannot be resumed by itself"] = function(t)
    local ok, err = coroutine.resume(coroutine.running())
    t.equal(ok, false)
    t.equal(type(err), "string")
  end,

  ["a fiber's own coroutine cannot be resumed from a coroutine in it"] = function(t)
    local own = coroutine.running()
    local co = coroutine.create(function() return coroutine.resume(own) end)
    local ok, refused, err = coroutine.resume(co)
    t.equal(ok, true)
    t.equal(refused, false)
    t.equal(type(err), "string")
  end,

  ["the coroutine of a fiber that has ended cannot be resumed"] = function(t)
    local own
    spawn(function() own = coroutine.running() end):join()
    local ok, err = coroutine.resume(own)
    t.equal(ok, false)
    t.equal(type(err), "string")
    local undisturbed = t.waiting(function()
      time.sleep(0.01)
      return "undisturbed"
    end)
    t.equal(coroutine.resume(own), false)
    t.equal(undisturbed:join(), "undisturbed")
  end,

  ["coroutine.yield outside of any coroutine names what is meant"] = function(t)
    t.raises("coroutine.yield: not in a coroutine; this_fiber.yield() lets other fibers run", function()
      coroutine.yield(1)
    end)
    local fiber = spawn(coroutine.yield)
    t.raises("coroutine.yield: not in a coroutine", fiber.join, fiber)
  end,

  ["coroutine.yield in a pcall in a coroutine goes to the resumer"] = function(t)
    local co = coroutine.create(function()
      local ok, got = pcall(function()
        local value = coroutine.yield "out"
        fails(value)
      end)
      return ok, got
    end)
    t.list(t.pack(coroutine.resume(co)), { n = 2, true, "out" })
    t.list(t.pack(coroutine.resume(co, "in")), { n = 3, true, false, "in" })
  end,

  ["coroutine.yield in a metamethod and in an iterator goes to the resumer"] = function(t)
    local object = setmetatable({}, {
      __index = function(_, key) return coroutine.yield(key) end,
      __add = function(a, b) return coroutine.yield "add" end,
    })
    local co = coroutine.create(function()
      local sum = object.field .. (object + 1)
      for value in function() return coroutine.yield "next" end do sum = sum .. value end
      return sum
    end)
    t.list(t.pack(coroutine.resume(co)), { n = 2, true, "field" })
    t.list(t.pack(coroutine.resume(co, "a")), { n = 2, true, "add" })
    t.list(t.pack(coroutine.resume(co, "b")), { n = 2, true, "next" })
    t.list(t.pack(coroutine.resume(co, "c")), { n = 2, true, "next" })
    t.list(t.pack(coroutine.resume(co, nil)), { n = 2, true, "abc" })
  end,

  ["running gives the fiber's coroutine outside, the inner one inside"] = function(t)
    local own = coroutine.running()
    t.equal(type(own), "thread")
    local co
    co = coroutine.create(function() t.equal(coroutine.running(), co) end)
    t.equal(coroutine.resume(co), true)
    t.equal(coroutine.running(), own)
  end,

  ["a fiber's own coroutine is the same after a wait"] = function(t)
    local before = coroutine.running()
    time.sleep(0.01)
    t.equal(coroutine.running(), before)
  end,

  ["status of a fiber's own coroutine: running in itself, normal from within, suspended from others"] = function(t)
    local own = coroutine.running()
    t.equal(coroutine.status(own), "running")
    coroutine.wrap(function() t.equal(coroutine.status(own), "normal") end)()
    local other = spawn(function() return coroutine.status(own) end)
    t.equal(other:join(), "suspended")
  end,

  ["status of a coroutine: suspended, running, normal, dead"] = function(t)
    local outer
    outer = coroutine.create(function()
      t.equal(coroutine.status(outer), "running")
      coroutine.wrap(function() t.equal(coroutine.status(outer), "normal") end)()
      coroutine.yield()
    end)
    t.equal(coroutine.status(outer), "suspended")
    coroutine.resume(outer)
    t.equal(coroutine.status(outer), "suspended")
    coroutine.resume(outer)
    t.equal(coroutine.status(outer), "dead")
  end,

  ["a running coroutine cannot resume itself"] = function(t)
    local co
    co = coroutine.create(function() return coroutine.resume(co) end)
    local ok, refused, err = coroutine.resume(co)
    t.equal(ok, true)
    t.equal(refused, false)
    t.has(err, "cannot resume")
  end,

  ["a coroutine cannot resume its resumer"] = function(t)
    local outer
    outer = coroutine.create(function()
      return coroutine.resume(coroutine.create(function() return coroutine.resume(outer) end))
    end)
    local ok, inner_ok, refused, err = coroutine.resume(outer)
    t.equal(ok, true)
    t.equal(inner_ok, true)
    t.equal(refused, false)
    t.has(err, "cannot resume")
  end,

  ["an error in a coroutine after a wait goes to its resumer"] = function(t)
    local value = {}
    local co = coroutine.create(function()
      time.sleep(0.01)
      fails(value)
    end)
    local ok, err = coroutine.resume(co)
    t.equal(ok, false)
    t.ok(rawequal(err, value), "the same table")
    t.equal(coroutine.status(co), "dead")
  end,

  ["an error in a wrapped coroutine after a wait is raised in its caller"] = function(t)
    t.raises("after the wait", coroutine.wrap(function()
      time.sleep(0.01)
      error "after the wait"
    end))
  end,

  ["an error that is nil comes out of a coroutine"] = function(t)
    t.list(t.pack(coroutine.resume(coroutine.create(fails), nil)), { n = 2, false, nil })
    t.list(t.pack(pcall(coroutine.wrap(fails), nil)), { n = 2, false, nil })
  end,

  ["a coroutine made in one fiber goes on in another"] = function(t)
    local co = coroutine.create(function()
      local ids = { this_fiber.id }
      coroutine.yield()
      time.sleep(0.01)
      ids[2] = this_fiber.id
      return ids
    end)
    local first = spawn(function() coroutine.resume(co) end)
    local first_id = first.id
    first:join()
    local second = spawn(function()
      local _, ids = coroutine.resume(co)
      return ids
    end)
    local second_id = second.id
    t.list(second:join(), { first_id, second_id })
  end,

  ["a suspended coroutine outlives the fiber that began it"] = function(t)
    local f = spawn(function()
      local f = coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(i) end
      end)
      f()
      return f
    end):join()
    collectgarbage()
    t.equal(f(), 2)
    t.equal(f(), 3)
  end,

  ["two fibers use one generator in turns, and never together"] = function(t)
    local generator = coroutine.wrap(function()
      for i = 1, 100 do coroutine.yield(i) end
    end)
    local sum = 0
    local function take()
      for _ = 1, 10 do
        sum = sum + generator()
        this_fiber.yield()
      end
    end
    local a, b = spawn(take), spawn(take)
    a:join()
    b:join()
    t.equal(sum, 210)
  end,

  ["a thousand coroutines wait in a thousand fibers"] = function(t)
    local fibers, sum = {}, 0
    for i = 1, 1000 do
      fibers[i] = spawn(function()
        return coroutine.wrap(function()
          time.sleep((i % 10) / 1000)
          return i
        end)()
      end)
    end
    for i = 1, 1000 do sum = sum + fibers[i]:join() end
    t.equal(sum, 500500)
  end,

  ["spawn and join work inside a coroutine"] = function(t)
    local co = coroutine.wrap(function()
      local fiber = spawn(function()
        time.sleep(0.01)
        return "child"
      end)
      coroutine.yield(fiber:join())
    end)
    t.equal(co(), "child")
  end,

  ["wrong arguments are refused as ever"] = function(t)
    t.raises("function expected", coroutine.create, 42)
    t.raises("function expected", coroutine.wrap)
    t.raises("coroutine expected", coroutine.resume, "text")
    t.raises("coroutine expected", coroutine.status, nil)
  end,

  ["a collected coroutine that was suspended harms nobody"] = function(t)
    for _ = 1, 200 do
      local co = coroutine.create(function() coroutine.yield() end)
      coroutine.resume(co)
    end
    collectgarbage()
    collectgarbage()
    t.equal(coroutine.wrap(function() return "alive" end)(), "alive")
  end,
}
