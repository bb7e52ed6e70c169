-- `require "future"`: a value that comes once. A future is the head of the queue of those who wait for it.
local core = ...

local error, select, setmetatable, unpack = error, select, setmetatable, unpack
local mistake = core.mistake

local futures, promises = {}, {}
local future_class, promise_class = core.class(futures), core.class(promises)

local function outcome(future)
    if not future.ok then error(future.err, 0) end
    local values = future.values
    return unpack(values, 1, values.n)
end

function futures.get(future)
    core.self(future, future_class, "future:get")
    local fiber = core.enter("future:get")
    if not future.ready then
        core.push(future, fiber)
        core.wait(fiber)
    end
    return outcome(future)
end

function futures.get_for(future, seconds)
    core.self(future, future_class, "future:get_for")
    core.seconds(seconds, "future:get_for", 1)
    local fiber = core.enter("future:get_for")
    if not future.ready then
        core.arm(fiber, seconds)
        core.push(future, fiber)
        if core.wait(fiber) == core.TIMEOUT then return nil, core.timed_out end
    end
    return outcome(future)
end

function futures.is_ready(future)
    core.self(future, future_class, "future:is_ready")
    return future.ready
end

local function settle(promise, name, ok, values, err)
    core.self(promise, promise_class, name, 2)
    local future = promise.future
    if future.ready then mistake(name, "the promise is set already", 2) end
    future.ready, future.ok, future.values, future.err = true, ok, values, err
    while core.wake_first(future, core.SIGNAL) do end
end

function promises.set_value(promise, ...)
    settle(promise, "promise:set_value", true, { n = select("#", ...), ... })
end

function promises.set_error(promise, err)
    settle(promise, "promise:set_error", false, false, err)
end

core.modules.future = {
    new = function()
        local future = core.queue { next = false, prev = false, ready = false, ok = false, values = false, err = nil }
        return setmetatable({ future = setmetatable(future, future_class) }, promise_class), future
    end,
}

core.selectable[future_class] = {
    poll = function(future) return future.ready, true end,
    queue = function(future) return future end,
    finish = function() return true end,
}
