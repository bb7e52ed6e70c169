-- `require "condition_variable"`, of old `require "cond"`. It is the head of the queue of those who wait for it.
local core = ...

local error, setmetatable = error, setmetatable
local STRUCK, TIMEOUT, SIGNAL = core.STRUCK, core.TIMEOUT, core.SIGNAL
local mutexes = core.mutex
local NAME = "condition_variable"

local methods = {}
local class = core.class(methods)

local function wait(condition, mutex, what, seconds)
    local fiber = core.enter(what, 2)
    if not mutexes.is_mutex(mutex) then
        core.mistake(what, "argument 1 must be a mutex", 2)
    end
    if not mutexes.is_held(mutex, fiber) then
        core.mistake(what, mutex.owner == fiber and "this fiber holds the mutex more than once"
            or "this fiber does not hold the mutex", 2)
    end
    if seconds then core.arm(fiber, seconds) end
    mutexes.release(mutex)
    core.push(condition, fiber)
    local why = core.suspend(fiber)
    mutexes.retake(mutex, fiber)
    if why == STRUCK then core.raise(fiber) end
    if why == TIMEOUT then return nil, core.timed_out end
    return true
end

function methods.wait(condition, mutex)
    core.self(condition, class, NAME .. ":wait")
    return (wait(condition, mutex, NAME .. ":wait"))
end

function methods.wait_for(condition, mutex, seconds)
    core.self(condition, class, NAME .. ":wait_for")
    core.seconds(seconds, NAME .. ":wait_for", 2)
    local ok, err = wait(condition, mutex, NAME .. ":wait_for", seconds)
    return ok, err
end

function methods.notify_one(condition)
    core.self(condition, class, NAME .. ":notify_one")
    core.wake_first(condition, SIGNAL)
end

function methods.notify_all(condition)
    core.self(condition, class, NAME .. ":notify_all")
    while core.wake_first(condition, SIGNAL) do end
end

local module = {
    new = function() return setmetatable(core.queue { next = false, prev = false }, class) end,
}
core.modules.condition_variable = module
core.modules.cond = module
