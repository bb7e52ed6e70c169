-- require "time": clocks and sleeping.
local time = require "time"

return {
  ["sleep takes as long as it says"] = function(t)
    for _, ms in ipairs { 10, 20, 50 } do
      local watch = t.stopwatch()
      time.sleep(ms / 1000)
      watch.took(ms / 1000)
    end
  end,

  ["sleep gives nothing back"] = function(t) t.equal(select("#", time.sleep(0.01)), 0) end,

  ["fractions of a millisecond are never slept too short"] = function(t)
    for _, seconds in ipairs { 0.0101, 0.0109, 0.00001, 0.0205 } do
      local watch = t.stopwatch()
      time.sleep(seconds)
      watch.took(seconds)
    end
  end,

  ["sleep wants a number"] = function(t)
    t.raises("time.sleep: argument 1 (seconds) must be a number, got string", function() time.sleep "soon" end)
    t.raises("time.sleep: argument 1 (seconds) must be a number, got nil", function() time.sleep(nil) end)
    t.raises("time.sleep: argument 1 (seconds) must be a number, got table", function() time.sleep {} end)
    t.raises("time.sleep: argument 1 (seconds) must be a number", function() time.sleep() end)
  end,

  ["sleep refuses times that are none"] = function(t)
    for _, wrong in ipairs { -1, -0.001, 0 / 0, math.huge, -math.huge, 2e9 } do
      t.raises("time.sleep: ", function() time.sleep(wrong) end)
    end
  end,

  ["a mistake says the line of the caller"] = function(t)
    local err = t.raises("time.sleep: ", function()
      time.sleep "soon"
      return 1
    end)
    t.ok(err:match "time%.lua:%d+: time%.sleep: ", err)
  end,

  ["sleep of nothing, and of minus nothing, comes back"] = function(t)
    time.sleep(0)
    time.sleep(-0)
  end,

  ["sleep_for counts in milliseconds"] = function(t)
    local watch = t.stopwatch()
    time.sleep_for(20)
    watch.took(0.02)
    require "sleep_for"(20)
    watch.took(0.04)
  end,

  ["sleep_for is one function under both names"] = function(t) t.equal(require "sleep_for", time.sleep_for) end,

  ["sleep_for wants a number from 0 on"] = function(t)
    for _, wrong in ipairs { "soon", {}, -1, 0 / 0, math.huge } do
      t.raises("sleep_for: ", function() time.sleep_for(wrong) end)
    end
  end,

  ["now is a whole number of milliseconds since 1970"] = function(t)
    local now = time.now()
    t.equal(type(now), "number")
    t.equal(now % 1, 0)
    t.ok(now > 1.6e12 and now < 1e13, tostring(now))
  end,

  ["monotonic is in seconds and never goes back"] = function(t)
    local last = time.monotonic()
    for _ = 1, 1000 do
      local now = time.monotonic()
      t.ok(now >= last, "it went back")
      last = now
    end
    time.sleep(0.02)
    local passed = time.monotonic() - last
    t.ok(passed >= 0.0199, tostring(passed))
    if t.virtual then t.ok(passed < 0.03, tostring(passed)) end
  end,

  ["long sleeps can be cut short by an interruption"] = function(t)
    local fibers = {}
    for i, seconds in ipairs { 100, 3600, 86400, 1e6, 1e9 } do fibers[i] = spawn(time.sleep, seconds) end
    this_fiber.yield()
    for _, fiber in ipairs(fibers) do
      fiber:interrupt()
      fiber:join()
      t.equal(fiber.interruption_caught, true)
    end
  end,

  ["sleeps far apart wake in order"] = function(t)
    local log, fibers = t.order(), {}
    for i, ms in ipairs { 200, 1, 64, 63, 65, 128, 2 } do
      fibers[i] = spawn(function()
        time.sleep(ms / 1000)
        log(ms)
      end)
    end
    for _, fiber in ipairs(fibers) do fiber:join() end
    log:is "1 2 63 64 65 128 200"
  end,

  ["very long sleeps end in order, where time costs nothing"] = function(t)
    if not t.virtual then return end
    local log, fibers, watch = t.order(), {}, t.stopwatch()
    for i, seconds in ipairs { 70000, 0.001, 4095, 4097, 4.095, 4.096, 4.097, 262.143, 262.144, 16777 } do
      fibers[i] = spawn(function()
        time.sleep(seconds)
        watch.took(seconds)
        log(seconds)
      end)
    end
    for _, fiber in ipairs(fibers) do fiber:join() end
    log:is "0.001 4.095 4.096 4.097 262.143 262.144 4095 4097 16777 70000"
  end,

  ["a thousand different sleeps wake in order"] = function(t)
    local woken, sorted, fibers = -1, true, {}
    for i = 1, 1000 do
      local ms = (i * 7919) % 200
      fibers[i] = spawn(function()
        time.sleep(ms / 1000)
        sorted = sorted and ms >= woken
        woken = ms
      end)
    end
    -- All of them read the clock within one turn; a real clock may move on meanwhile.
    for _, fiber in ipairs(fibers) do fiber:join() end
    if t.virtual then t.ok(sorted, "in order") end
    t.ok(woken >= 0)
  end,
}
