-- require "future".
local future, time = require "future", require "time"

return {
  ["get waits for the value"] = function(t)
    local promise, result = future.new()
    local watch = t.stopwatch()
    local setter = spawn(function()
      time.sleep(0.02)
      promise:set_value "value"
    end)
    t.equal(result:get(), "value")
    watch.took(0.02)
    setter:join()
  end,

  ["get gives a value that was set before"] = function(t)
    local promise, result = future.new()
    promise:set_value(42)
    t.equal(result:get(), 42)
  end,

  ["several values, nils too, go through"] = function(t)
    local promise, result = future.new()
    promise:set_value(1, nil, "x", nil)
    t.list(t.pack(result:get()), { n = 4, 1, nil, "x", nil })
    local none, empty = future.new()
    none:set_value()
    t.equal(select("#", empty:get()), 0)
  end,

  ["any number of fibers get it, any number of times"] = function(t)
    local promise, result = future.new()
    local fibers = {}
    for i = 1, 10 do fibers[i] = t.waiting(function() return result:get() + result:get() end) end
    promise:set_value(21)
    for i = 1, 10 do t.equal(fibers[i]:join(), 42) end
    t.equal(result:get(), 21)
  end,

  ["waiters of a future go on in the order of waiting"] = function(t)
    local promise, result = future.new()
    local log, fibers = t.order(), {}
    for i = 1, 4 do
      fibers[i] = spawn(function()
        result:get()
        log(i)
      end)
    end
    this_fiber.yield()
    promise:set_value()
    for i = 1, 4 do fibers[i]:join() end
    log:is "1 2 3 4"
  end,

  ["set_value does not wait"] = function(t)
    local promise, result = future.new()
    local log = t.order()
    local fiber = t.waiting(function()
      result:get()
      log "got"
    end)
    promise:set_value(1)
    log "set"
    fiber:join()
    log:is "set got"
  end,

  ["get raises the error that was set, the same value, every time"] = function(t)
    local promise, result = future.new()
    local value = { "mine" }
    promise:set_error(value)
    for _ = 1, 2 do
      local ok, err = pcall(result.get, result)
      t.equal(ok, false)
      t.ok(rawequal(err, value), "the same table")
    end
    local fiber = spawn(function() result:get() end)
    local ok, err = pcall(fiber.join, fiber)
    t.ok(not ok and rawequal(err, value), "the same table")
  end,

  ["get raises a text unchanged"] = function(t)
    local promise, result = future.new()
    promise:set_error "plain text"
    local ok, err = pcall(result.get, result)
    t.equal(ok, false)
    t.equal(err, "plain text")
  end,

  ["waiters get the error"] = function(t)
    local promise, result = future.new()
    local fiber = t.waiting(function() result:get() end)
    promise:set_error "no result"
    t.raises("no result", fiber.join, fiber)
  end,

  ["a promise is set once"] = function(t)
    for _, first in ipairs { "set_value", "set_error" } do
      for _, second in ipairs { "set_value", "set_error" } do
        local promise = future.new()
        promise[first](promise, 1)
        t.raises("the promise is set already", function() promise[second](promise, 2) end)
      end
    end
  end,

  ["is_ready says whether get would wait"] = function(t)
    local promise, result = future.new()
    t.equal(result:is_ready(), false)
    promise:set_value(nil)
    t.equal(result:is_ready(), true)
    local failing, failed = future.new()
    failing:set_error "x"
    t.equal(failed:is_ready(), true)
  end,

  ["get_for gives up at its limit, and can ask again"] = function(t)
    local promise, result = future.new()
    local watch = t.stopwatch()
    t.timed_out(result:get_for(0.02))
    watch.took(0.02)
    promise:set_value("late", nil)
    t.list(t.pack(result:get_for(0.02)), { n = 2, "late", nil })
  end,

  ["get_for gives the value that comes in time, and raises the error"] = function(t)
    local promise, result = future.new()
    local setter = spawn(function()
      time.sleep(0.01)
      promise:set_value "in time"
    end)
    t.equal(result:get_for(1), "in time")
    setter:join()
    local failing, failed = future.new()
    failing:set_error "broken"
    t.raises("broken", function() failed:get_for(1) end)
  end,

  ["get_for of nothing looks only"] = function(t)
    local _, result = future.new()
    t.timed_out(result:get_for(0))
  end,

  ["an interrupted waiter leaves the future to the others"] = function(t)
    local promise, result = future.new()
    local first = t.waiting(function() result:get() end)
    local second = t.waiting(function() return result:get() end)
    first:interrupt()
    first:join()
    promise:set_value "second's"
    t.equal(second:join(), "second's")
  end,

  ["a promise that is dropped unset leaves its waiters waiting, and interruptible"] = function(t)
    local promise, result = future.new()
    local fiber = t.waiting(function() result:get() end)
    promise = nil
    collectgarbage()
    collectgarbage()
    this_fiber.yield()
    t.equal(result:is_ready(), false)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
  end,

  ["a future outlives its promise"] = function(t)
    local promise, result = future.new()
    promise:set_value { "kept" }
    promise = nil
    collectgarbage()
    t.equal(result:get()[1], "kept")
  end,

  ["a future is not a promise"] = function(t)
    local promise, result = future.new()
    t.raises("", function() result:set_value(1) end)
    t.raises("", function() promise:get() end)
    t.equal(result:is_ready(), false)
  end,
}
