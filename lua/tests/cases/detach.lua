-- fiber:detach(), and handles that nobody keeps.
local channel, time = require "channel", require "time"

local function collect()
  collectgarbage()
  collectgarbage()
end

return {
  ["a detached fiber runs to its end"] = function(t)
    local done
    local fiber = spawn(function()
      time.sleep(0.02)
      done = true
    end)
    fiber:detach()
    time.sleep(0.03)
    t.equal(done, true)
  end,

  ["a detached fiber is not joinable"] = function(t)
    local fiber = spawn(function() end)
    fiber:detach()
    t.equal(fiber.joinable, false)
  end,

  ["a fiber cannot be detached twice"] = function(t)
    local fiber = spawn(function() end)
    fiber:detach()
    t.raises("detached", function() fiber:detach() end)
  end,

  ["a joined fiber cannot be detached"] = function(t)
    local fiber = spawn(function() end)
    fiber:join()
    t.raises("joined", function() fiber:detach() end)
  end,

  ["a fiber cannot be detached while somebody joins it"] = function(t)
    local fiber = spawn(function()
      time.sleep(0.02)
      return "joined"
    end)
    local joiner = t.waiting(function() return fiber:join() end)
    t.raises("join", function() fiber:detach() end)
    t.equal(joiner:join(), "joined")
  end,

  ["a fiber can detach itself"] = function(t)
    local fiber, done
    fiber = spawn(function()
      fiber:detach()
      time.sleep(0.01)
      done = true
    end)
    time.sleep(0.03)
    t.equal(done, true)
    t.equal(fiber.joinable, false)
  end,

  ["a fiber that has ended can still be detached"] = function(t)
    local fiber = spawn(function() end)
    this_fiber.yield()
    fiber:detach()
    t.equal(fiber.joinable, false)
  end,

  ["an error in a detached fiber is logged once"] = function(t)
    t.reports "lost in a detached fiber"
    spawn(function() error "lost in a detached fiber" end):detach()
    this_fiber.yield()
  end,

  ["an error value in a detached fiber is logged with its text"] = function(t)
    t.reports "speaking error"
    local err = setmetatable({}, { __tostring = function() return "speaking error" end })
    spawn(function() error(err) end):detach()
    this_fiber.yield()
  end,

  ["an error in a detached fiber costs nobody else"] = function(t)
    t.reports "its own affair"
    local log = t.order()
    local a = spawn(function()
      time.sleep(0.02)
      log "a"
    end)
    spawn(function()
      time.sleep(0.01)
      error "its own affair"
    end):detach()
    a:join()
    log:is "a"
  end,

  ["a fiber that failed is logged when it is detached or collected, not before"] = function(t)
    t.reports "late news"
    local fiber = spawn(function() error "late news" end)
    this_fiber.yield()
    fiber = nil
    time.sleep(0.01)
    collect()
    this_fiber.yield()
  end,

  ["a fiber whose handle is collected goes on"] = function(t)
    local done
    spawn(function()
      time.sleep(0.02)
      done = true
    end)
    collect()
    time.sleep(0.01)
    collect()
    time.sleep(0.03)
    t.equal(done, true)
  end,

  ["a fiber that waits on a channel lives without a handle"] = function(t)
    local c, got = channel.new(), nil
    spawn(function() got = c:recv() end)
    this_fiber.yield()
    collect()
    t.equal(c:send "still there", true)
    this_fiber.yield()
    t.equal(got, "still there")
  end,

  ["a fiber whose handle is collected while it runs is logged when it fails"] = function(t)
    t.reports "failed without a handle"
    spawn(function()
      time.sleep(0.02)
      error "failed without a handle"
    end)
    time.sleep(0.01)
    collect()
    time.sleep(0.03)
    collect()
    this_fiber.yield()
  end,

  ["an interruption has no effect on a detached fiber"] = function(t)
    local done
    local fiber = spawn(function()
      time.sleep(0.02)
      done = true
    end)
    fiber:detach()
    this_fiber.yield()
    fiber:interrupt()
    time.sleep(0.04)
    t.equal(done, true)
    t.equal(fiber.interruption_caught, false)
  end,

  ["a fiber that was interrupted before it was detached ends by it, and nothing is logged"] = function(t)
    local went_on
    local fiber = t.waiting(function()
      time.sleep(10)
      went_on = true
    end)
    fiber:interrupt()
    fiber:detach()
    this_fiber.yield()
    t.equal(went_on, nil)
  end,

  ["a thousand detached fibers without handles all run"] = function(t)
    local done = 0
    for _ = 1, 1000 do
      spawn(function()
        time.sleep(0.01)
        done = done + 1
      end):detach()
    end
    collect()
    time.sleep(0.03)
    t.equal(done, 1000)
  end,

  ["handles may be collected in the thousands while their fibers wait"] = function(t)
    local done = 0
    for i = 1, 2000 do
      spawn(function()
        this_fiber.yield()
        done = done + 1
      end)
      if i % 500 == 0 then collect() end
    end
    collect()
    this_fiber.yield()
    this_fiber.yield()
    t.equal(done, 2000)
  end,
}
