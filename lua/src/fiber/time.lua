-- `require "time"`: clocks, sleeping, and functions that are called later. `require "sleep_for"`, `require "steady_timer"`.
local core = ...

local ceil, error, rawequal, select, setmetatable, type, unpack =
    math.ceil, error, rawequal, select, setmetatable, type, unpack
local host = core.host
local now, enter, arm_at, raw_yield = host.now, core.enter, core.arm_at, core.raw.yield
local WAIT, TOKEN, STRUCK = host.wait, core.TOKEN, core.STRUCK
local time = {}

function time.now()
    return host.epoch()
end

function time.monotonic()
    return host.now() / 1000
end

-- The most frequent wait of all. A fiber that only sleeps, not far below its body, stays within the stack that a coroutine
-- begins with: hence no call between here and the C functions but the one of `enter`.
function time.sleep(seconds)
    if type(seconds) ~= "number" or not (seconds > 0 and seconds <= 1e9) then
        core.seconds(seconds, "time.sleep", 1)
        return core.yield(core.enter("time.sleep"))
    end
    local fiber = enter("time.sleep")
    arm_at(fiber, now() + seconds * 1000)
    fiber.why = false
    if not rawequal(raw_yield(WAIT), TOKEN) then core.intruded(fiber) end
    if fiber.why == STRUCK then core.raise(fiber) end
end

function time.sleep_for(milliseconds)
    local seconds = core.milliseconds(milliseconds, "sleep_for", 1)
    local fiber = enter("sleep_for")
    if seconds == 0 then return core.yield(fiber) end
    core.arm(fiber, seconds)
    core.wait(fiber)
end

-- Functions that are called later.
local timers = {}
local timer_class = core.class(timers)

function timers.cancel(timer)
    core.self(timer, timer_class, "timer:cancel")
    local pending = timer.pending
    timer.pending = false
    if timer.tnext then core.disarm(timer) end
    return pending
end

local function new_timer(fire, period, f, ...)
    return setmetatable({
        tnext = false, tprev = false, level = false, tick = false, background = true, pending = true,
        fire = fire, period = period, f = f, args = { n = select("#", ...), ... },
    }, timer_class)
end

local function fire_once(timer)
    timer.pending = false
    core.spawn(timer.f, unpack(timer.args, 1, timer.args.n))
end

function time.after(seconds, f, ...)
    core.seconds(seconds, "time.after", 1)
    core.callable(f, "time.after", 2)
    local timer = new_timer(fire_once, false, f, ...)
    core.arm(timer, seconds)
    return timer
end

local function again(timer, ok, ...)
    if timer.pending and not core.winding_down then
        local now, next = host.now(), timer.due + timer.period
        -- What was missed is left out.
        if next <= now then next = next + ceil((now - next) / timer.period) * timer.period end
        timer.due = next
        core.arm_at(timer, next)
    end
    if not ok then error((...), 0) end
end

local function run_repeatedly(timer)
    local args = timer.args
    again(timer, core.call_in_scope(core.current(), timer.f, unpack(args, 1, args.n)))
end

local function fire_repeatedly(timer)
    core.spawn(run_repeatedly, timer)
end

function time.every(seconds, f, ...)
    core.seconds(seconds, "time.every", 1)
    if seconds == 0 then core.mistake("time.every", "argument 1 (seconds) must be more than 0") end
    core.callable(f, "time.every", 2)
    local timer = new_timer(fire_repeatedly, seconds * 1000, f, ...)
    timer.due = host.now() + timer.period
    core.arm_at(timer, timer.due)
    return timer
end

-- A timer that fibers wait for. It is the head of the queue of those who do.
local steady = {}
local steady_class = core.class(steady)
local cancelled = core.new_error("timer", "cancelled", "the timer was cancelled")

local function wake_all(timer, why)
    local count = 0
    while core.wake_first(timer, why) do count = count + 1 end
    return count
end

local function expire(timer)
    wake_all(timer, core.SIGNAL)
end

function steady.expires_after(timer, milliseconds)
    core.self(timer, steady_class, "steady_timer:expires_after")
    local seconds = core.milliseconds(milliseconds, "steady_timer:expires_after", 1)
    local count = wake_all(timer, core.CLOSED)
    if timer.tnext then core.disarm(timer) end
    if seconds > 0 then core.arm(timer, seconds) end
    return count
end

function steady.wait(timer)
    core.self(timer, steady_class, "steady_timer:wait")
    local fiber = core.enter("steady_timer:wait")
    if timer.tnext then
        core.push(timer, fiber)
        if core.wait(fiber) == core.CLOSED then return nil, cancelled end
    end
    return true
end

function steady.cancel(timer)
    core.self(timer, steady_class, "steady_timer:cancel")
    return wake_all(timer, core.CLOSED)
end

time.steady_timer = {
    new = function()
        local timer = { next = false, prev = false, tnext = false, tprev = false, level = false, tick = false,
            fire = expire }
        return setmetatable(core.queue(timer), steady_class)
    end,
}

core.selectable[steady_class] = {
    poll = function(timer) return not timer.tnext, true end,
    queue = function(timer) return timer end,
    finish = function(_, _, why)
        if why == core.CLOSED then return nil, cancelled end
        return true
    end,
}

core.modules.time = time
core.modules.sleep_for = time.sleep_for
core.modules.steady_timer = time.steady_timer
