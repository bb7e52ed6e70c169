-- time.after, time.every and steady_timer.
local channel, time = require "channel", require "time"
local steady_timer = require "steady_timer"

local function cancelled(t, ...) t.gave_up("cancelled", "timer", ...) end

return {
  ["after runs its function once, with its arguments"] = function(t)
    local watch, c, calls = t.stopwatch(), channel.new(1), 0
    time.after(0.02, function(...)
      calls = calls + 1
      c:send(t.pack(...))
    end, 1, nil, "x")
    t.list(c:recv(), { n = 3, 1, nil, "x" })
    watch.took(0.02)
    time.sleep(0.05)
    t.equal(calls, 1)
  end,

  ["after does not wait"] = function(t)
    local log = t.order()
    time.after(0.01, function() log "timer" end)
    log "here"
    time.sleep(0.03)
    log:is "here timer"
  end,

  ["what after runs is a fiber of its own that may wait"] = function(t)
    local c = channel.new()
    time.after(0.01, function()
      local id = this_fiber.id
      time.sleep(0.01)
      c:send(id)
    end)
    t.ok(c:recv() ~= this_fiber.id, "another fiber")
  end,

  ["after of nothing runs soon, not at once"] = function(t)
    local log = t.order()
    time.after(0, function() log "timer" end)
    log "here"
    time.sleep(0.01)
    log:is "here timer"
  end,

  ["a timer that is cancelled in time never runs"] = function(t)
    local ran
    local timer = time.after(0.02, function() ran = true end)
    t.equal(timer:cancel(), true)
    t.equal(timer:cancel(), false)
    time.sleep(0.04)
    t.equal(ran, nil)
  end,

  ["cancelling a timer that ran says false"] = function(t)
    local timer = time.after(0.01, function() end)
    time.sleep(0.03)
    t.equal(timer:cancel(), false)
  end,

  ["timers run in the order of their times"] = function(t)
    local log = t.order()
    for _, ms in ipairs { 30, 10, 20 } do time.after(ms / 1000, function(name) log(name) end, ms) end
    time.sleep(0.05)
    log:is "10 20 30"
  end,

  ["an error in what after runs is logged"] = function(t)
    t.reports "failed in a timer"
    time.after(0.01, function() error "failed in a timer" end)
    time.sleep(0.03)
  end,

  ["a timer whose handle is collected runs all the same"] = function(t)
    local ran
    time.after(0.02, function() ran = true end)
    collectgarbage()
    collectgarbage()
    time.sleep(0.04)
    t.equal(ran, true)
  end,

  ["every runs again and again until it is cancelled"] = function(t)
    local c = channel.new(10)
    local watch = t.stopwatch()
    local timer = time.every(0.01, function(value) c:try_send(value) end, "tick")
    for _ = 1, 3 do t.equal(c:recv(), "tick") end
    watch.took(0.03)
    t.equal(timer:cancel(), true)
    t.equal(timer:cancel(), false)
    while c:try_recv() do end
    time.sleep(0.05)
    t.equal(c:len(), 0)
  end,

  ["every may cancel itself"] = function(t)
    local runs, timer = 0, nil
    timer = time.every(0.01, function()
      runs = runs + 1
      if runs == 2 then timer:cancel() end
    end)
    time.sleep(0.06)
    t.equal(runs, 2)
  end,

  ["every does not run again before the last run has ended, and skips what it missed"] = function(t)
    local inside, most, runs = 0, 0, 0
    local timer = time.every(0.01, function()
      inside = inside + 1
      most = math.max(most, inside)
      runs = runs + 1
      time.sleep(0.035)
      inside = inside - 1
    end)
    time.sleep(0.1)
    timer:cancel()
    time.sleep(0.05)
    t.equal(most, 1)
    t.equal(inside, 0)
    t.ok(runs >= 1 and runs <= 3, "runs: " .. runs)
    if t.virtual then t.ok(runs >= 2, "runs: " .. runs) end
  end,

  ["every goes on after an error, which is logged"] = function(t)
    t.reports "failed once"
    local runs = 0
    local timer = time.every(0.01, function()
      runs = runs + 1
      if runs == 1 then error "failed once" end
    end)
    time.sleep(0.05)
    timer:cancel()
    t.ok(runs >= 2, "runs: " .. runs)
  end,

  ["a timer cancelled while its run waits does not end the run"] = function(t)
    local log = t.order()
    local timer = time.every(0.01, function()
      log "in"
      time.sleep(0.03)
      log "out"
    end)
    time.sleep(0.02)
    timer:cancel()
    time.sleep(0.06)
    log:is "in out"
  end,

  ["wrong arguments are mistakes"] = function(t)
    for _, name in ipairs { "after", "every" } do
      t.raises("time." .. name .. ": ", function() time[name]("soon", print) end)
      t.raises("time." .. name .. ": ", function() time[name](-1, print) end)
      t.raises("time." .. name .. ": ", function() time[name](0 / 0, print) end)
      t.raises("time." .. name .. ": ", function() time[name](1, 42) end)
      t.raises("time." .. name .. ": ", function() time[name](1) end)
    end
    t.raises("time.every: ", function() time.every(0, print) end)
  end,

  ["steady_timer is the same under both names"] = function(t) t.equal(steady_timer, time.steady_timer) end,

  ["a new steady_timer has run out"] = function(t) t.equal(steady_timer.new():wait(), true) end,

  ["a steady_timer wakes all its waiters when it runs out"] = function(t)
    local timer, watch, fibers = steady_timer.new(), t.stopwatch(), {}
    t.equal(timer:expires_after(20), 0)
    for i = 1, 3 do fibers[i] = spawn(function() return timer:wait() end) end
    for i = 1, 3 do t.equal(fibers[i]:join(), true) end
    watch.took(0.02)
    t.equal(timer:wait(), true, "it has run out")
  end,

  ["a cancelled steady_timer tells its waiters"] = function(t)
    local timer, fibers = steady_timer.new(), {}
    timer:expires_after(10000)
    for i = 1, 3 do fibers[i] = t.waiting(function() return timer:wait() end) end
    t.equal(timer:cancel(), 3)
    for i = 1, 3 do cancelled(t, fibers[i]:join()) end
    t.equal(timer:cancel(), 0)
  end,

  ["a new time for a steady_timer cancels its waiters"] = function(t)
    local timer, watch = steady_timer.new(), t.stopwatch()
    timer:expires_after(10000)
    local fiber = t.waiting(function() return timer:wait() end)
    t.equal(timer:expires_after(20), 1)
    cancelled(t, fiber:join())
    t.equal(timer:wait(), true)
    watch.took(0.02)
  end,

  ["a steady_timer can be wound up again"] = function(t)
    local timer, watch = steady_timer.new(), t.stopwatch()
    for i = 1, 3 do
      timer:expires_after(10)
      t.equal(timer:wait(), true)
      watch.took(i / 100)
    end
  end,

  ["an interrupted waiter leaves the steady_timer to the others"] = function(t)
    local timer = steady_timer.new()
    timer:expires_after(20)
    local first = t.waiting(function() timer:wait() end)
    local second = t.waiting(function() return timer:wait() end)
    first:interrupt()
    first:join()
    t.equal(second:join(), true)
  end,

  ["a steady_timer wants milliseconds"] = function(t)
    local timer = steady_timer.new()
    for _, wrong in ipairs { "soon", {}, -1, 0 / 0 } do
      t.raises("steady_timer:expires_after: ", function() timer:expires_after(wrong) end)
    end
    t.equal(timer:wait(), true)
  end,
}
