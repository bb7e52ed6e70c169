-- Wrong types and wrong objects: a Lua error with the function's name, and nothing breaks.
local modules = {}
for _, name in ipairs {
  "mutex", "recursive_mutex", "condition_variable", "future", "channel", "semaphore", "barrier", "steady_timer",
} do
  modules[name] = require(name)
end
local time = require "time"

-- One object of each kind, and the names of its methods.
local function objects()
  local promise, result = modules.future.new()
  return {
    { "mutex", modules.mutex.new(), "lock", "try_lock", "lock_for", "unlock" },
    { "recursive_mutex", modules.recursive_mutex.new(), "lock", "try_lock", "lock_for", "unlock" },
    { "condition_variable", modules.condition_variable.new(), "wait", "wait_for", "notify_one", "notify_all" },
    { "promise", promise, "set_value", "set_error" },
    { "future", result, "get", "get_for", "is_ready" },
    {
      "channel", modules.channel.new(),
      "send", "recv", "send_for", "recv_for", "try_send", "try_recv", "close", "len", "capacity", "is_closed", "iter",
    },
    { "semaphore", modules.semaphore.new(1), "acquire", "try_acquire", "acquire_for", "release", "count" },
    { "barrier", modules.barrier.new(1), "wait" },
    { "steady_timer", modules.steady_timer.new(), "expires_after", "wait", "cancel" },
  }
end

