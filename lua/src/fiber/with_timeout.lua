-- `with_timeout(seconds, f, ...)`: what a function may wait in all.
--
-- The limit is a node of the wheel. When it fires, it strikes the fiber as an interruption does, with an error of its own
-- that only its `with_timeout` catches.
local core = ...

local error = error
local INTERRUPTED = core.interrupted

local function fire(limit)
    local fiber, context = limit.fiber, limit.context
    -- In a coroutine that has yielded, or goes on in another fiber, nobody waits for us.
    if context ~= fiber and context.fiber ~= fiber then return end
    if fiber.interrupted == INTERRUPTED then return end
    local extra = core.extra(fiber)
    local struck = extra.struck
    if struck and struck.depth < limit.depth then return end
    -- An error that is this limit's alone.
    limit.err = core.new_error("fiber", "timed_out", "the time is over")
    extra.struck = limit
    core.strike(fiber, limit.err)
end

local function finish(limit, ok, ...)
    local fiber = limit.fiber
    local extra = core.extra(fiber)
    if limit.tnext then core.disarm(limit) end
    extra.limits = limit.depth - 1
    if extra.struck == limit then
        extra.struck = nil
        if fiber.interrupted == limit.err then fiber.interrupted = false end
    end
    if ok then return ... end
    if limit.err and (...) == limit.err then return nil, core.timed_out end
    error((...), 0)
end

function with_timeout(seconds, f, ...)
    core.seconds(seconds, "with_timeout", 1)
    core.callable(f, "with_timeout", 2)
    local fiber = core.enter("with_timeout")
    local extra = core.extra(fiber)
    local depth = (extra.limits or 0) + 1
    local limit = {
        tnext = false, tprev = false, level = false, tick = false, fire = fire,
        fiber = fiber, context = fiber.inner or fiber, depth = depth,
        err = false,
    }
    core.arm(limit, seconds)
    extra.limits = depth
    return finish(limit, core.call_in_scope(fiber, f, ...))
end
