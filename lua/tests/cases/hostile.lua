-- Values and globals that a program can make so that whoever touches them breaks: the scheduler does not.
local channel, time, mutex = require "channel", require "time", require "mutex"
local condition_variable = require "condition_variable"
local ffi = require "ffi"

-- Structures whose comparison raises, or always says yes.
ffi.cdef "typedef struct { int x; } hostile_raises; typedef struct { int x; } hostile_equal;"
local raises = ffi.metatype("hostile_raises", { __eq = function(a, b) return a.x == b.nothing_there end })
local equal = ffi.metatype("hostile_equal", { __eq = function() return true end })

-- A metatable that raises when anything is looked up in it.
local strict = setmetatable({}, { __index = function(_, key) error("no field " .. tostring(key)) end })

return {
  ["a fiber may return what cannot be compared"] = function(t)
    t.equal(spawn(function() return raises(7) end):join().x, 7)
  end,

  ["a fiber may return what is equal to everything"] = function(t)
    t.equal(spawn(function() return equal(7) end):join().x, 7)
  end,

  ["a generator may yield what cannot be compared, and the fiber may wait afterwards"] = function(t)
    local next = coroutine.wrap(function() coroutine.yield(raises(7)) coroutine.yield(equal(8)) end)
    t.equal(next().x, 7)
    t.equal(next().x, 8)
    time.sleep(0.01)
  end,

  ["a fiber may raise what cannot be compared"] = function(t)
    local fiber = spawn(function() error(raises(7)) end)
    local ok, err = pcall(fiber.join, fiber)
    t.equal(ok, false)
    t.equal(err.x, 7)
  end,

  ["an error whose metatable raises ends its fiber as any other"] = function(t)
    local cleaned = false
    local fiber = spawn(function()
      scope_cleanup_push(function() cleaned = true end)
      time.sleep(0.01)
      error(setmetatable({}, strict))
    end)
    t.equal(select { fiber }, 1)
    t.equal(pcall(fiber.join, fiber), false)
    t.equal(cleaned, true)
  end,

  ["without the global debug condition variables and sends in a select work"] = function(t)
    local debug_before = debug
    debug = nil
    local m, cv, c = mutex.new(), condition_variable.new(), channel.new(1)
    local ok, err = pcall(function()
      m:lock()
      local _, why = cv:wait_for(m, 0.01)
      m:unlock()
      t.equal(why.code, "timed_out")
      t.equal(select { { c, "send", 1 } }, 1)
    end)
    debug = debug_before
    t.equal(ok, true, tostring(err))
  end,

  ["without string.gsub a failing fiber fails as any other"] = function(t)
    local gsub, cleaned = string.gsub, false
    string.gsub = nil
    local fiber = spawn(function()
      scope_cleanup_push(function() cleaned = true end)
      error("plain", 0)
    end)
    local ok, err = pcall(fiber.join, fiber)
    string.gsub = gsub
    t.equal(ok, false)
    t.equal(err, "plain")
    t.equal(cleaned, true)
  end,

  ["a coroutine cannot yield out of a cleanup handler"] = function(t)
    local co = coroutine.create(function()
      scope(function() scope_cleanup_push(function() coroutine.yield() end) end)
    end)
    local ok, err = coroutine.resume(co)
    t.equal(ok, false)
    t.has(err, "coroutine.yield: a cleanup handler must come to its end")
    local fiber = t.waiting(function() time.sleep(10) end)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
  end,

  ["a limit inside a cleanup handler ends its wait"] = function(t)
    local code
    scope(function()
      scope_cleanup_push(function()
        local _, err = with_timeout(0.02, time.sleep, 10)
        code = err.code
      end)
    end)
    t.equal(code, "timed_out")
  end,

  ["a limit inside a cleanup handler of an interrupted fiber ends its wait"] = function(t)
    local code
    local fiber = t.waiting(function()
      scope_cleanup_push(function()
        local _, err = with_timeout(0.02, time.sleep, 10)
        code = err.code
      end)
      time.sleep(10)
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(code, "timed_out")
  end,

  ["a limit outside does not reach into a cleanup handler"] = function(t)
    local slept = false
    with_timeout(0.01, function()
      scope(function()
        scope_cleanup_push(function() time.sleep(0.03) slept = true end)
        time.sleep(10)
      end)
    end)
    t.equal(slept, true)
  end,

  ["more arguments than can be passed on are a mistake of spawn's"] = function(t)
    local many = {}
    for n = 1, 7001 do many[n] = n end
    t.raises("spawn: too many arguments", spawn, print, unpack(many))
  end,
}
