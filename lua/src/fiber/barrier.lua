-- `require "barrier"`: lets so many fibers go on together. It is the head of the queue of those who are there.
local core = ...

local error, setmetatable = error, setmetatable

local methods = {}
local class = core.class(methods)

function methods.wait(barrier)
    core.self(barrier, class, "barrier:wait")
    local fiber = core.enter("barrier:wait")
    if barrier.missing == 1 then
        barrier.missing = barrier.size
        while core.wake_first(barrier, core.SIGNAL) do end
        return true
    end
    barrier.missing = barrier.missing - 1
    core.push(barrier, fiber)
    if core.suspend(fiber) == core.STRUCK then
        barrier.missing = barrier.missing + 1
        core.raise(fiber)
    end
    return false
end

core.modules.barrier = {
    new = function(size)
        core.whole(size, "barrier.new", 1, "size", 1)
        return setmetatable(core.queue { next = false, prev = false, size = size, missing = size }, class)
    end,
}
