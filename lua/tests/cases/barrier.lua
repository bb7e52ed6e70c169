-- require "barrier".
local barrier, time = require "barrier", require "time"

return {
  ["all go on when the last one has come"] = function(t)
    local b, log, fibers = barrier.new(3), t.order(), {}
    for i = 1, 3 do
      fibers[i] = spawn(function()
        time.sleep(i / 100)
        log("in" .. i)
        b:wait()
        log "out"
      end)
    end
    for i = 1, 3 do fibers[i]:join() end
    log:is "in1 in2 in3 out out out"
  end,

  ["the one that comes last is told so, the others are not"] = function(t)
    local b, fibers = barrier.new(3), {}
    for i = 1, 3 do fibers[i] = spawn(function() return b:wait() end) end
    t.equal(fibers[1]:join(), false)
    t.equal(fibers[2]:join(), false)
    t.equal(fibers[3]:join(), true)
  end,

  ["a barrier can be used again and again"] = function(t)
    local b, log, fibers = barrier.new(2), t.order(), {}
    for i = 1, 2 do
      fibers[i] = spawn(function()
        for round = 1, 3 do
          log(round)
          b:wait()
        end
      end)
    end
    fibers[1]:join()
    fibers[2]:join()
    log:is "1 1 2 2 3 3"
  end,

  ["a barrier for one never waits for others"] = function(t)
    local b = barrier.new(1)
    for _ = 1, 3 do t.equal(b:wait(), true) end
  end,

  ["an interrupted waiter leaves: the others wait for one more"] = function(t)
    local b, log = barrier.new(2), t.order()
    local leaver = t.waiting(function() b:wait() end)
    leaver:interrupt()
    leaver:join()
    local first = t.waiting(function()
      log(tostring(b:wait()))
    end)
    log "still waits"
    t.equal(b:wait(), true)
    first:join()
    log:is "still waits false"
  end,

  ["a waiter that is let go and then interrupted goes on"] = function(t)
    local b = barrier.new(2)
    local first = t.waiting(function() return b:wait() end)
    t.equal(b:wait(), true)
    first:interrupt()
    t.equal(first:join(), false)
    t.equal(first.interruption_caught, false)
  end,

  ["wrong counts are mistakes"] = function(t)
    for _, wrong in ipairs { 0, -1, 1.5, "x", {}, 0 / 0 } do
      t.raises("barrier.new: ", function() barrier.new(wrong) end)
    end
    t.raises("barrier.new: ", function() barrier.new() end)
  end,
}
