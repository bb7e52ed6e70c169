-- Waits where a C function stands between the wait and the scheduler.
local channel, mutex, time = require "channel", require "mutex", require "time"

local BOUNDARY = "cannot wait here: a C function is on the way to the scheduler (attempt to yield across C-call boundary)"

return {
  ["a wait in a comparison of table.sort is a mistake with a name"] = function(t)
    t.raises("time.sleep: " .. BOUNDARY, table.sort, { 3, 1, 2 }, function(a, b)
      time.sleep(0.01)
      return a < b
    end)
    time.sleep(0.01)
  end,

  ["a wait in a replacement of string.gsub is a mistake with a name"] = function(t)
    local c = channel.new()
    t.raises("channel:recv: " .. BOUNDARY, string.gsub, "abc", "%w", function() return c:recv() end)
    t.equal(c:try_send "x", false, "nobody waits")
  end,

  ["a wait in __tostring called by string.format is a mistake with a name"] = function(t)
    local object = setmetatable({}, { __tostring = function()
      time.sleep(0.01)
      return "never"
    end })
    t.raises("time.sleep: " .. BOUNDARY, string.format, "%s", object)
  end,

  ["a wait in a reader of load is a mistake"] = function(t)
    local caught
    local chunk, err = load(function()
      local ok, why = pcall(time.sleep, 0.01)
      caught = caught or why
      return nil
    end)
    t.has(caught, "time.sleep: " .. BOUNDARY)
  end,

  ["a wait while a module is required is a mistake, and the module can be required later"] = function(t)
    local waits = true
    package.preload["boundary.module"] = function()
      if waits then time.sleep(0.01) end
      return "loaded"
    end
    t.raises("time.sleep: " .. BOUNDARY, require, "boundary.module")
    waits = false
    package.loaded["boundary.module"] = nil
    t.equal(require "boundary.module", "loaded")
    package.preload["boundary.module"], package.loaded["boundary.module"] = nil, nil
  end,

  ["a wait in a finalizer is a mistake"] = function(t)
    local caught
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = function()
      local _, err = pcall(time.sleep, 0.01)
      caught = err
    end
    proxy = nil
    collectgarbage()
    collectgarbage()
    t.has(caught, "time.sleep: " .. BOUNDARY)
  end,

  ["every kind of wait says so, with its own name"] = function(t)
    local held, c = mutex.new(), channel.new()
    held:lock()
    local fiber = spawn(function()
      time.sleep(0.05)
    end)
    local _, future = require("future").new()
    local cv, m = require("condition_variable").new(), mutex.new()
    local semaphore, barrier = require("semaphore").new(0), require("barrier").new(2)
    local timer = time.steady_timer.new()
    timer:expires_after(1000)
    local waits = {
      ["this_fiber.yield"] = function() this_fiber.yield() end,
      ["channel:send"] = function() c:send "x" end,
      ["channel:recv_for"] = function() c:recv_for(1) end,
      ["future:get"] = function() future:get() end,
      ["fiber:join"] = function() fiber:join() end,
      ["semaphore:acquire"] = function() semaphore:acquire() end,
      ["barrier:wait"] = function() barrier:wait() end,
      ["steady_timer:wait"] = function() timer:wait() end,
      ["select"] = function() select { c, timeout = 1 } end,
      ["condition_variable:wait"] = function()
        t.equal(m:try_lock(), true)
        scope_cleanup_push(function() m:unlock() end)
        cv:wait(m)
      end,
    }
    for name, wait in pairs(waits) do
      local err
      string.gsub("x", "x", function() _, err = pcall(wait) end)
      t.has(err, name .. ": " .. BOUNDARY)
    end
    local locker = spawn(function()
      local err
      string.gsub("x", "x", function() _, err = pcall(held.lock, held) end)
      t.has(err, "mutex:lock: " .. BOUNDARY)
    end)
    locker:join()
    held:unlock()
    t.equal(c:try_send "x", false, "no receiver is left")
    t.equal(m:try_lock(), true, "the condition variable's mutex is free")
    m:unlock()
    semaphore:release()
    t.equal(semaphore:count(), 1, "no acquirer is left")
    t.equal(timer:cancel(), 0, "no waiter is left")
    t.equal(held:try_lock(), true, "no locker is left")
    held:unlock()
    fiber:join()
  end,

  ["a wait in a coroutine that a C function's callback resumes is a mistake in the coroutine"] = function(t)
    local inside, after
    string.gsub("x", "x", function()
      local co = coroutine.wrap(function()
        local ok, err = pcall(time.sleep, 0.01)
        inside = err
        coroutine.yield "first"
        return "second"
      end)
      after = co() .. co()
    end)
    t.has(inside, BOUNDARY)
    t.equal(after, "firstsecond", "the coroutine itself may yield")
  end,

  ["after the mistake the same wait works"] = function(t)
    local c = channel.new()
    pcall(string.gsub, "x", "x", function() c:recv() end)
    local fiber = t.waiting(function() return c:recv() end)
    c:send "value"
    t.equal(fiber:join(), "value")
  end,

  ["what need not wait works below a C function"] = function(t)
    local c = channel.new(5)
    local done = string.gsub("abc", "%w", function(letter)
      t.equal(c:try_send(letter), true)
      spawn(function() end):detach()
      return letter:upper()
    end)
    t.equal(done, "ABC")
    t.equal(c:len(), 3)
  end,

  ["a wait in a metamethod called by Lua code works"] = function(t)
    local object = setmetatable({}, {
      __index = function(_, key)
        time.sleep(0.01)
        return key .. "!"
      end,
      __newindex = function(self, key, value)
        time.sleep(0.01)
        rawset(self, key, value)
      end,
      __call = function(_, a)
        time.sleep(0.01)
        return a
      end,
      __add = function(_, b)
        time.sleep(0.01)
        return b
      end,
      __eq = function()
        time.sleep(0.01)
        return true
      end,
      __lt = function()
        time.sleep(0.01)
        return true
      end,
      __concat = function()
        time.sleep(0.01)
        return "joined"
      end,
      __unm = function()
        time.sleep(0.01)
        return "minus"
      end,
    })
    local other = setmetatable({}, getmetatable(object))
    t.equal(object.field, "field!")
    object.stored = 5
    t.equal(rawget(object, "stored"), 5)
    t.equal(object(7), 7)
    t.equal(object + 3, 3)
    t.ok(object == other)
    t.ok(object < other)
    t.equal(object .. "x", "joined")
    t.equal(-object, "minus")
  end,

  ["a wait in an iterator function of a for loop works"] = function(t)
    local function slow_pairs(list)
      return function(_, i)
        time.sleep(0.01)
        if list[i + 1] then return i + 1, list[i + 1] end
      end, list, 0
    end
    local text = ""
    for _, value in slow_pairs { "a", "b", "c" } do text = text .. value end
    t.equal(text, "abc")
  end,

  ["a wait in a chunk of loadstring works"] = function(t)
    t.equal(assert(loadstring "local time = ... time.sleep(0.01) return 'chunk'")(time), "chunk")
  end,
}
