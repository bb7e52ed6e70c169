-- fiber:join(), and what a handle tells.
local time = require "time"

local function fails(value) error(value, 0) end

return {
  ["join gives what the function returned, nils too"] = function(t)
    local fiber = spawn(function() return 1, nil, "x", nil end)
    t.list(t.pack(fiber:join()), { n = 4, 1, nil, "x", nil })
  end,

  ["join gives nothing if the function returned nothing"] = function(t)
    t.equal(select("#", spawn(function() end):join()), 0)
  end,

  ["join gives a hundred results"] = function(t)
    local many = {}
    for i = 1, 100 do many[i] = i end
    t.list(t.pack(spawn(function() return unpack(many) end):join()), many)
  end,

  ["join waits for the end"] = function(t)
    local watch = t.stopwatch()
    local fiber = spawn(function()
      time.sleep(0.03)
      return "done"
    end)
    t.equal(fiber:join(), "done")
    watch.took(0.03)
  end,

  ["join of a fiber that ended long ago gives its results at once"] = function(t)
    local fiber = spawn(function() return "early" end)
    time.sleep(0.02)
    t.equal(fiber:join(), "early")
  end,

  ["join raises the error of the fiber, the same value"] = function(t)
    local value = { "mine" }
    local fiber = spawn(fails, value)
    local ok, err = pcall(fiber.join, fiber)
    t.equal(ok, false)
    t.ok(rawequal(err, value), "the same table")
  end,

  ["join raises a text unchanged, with the place where it was raised"] = function(t)
    local fiber = spawn(function() error "oops" end)
    local ok, err = pcall(fiber.join, fiber)
    t.equal(ok, false)
    t.ok(err:match "join%.lua:%d+: oops$", err)
  end,

  ["join raises errors that are nil, false and numbers"] = function(t)
    for _, value in ipairs { 42, false } do
      local fiber = spawn(fails, value)
      t.list(t.pack(pcall(fiber.join, fiber)), { n = 2, false, value })
    end
    local fiber = spawn(fails, nil)
    t.list(t.pack(pcall(fiber.join, fiber)), { n = 2, false, nil })
  end,

  ["join raises the error of a fiber that failed before anybody joined it"] = function(t)
    local fiber = t.waiting(fails, "early")
    time.sleep(0.01)
    t.raises("early", fiber.join, fiber)
  end,

  ["a runtime error in a fiber is joined with its text"] = function(t)
    local fiber = spawn(function()
      local nothing
      return nothing.field
    end)
    t.raises("attempt to index local 'nothing' (a nil value)", fiber.join, fiber)
  end,

  ["a fiber cannot be joined twice"] = function(t)
    local fiber = spawn(function() end)
    fiber:join()
    t.raises("already", function() fiber:join() end)
  end,

  ["a fiber whose error was joined cannot be joined again"] = function(t)
    local fiber = spawn(fails, "once")
    t.raises("once", fiber.join, fiber)
    t.raises("already", function() fiber:join() end)
  end,

  ["a detached fiber cannot be joined"] = function(t)
    local fiber = spawn(function() end)
    fiber:detach()
    t.raises("detached", function() fiber:join() end)
  end,

  ["a fiber cannot join itself"] = function(t)
    local fiber
    fiber = spawn(function() t.raises("a fiber cannot join itself", function() fiber:join() end) end)
    fiber:join()
  end,

  ["a second joiner is refused, the first gets the result"] = function(t)
    local target = spawn(function()
      time.sleep(0.02)
      return "result"
    end)
    local first = t.waiting(function() return target:join() end)
    t.raises("another fiber", function() target:join() end)
    t.equal(first:join(), "result")
  end,

  ["fibers that join each other come free by an interruption"] = function(t)
    local a, b
    a = spawn(function() return b:join() end)
    b = spawn(function() return a:join() end)
    time.sleep(0.01)
    a:interrupt()
    this_fiber.yield()
    t.equal(a.interruption_caught, true)
    b:join()
    t.equal(b.interruption_caught, false)
  end,

  ["a joiner that is interrupted leaves its target joinable"] = function(t)
    local target = spawn(function()
      time.sleep(0.03)
      return "kept"
    end)
    local joiner = t.waiting(function() target:join() end)
    joiner:interrupt()
    joiner:join()
    t.equal(joiner.interruption_caught, true)
    t.equal(target.joinable, true)
    t.equal(target:join(), "kept")
  end,

  ["joinable holds until the join"] = function(t)
    local fiber = spawn(function() end)
    t.equal(fiber.joinable, true)
    this_fiber.yield()
    t.equal(fiber.joinable, true, "ended, but not joined")
    fiber:join()
    t.equal(fiber.joinable, false)
  end,

  ["joinable ends with a failing join too"] = function(t)
    local fiber = spawn(fails, "x")
    t.raises("x", fiber.join, fiber)
    t.equal(fiber.joinable, false)
  end,

  ["join of an interrupted fiber gives nothing"] = function(t)
    local fiber = t.waiting(time.sleep, 10)
    fiber:interrupt()
    t.equal(select("#", fiber:join()), 0)
    t.equal(fiber.interruption_caught, true)
    t.equal(fiber.joinable, false)
  end,

  ["interruption_caught is false for a fiber that runs, returned or failed"] = function(t)
    local fiber = spawn(function() time.sleep(0.01) end)
    t.equal(fiber.interruption_caught, false)
    fiber:join()
    t.equal(fiber.interruption_caught, false)
    local failing = spawn(fails, "x")
    t.raises("x", failing.join, failing)
    t.equal(failing.interruption_caught, false)
  end,

  ["a joiner that ends by its target's error fails with that error"] = function(t)
    local inner = spawn(fails, "from below")
    local outer = spawn(function() return inner:join() end)
    t.raises("from below", outer.join, outer)
  end,

  ["many fibers can be joined in any order"] = function(t)
    local fibers = {}
    for i = 1, 50 do
      fibers[i] = spawn(function()
        time.sleep((i % 5) / 100)
        return i
      end)
    end
    for i = 50, 1, -1 do t.equal(fibers[i]:join(), i) end
  end,

  ["ids are texts, unique, and the handle's is the fiber's own"] = function(t)
    local seen = { [this_fiber.id] = true }
    t.equal(type(this_fiber.id), "string")
    for _ = 1, 20 do
      local fiber = spawn(function() return this_fiber.id end)
      local id = fiber.id
      t.equal(type(id), "string")
      t.equal(fiber:join(), id)
      t.ok(not seen[id], "a new id")
      seen[id] = true
    end
  end,

  ["a handle prints as its number"] = function(t)
    local fiber = spawn(function() end)
    t.ok(tostring(fiber):match "^fiber %d+$", tostring(fiber))
    fiber:join()
    t.ok(tostring(fiber):match "^fiber %d+$", "ended")
  end,

  ["a handle can be a key, and equals only itself"] = function(t)
    local a, b = spawn(function() end), spawn(function() end)
    local map = { [a] = "a", [b] = "b" }
    t.equal(map[a], "a")
    t.ok(a ~= b, "two handles")
    a:join()
    b:join()
    t.equal(map[a], "a")
  end,

  ["a failing fiber that is joined is not logged"] = function(t)
    local fiber = spawn(fails, "joined, so not logged")
    this_fiber.yield()
    t.raises("joined, so not logged", fiber.join, fiber)
    fiber = nil
    collectgarbage()
    collectgarbage()
  end,
}