local cases = {
  ["spawn wants a function"] = function(t)
    for _, wrong in ipairs { 42, "text", {}, true } do
      t.raises("spawn: ", function() spawn(wrong) end)
    end
    t.raises("spawn: ", function() spawn() end)
    this_fiber.yield()
  end,

  ["a method of a fiber wants a fiber"] = function(t)
    local fiber = spawn(function() end)
    for _, name in ipairs { "join", "detach", "interrupt" } do
      for _, wrong in ipairs { 42, "fiber", {}, print } do
        t.raises("fiber:" .. name, function() fiber[name](wrong) end)
      end
      t.raises("fiber:" .. name, function() fiber[name]() end)
    end
    fiber:join()
  end,

  ["a mistake begins with the place of the caller"] = function(t)
    local m, c = modules.mutex.new(), modules.channel.new()
    local mistakes = {
      function()
        m:unlock()
        return 1
      end,
      function()
        spawn(42)
        return 1
      end,
      function()
        c:send(nil)
        return 1
      end,
      function()
        scope_cleanup_pop()
        return 1
      end,
      function()
        this_fiber.restore_interruption()
        return 1
      end,
      function()
        select {}
        return 1
      end,
    }
    for i, mistake in ipairs(mistakes) do
      local err = t.raises("", mistake)
      t.ok(type(err) == "string" and err:match "misuse%.lua:%d+: ", i .. ": " .. tostring(err))
    end
  end,

  ["limits in seconds want a number from 0 on"] = function(t)
    local m, c = modules.mutex.new(), modules.channel.new()
    local s, cv = modules.semaphore.new(0), modules.condition_variable.new()
    local _, result = modules.future.new()
    m:lock()
    local waits = {
      ["channel:recv_for: "] = function(limit) c:recv_for(limit) end,
      ["channel:send_for: "] = function(limit) c:send_for("x", limit) end,
      ["semaphore:acquire_for: "] = function(limit) s:acquire_for(limit) end,
      ["future:get_for: "] = function(limit) result:get_for(limit) end,
      ["condition_variable:wait_for: "] = function(limit) cv:wait_for(m, limit) end,
      ["mutex:lock_for: "] = function(limit) modules.mutex.new():lock_for(limit) end,
    }
    for name, wait in pairs(waits) do
      for _, wrong in ipairs { "soon", {}, -1, 0 / 0, true } do t.raises(name, wait, wrong) end
      t.raises(name, wait, nil)
    end
    m:unlock()
    t.equal(c:try_send "x", false, "nobody waits")
  end,

  ["scope_cleanup_pop wants a boolean or nothing"] = function(t)
    scope(function()
      scope_cleanup_push(function() end)
      scope_cleanup_pop(nil)
    end)
  end,

  ["an object's metatable is out of reach, or harmless"] = function(t)
    for _, entry in ipairs(objects()) do
      pcall(setmetatable, entry[2], nil)
      pcall(function() entry[2].unknown = 1 end)
    end
    pcall(function() spawn(function() end).joinable = 42 end)
    this_fiber.yield()
  end,

  ["a handle's fields cannot be made up"] = function(t)
    local fiber = spawn(function() return "result" end)
    pcall(function() fiber.joinable = false end)
    pcall(function() fiber.interruption_caught = true end)
    t.equal(fiber:join(), "result")
    t.equal(fiber.interruption_caught, false)
  end,

  ["this_fiber.interrupted_error raised by hand, and spoilt, breaks nothing"] = function(t)
    local fiber = spawn(function() error(this_fiber.interrupted_error, 0) end)
    pcall(fiber.join, fiber)
    this_fiber.yield()
  end,

  ["methods taken from an object work with another of its kind"] = function(t)
    local a, b = modules.mutex.new(), modules.mutex.new()
    a.lock(b)
    t.equal(b:try_lock(), false)
    t.equal(a:try_lock(), true)
    a:unlock()
    b:unlock()
  end,

  ["print and tostring of every object"] = function(t)
    for _, entry in ipairs(objects()) do t.equal(type(tostring(entry[2])), "string") end
    t.equal(type(tostring(time.after(0, function() end))), "string")
    time.sleep(0.01)
  end,

  ["the modules are the same at every require"] = function(t)
    for name, module in pairs(modules) do t.equal(require(name), module) end
    t.equal(require "time", time)
  end,

  ["debug functions on a waiting fiber's coroutine break nothing"] = function(t)
    local own
    local fiber = t.waiting(function()
      own = coroutine.running()
      time.sleep(0.02)
      return "went on"
    end)
    t.equal(type(debug.traceback(own)), "string")
    debug.getinfo(own, 1)
    debug.getlocal(own, 1, 1)
    t.equal(fiber:join(), "went on")
  end,

  ["a collection in the middle of everything breaks nothing"] = function(t)
    local c, m = modules.channel.new(), modules.mutex.new()
    local cv = modules.condition_variable.new()
    local fibers = {}
    for i = 1, 50 do
      fibers[#fibers + 1] = spawn(function() c:recv() end)
      fibers[#fibers + 1] = spawn(function()
        m:lock()
        scope_cleanup_push(function() m:unlock() end)
        cv:wait(m)
      end)
      fibers[#fibers + 1] = spawn(function() time.sleep(0.01) end)
    end
    this_fiber.yield()
    collectgarbage()
    collectgarbage()
    for _ = 1, 50 do c:send "x" end
    collectgarbage()
    cv:notify_all()
    for _, fiber in ipairs(fibers) do
      fiber:join()
      t.equal(fiber.interruption_caught, false)
    end
  end,
}

-- Every method, called with something else as its object.
for _, entry in ipairs(objects()) do
  local kind = entry[1]
  cases["the methods of a " .. kind .. " want a " .. kind] = function(t)
    for _, sample in ipairs(objects()) do
      if sample[1] == kind then
        for i = 3, #sample do
          local name = sample[i]
          local method = sample[2][name]
          t.equal(type(method), "function", name)
          for _, wrong in ipairs { 42, "text", {}, print, newproxy(true), spawn } do
            t.raises(kind .. ":" .. name, function() method(wrong, 1, 1) end)
          end
          t.raises(kind .. ":" .. name, function() method() end)
          for _, other in ipairs(objects()) do
            local related = kind:gsub("recursive_", "") == other[1]:gsub("recursive_", "")
            if not related then
              t.raises(kind .. ":" .. name, function() method(other[2], 1, 1) end)
            end
          end
        end
      end
    end
  end
end

return cases
