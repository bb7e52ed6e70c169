-- `require "semaphore"`: so many permits. It is the head of the queue of those who wait for one.
local core = ...

local setmetatable = setmetatable

local methods = {}
local class = core.class(methods)

local function poll(semaphore)
    if semaphore.permits > 0 then
        semaphore.permits = semaphore.permits - 1
        return true, true
    end
    return false
end

function methods.acquire(semaphore)
    core.self(semaphore, class, "semaphore:acquire")
    local fiber = core.enter("semaphore:acquire")
    if not poll(semaphore) then
        core.push(semaphore, fiber)
        core.wait(fiber)
    end
    return true
end

function methods.acquire_for(semaphore, seconds)
    core.self(semaphore, class, "semaphore:acquire_for")
    core.seconds(seconds, "semaphore:acquire_for", 1)
    local fiber = core.enter("semaphore:acquire_for")
    if poll(semaphore) then return true end
    core.arm(fiber, seconds)
    core.push(semaphore, fiber)
    if core.wait(fiber) == core.TIMEOUT then return nil, core.timed_out end
    return true
end

function methods.try_acquire(semaphore)
    core.self(semaphore, class, "semaphore:try_acquire")
    return (poll(semaphore))
end

function methods.release(semaphore, permits)
    core.self(semaphore, class, "semaphore:release")
    if permits == nil then permits = 1 end
    core.whole(permits, "semaphore:release", 1, "permits", 0)
    while permits > 0 and core.wake_first(semaphore, core.SIGNAL) do permits = permits - 1 end
    semaphore.permits = semaphore.permits + permits
end

function methods.count(semaphore)
    core.self(semaphore, class, "semaphore:count")
    return semaphore.permits
end

core.modules.semaphore = {
    new = function(permits)
        core.whole(permits, "semaphore.new", 1, "permits", 0)
        return setmetatable(core.queue { next = false, prev = false, permits = permits }, class)
    end,
}

core.selectable[class] = {
    poll = poll,
    queue = function(semaphore) return semaphore end,
    finish = function() return true end,
}
