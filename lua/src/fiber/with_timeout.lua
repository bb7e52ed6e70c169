-- `with_timeout(seconds, f, ...)`: what a function may wait in all.
--
-- A limit is a node of the wheel, and of the fiber's list of the limits in which it is. When its time is over, the
-- interruption points of its fiber raise an error of its own (see `pending` in `core`), which only its `with_timeout` catches.
local core = ...

local error, rawequal = error, rawequal

-- Whether the fiber is in there now. A coroutine that has yielded, or goes on in another fiber, is not.
function core.concerns(limit, fiber)
    local context = limit.context
    return context == fiber or context.fiber == fiber
end

local function fire(limit)
    local fiber = limit.fiber
    limit.err = core.new_error("fiber", "timed_out", "the time is over")
    limit.fired = true
    if fiber.why == false and fiber.shield == limit.shield and core.concerns(limit, fiber) then
        core.wake(fiber, core.STRUCK)
    end
end

-- Takes the limit out of the list; it need not be the innermost where coroutines come and go.
local function remove(limit)
    local extra = limit.fiber.extra
    local at = extra and extra.limit
    if at == limit then
        extra.limit = limit.outer
    else
        while at and at.outer ~= limit do at = at.outer end
        if at then at.outer = limit.outer end
    end
end

local function finish(limit, ok, ...)
    if limit.tnext then core.disarm(limit) end
    remove(limit)
    if ok then return ... end
    if limit.err and rawequal((...), limit.err) then return nil, core.timed_out end
    error((...), 0)
end

function with_timeout(seconds, f, ...)
    core.seconds(seconds, "with_timeout", 1)
    core.callable(f, "with_timeout", 2)
    local fiber = core.enter("with_timeout")
    local extra = core.extra(fiber)
    local limit = {
        tnext = false, tprev = false, level = false, tick = false, fire = fire,
        fiber = fiber, context = fiber.inner or fiber, shield = fiber.shield, outer = extra.limit,
        fired = false, err = false,
    }
    core.arm(limit, seconds)
    extra.limit = limit
    return finish(limit, core.call_in_scope(fiber, f, ...))
end
