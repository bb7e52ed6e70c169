-- require "nap": sleeping, under the names of the original.
local nap = require "nap"

return {
  ["what new makes sleeps as long as it says, in each unit"] = function(t)
    local n, watch = nap:new(), t.stopwatch()
    n:sleep(0.02)
    watch.took(0.02)
    n:usleep(20000)
    watch.took(0.04)
    n:nsleep(20e6)
    watch.took(0.06)
    t.equal(select("#", n:sleep(0.001)), 0)
  end,

  ["nap itself sleeps, too, and a dot will do for new"] = function(t)
    local watch = t.stopwatch()
    nap:sleep(0.01)
    nap:usleep(10000)
    nap:nsleep(10e6)
    watch.took(0.03)
    nap.new():sleep(0.01)
    watch.took(0.04)
  end,

  ["only the fiber sleeps"] = function(t)
    local log = t.order()
    local other = spawn(function() log "other" end)
    nap:usleep(1)
    log "slept"
    other:join()
    log:is "other slept"
  end,

  ["nothing is never too short, and lets others run"] = function(t)
    local log = t.order()
    local other = spawn(function() log "other" end)
    nap:sleep(0)
    log "back"
    other:join()
    log:is "other back"
    local watch = t.stopwatch()
    nap:nsleep(1)
    watch.took(1e-9)
  end,

  ["it is an interruption point"] = function(t)
    local sleeper = spawn(function() nap:sleep(1e6) end)
    this_fiber.yield()
    sleeper:interrupt()
    sleeper:join()
    t.equal(sleeper.interruption_caught, true)
  end,

  ["wrong arguments are named, at the line of the caller"] = function(t)
    t.raises("nap:sleep: argument 1 (seconds) must be a number, got string", function() nap:sleep "1" end)
    t.raises("nap:usleep: argument 1 (microseconds) must be a number, got nil", function() nap:usleep() end)
    t.raises("nap:nsleep: argument 1 (nanoseconds) must be a number, got table", function() nap:nsleep {} end)
    t.raises("nap:sleep: argument 1 (seconds) must be from 0 to 1e+09, got -1", function() nap:sleep(-1) end)
    t.raises("nap:usleep: argument 1 (microseconds) must be from 0 to 1e+15", function() nap:usleep(2e15) end)
    t.raises("nap:nsleep: argument 1 (nanoseconds) must be from 0 to 1e+18, got inf", function() nap:nsleep(1 / 0) end)
    t.raises("nap:sleep: ", function() nap:sleep(0 / 0) end)
    t.raises("nap:sleep: must be called with a colon", function() nap.sleep(1) end)
    local err = t.raises("nap:sleep: ", function()
      nap:sleep "soon"
      return 1
    end)
    t.ok(err:match "nap%.lua:%d+: nap:sleep: ", err)
  end,
}
