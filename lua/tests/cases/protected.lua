-- pcall and xpcall with waits inside: the same results as Lua's own.
local time = require "time"

local function fails(value) error(value, 0) end

return {
  ["pcall gives true and all results, nils too"] = function(t)
    t.list(t.pack(pcall(function(...) return ... end, nil, 1, nil)), { n = 4, true, nil, 1, nil })
    t.list(t.pack(pcall(function() end)), { n = 1, true })
  end,

  ["pcall gives false and the error, whatever it is"] = function(t)
    local value = {}
    t.list(t.pack(pcall(fails, value)), { n = 2, false, value })
    t.list(t.pack(pcall(fails, "text")), { n = 2, false, "text" })
    t.list(t.pack(pcall(fails, false)), { n = 2, false, false })
    t.list(t.pack(pcall(fails, nil)), { n = 2, false, nil })
    t.list(t.pack(pcall(error)), { n = 2, false, nil })
  end,

  ["pcall of something that cannot be called gives false"] = function(t)
    local ok, err = pcall(42)
    t.equal(ok, false)
    t.has(err, "attempt to call a number value")
    t.has(select(2, pcall(nil)), "attempt to call a nil value")
  end,

  ["pcall calls tables that can be called, and C functions"] = function(t)
    local object = setmetatable({}, { __call = function(_, a) return a end })
    t.list(t.pack(pcall(object, 5)), { n = 2, true, 5 })
    t.list(t.pack(pcall(string.rep, "ab", 2)), { n = 2, true, "abab" })
    t.equal(pcall(string.rep), false)
  end,

  ["a wait inside pcall comes back through it"] = function(t)
    t.list(t.pack(pcall(function(a)
      time.sleep(0.01)
      return a, nil
    end, "a")), { n = 3, true, "a", nil })
  end,

  ["an error after a wait inside pcall is caught there"] = function(t)
    local value = {}
    local ok, err = pcall(function()
      time.sleep(0.01)
      fails(value)
    end)
    t.equal(ok, false)
    t.ok(rawequal(err, value), "the same table")
  end,

  ["pcall of a waiting function itself"] = function(t)
    t.list(t.pack(pcall(this_fiber.yield)), { n = 1, true })
    t.equal(pcall(time.sleep, 0.01), true)
    t.equal(pcall(time.sleep, "x"), false)
  end,

  ["pcalls nest, each catches its own"] = function(t)
    local log = t.order()
    local ok, err = pcall(function()
      time.sleep(0.01)
      local ok, err = pcall(function()
        time.sleep(0.01)
        fails "inner"
      end)
      log(tostring(ok) .. ":" .. err)
      this_fiber.yield()
      fails "outer"
    end)
    log(tostring(ok) .. ":" .. err)
    log:is "false:inner false:outer"
  end,

  ["an error crosses frames and waits to the next pcall"] = function(t)
    local reached
    local function middle()
      this_fiber.yield()
      fails "from the bottom"
      reached = true
    end
    t.raises("from the bottom", function()
      middle()
      reached = true
    end)
    t.equal(reached, nil)
  end,

  ["five hundred pcalls deep, with a wait at the bottom"] = function(t)
    local function nest(n)
      if n == 0 then
        time.sleep(0.01)
        return 0
      end
      local ok, depth = pcall(nest, n - 1)
      t.equal(ok, true)
      return depth + 1
    end
    t.equal(nest(500), 500)
  end,

  ["an endless recursion is caught, and the fiber goes on"] = function(t)
    local function endless() return 1 + endless() end
    local ok, err = pcall(endless)
    t.equal(ok, false)
    t.has(err, "stack overflow")
    time.sleep(0.01)
    t.equal(spawn(function() return "alive" end):join(), "alive")
  end,

  ["an endless recursion in a spawned fiber is its joiner's error"] = function(t)
    local function endless() return 1 + endless() end
    local fiber = spawn(endless)
    t.raises("stack overflow", fiber.join, fiber)
  end,

  ["an endless recursion of pcalls ends"] = function(t)
    local deepest = 0
    local function endless(n)
      deepest = math.max(deepest, n)
      local ok, err = pcall(endless, n + 1)
      return ok, err
    end
    endless(1)
    t.ok(deepest > 100, "it went deep")
    time.sleep(0.01)
  end,

  ["xpcall passes arguments and gives all results"] = function(t)
    t.list(t.pack(xpcall(function(...) return select("#", ...), ... end, print, nil, "x", nil)), {
      n = 5, true, 3, nil, "x", nil,
    })
  end,

  ["xpcall gives false and the first result of its message handler"] = function(t)
    t.list(t.pack(xpcall(fails, function(err) return err .. "!", "dropped" end, "oops")), {
      n = 2, false, "oops!",
    })
    t.list(t.pack(xpcall(fails, function() end, "oops")), { n = 2, false, nil })
  end,

  ["the message handler of xpcall runs where the error happened, after a wait too"] = function(t)
    local function culprit()
      time.sleep(0.01)
      error "deep trouble"
    end
    local _, trace = xpcall(function() culprit() end, debug.traceback)
    t.has(trace, "deep trouble")
    t.has(trace, "culprit")
  end,

  ["an error in a message handler is not endless"] = function(t)
    local ok = xpcall(fails, function() error "again" end, "first")
    t.equal(ok, false)
    time.sleep(0.01)
  end,

  ["a wait inside xpcall comes back through it"] = function(t)
    t.list(t.pack(xpcall(function(...)
      time.sleep(0.01)
      return ...
    end, print, 1, nil, 3)), { n = 4, true, 1, nil, 3 })
  end,

  ["xpcall in a coroutine in xpcall, each with a wait"] = function(t)
    local ok, a, b = xpcall(function()
      this_fiber.yield()
      local co = coroutine.create(function()
        local ok, err = xpcall(function()
          time.sleep(0.01)
          fails "inner"
        end, function(err) return "handled " .. err end)
        coroutine.yield(ok)
        return err
      end)
      local _, first = coroutine.resume(co)
      this_fiber.yield()
      local _, second = coroutine.resume(co)
      return first, second
    end, print)
    t.equal(ok, true)
    t.equal(a, false)
    t.equal(b, "handled inner")
  end,

  ["select still counts and picks"] = function(t)
    t.equal(select("#"), 0)
    t.equal(select("#", nil, nil), 2)
    t.list(t.pack(select(2, "a", "b", "c")), { n = 2, "b", "c" })
    t.list(t.pack(select(-1, "a", "b", "c")), { n = 1, "c" })
    t.raises("index out of range", select, 0)
    t.raises("number expected", select, nil)
  end,

  ["select with a table as a value is Lua's own"] = function(t)
    local value = {}
    t.list(t.pack(select(1, value)), { n = 1, value })
    t.equal(select("#", value, value), 2)
  end,

  ["assert and error work across waits"] = function(t)
    local function checked(value)
      time.sleep(0.01)
      return assert(value, "no value")
    end
    t.equal(checked "x", "x")
    t.raises("no value", checked, nil)
    t.raises("assertion failed", function()
      this_fiber.yield()
      assert(false)
    end)
  end,

  ["an error with a level names the caller after a wait"] = function(t)
    local function picky()
      time.sleep(0.01)
      error("wrong use", 2)
    end
    local err = t.raises("wrong use", function()
      picky()
      return 1
    end)
    t.ok(err:match "protected%.lua:%d+: wrong use$", err)
  end,
}
