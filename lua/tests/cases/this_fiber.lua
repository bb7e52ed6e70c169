-- What a fiber knows and says about itself.
local channel, time = require "channel", require "time"

return {
  ["a spawned fiber and a case are not main"] = function(t)
    t.equal(this_fiber.is_main, false)
    t.equal(spawn(function() return this_fiber.is_main end):join(), false)
  end,

  ["the id is the same after a wait, and inside coroutines"] = function(t)
    local id = this_fiber.id
    time.sleep(0.01)
    t.equal(this_fiber.id, id)
    t.equal(coroutine.wrap(function() return this_fiber.id end)(), id)
    pcall(function() t.equal(this_fiber.id, id) end)
  end,

  ["local_ is a table of the fiber's own"] = function(t)
    t.equal(type(this_fiber.local_), "table")
    this_fiber.local_.name = "mine"
    local other = spawn(function()
      t.equal(this_fiber.local_.name, nil)
      this_fiber.local_.name = "other's"
      this_fiber.yield()
      return this_fiber.local_.name
    end)
    t.equal(other:join(), "other's")
    t.equal(this_fiber.local_.name, "mine")
    t.equal(coroutine.wrap(function() return this_fiber.local_.name end)(), "mine")
    time.sleep(0.01)
    t.equal(this_fiber.local_.name, "mine")
    t.equal(this_fiber.local_, this_fiber.local_)
  end,

  ["local_ is empty for the next fiber on the same coroutine"] = function(t)
    spawn(function() this_fiber.local_.left = "over" end):join()
    for _ = 1, 3 do t.equal(spawn(function() return next(this_fiber.local_) end):join(), nil) end
  end,

  ["local_ is empty at the beginning of an event"] = function(t)
    -- Every case is an event of its own in a reactive service: none of the cases cleans up.
    t.equal(this_fiber.local_.visited, nil)
    this_fiber.local_.visited = true
  end,

  ["local_ is empty at the beginning of the event after"] = function(t)
    t.equal(this_fiber.local_.visited, nil)
    this_fiber.local_.visited = true
  end,

  ["allow_suspend without forbid_suspend is a mistake"] = function(t)
    t.raises("allow_suspend", function() this_fiber.allow_suspend() end)
    this_fiber.forbid_suspend()
    this_fiber.allow_suspend()
    t.raises("allow_suspend", function() this_fiber.allow_suspend() end)
  end,

  ["forbid_suspend is counted"] = function(t)
    this_fiber.forbid_suspend()
    this_fiber.forbid_suspend()
    this_fiber.allow_suspend()
    local ok, err = pcall(time.sleep, 0.01)
    this_fiber.allow_suspend()
    t.equal(ok, false)
    t.has(err, "time.sleep: waiting is forbidden here (this_fiber.forbid_suspend)")
    time.sleep(0.01)
  end,

  ["where waiting is forbidden, calls, coroutines and pcall go on"] = function(t)
    this_fiber.forbid_suspend()
    local ok, sum = pcall(function()
      local sum = 0
      for i in coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(i) end
      end) do sum = sum + i end
      return sum
    end)
    local fiber = spawn(function() return "spawned" end)
    this_fiber.allow_suspend()
    t.equal(ok, true)
    t.equal(sum, 6)
    t.equal(fiber:join(), "spawned")
  end,

  ["where waiting is forbidden, a wait in a coroutine is too"] = function(t)
    this_fiber.forbid_suspend()
    local ok, err = coroutine.resume(coroutine.create(function() time.sleep(0.01) end))
    this_fiber.allow_suspend()
    t.equal(ok, false)
    t.has(err, "waiting is forbidden here")
  end,

  ["waiting is forbidden to this fiber only"] = function(t)
    local c = channel.new(1)
    local fiber = spawn(function()
      time.sleep(0.01)
      c:send "waited"
    end)
    local stubborn = spawn(function() this_fiber.forbid_suspend() end)
    stubborn:join()
    fiber:join()
    t.equal(c:recv(), "waited")
  end,

  ["what a fiber forbade ends with it"] = function(t)
    spawn(function() this_fiber.forbid_suspend() end):join()
    t.equal(spawn(function()
      time.sleep(0.01)
      return "waited"
    end):join(), "waited")
  end,

  ["a refused wait has done nothing"] = function(t)
    local c = channel.new(1)
    c:send "kept"
    this_fiber.forbid_suspend()
    local ok = pcall(c.recv, c)
    local tried = c:try_recv()
    this_fiber.allow_suspend()
    t.equal(ok, false)
    t.equal(tried, "kept")
  end,

  ["cleanup handlers may wait again after a region where waiting is forbidden failed"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      scope(function()
        scope_cleanup_push(function() this_fiber.allow_suspend() end)
        this_fiber.forbid_suspend()
        time.sleep(0.01)
      end)
    end)
    t.raises("waiting is forbidden here", fiber.join, fiber)
    log:is ""
  end,
}
