-- Events of the host on pooled coroutines, and the scheduler's turn.
local core = ...

local concat, error, ipairs, pairs, rawequal, type, unpack =
    table.concat, error, ipairs, pairs, rawequal, type, unpack
local raw, host = core.raw, core.host
local raw_select = raw.select
local raw_create, raw_resume, raw_status = raw.create, raw.resume, raw.status
local set_current, root, ready = core.set_current, core.root, core.ready
local collect = core.collect
local WAIT, IDLE, ACCEPTED, TOKEN = host.wait, host.idle, host.accepted, core.TOKEN

-- Coroutines that may wait for an event.
local MOST_POOLED = 256
local pool, pooled = {}, 0
-- The one whose coroutine the host has.
local idle

-- Ends what an event has left in its fiber, whose coroutine then takes the next event.
local function settle(fiber)
    local cleanups = fiber.cleanups
    if cleanups and cleanups.n > 0 then
        cleanups.floor = 0
        local ok, err = core.clean(cleanups, 0, true)
        if not ok then error(err, 0) end
    end
    local extra = fiber.extra
    if extra and extra.held > 0 then
        -- Its coroutine is not used again: no other event may be taken for the owner.
        extra.held = 0
        error("the handler ended while it held a mutex; who waits for that waits for ever", 0)
    end
    fiber.interrupted, fiber.shield, fiber.cleanups, fiber.extra, fiber.used = false, 0, false, false, false
    fiber.inner = false
    if fiber.tnext then core.disarm(fiber) end
end

local dispatch = core.new_dispatch(core.service, host.take, settle)

local function new_idle()
    if pooled > 0 then
        local fiber = pool[pooled]
        pool[pooled], pooled = nil, pooled - 1
        return fiber
    end
    local co = raw_create(dispatch)
    local fiber = core.new_fiber(co)
    raw_resume(co, fiber)
    return fiber
end

function core.is_pooled(co)
    if idle and idle.co == co then return true end
    for n = 1, pooled do
        if pool[n].co == co then return true end
    end
    return false
end

-- The coroutine for the next event.
function core.idle()
    if not idle or not idle.co then idle = new_idle() end
    return idle.co
end

-- The handler of event `number` waits: the coroutine is its own from now on. Returns another for the next event.
function core.adopt(number)
    set_current(root)
    local fiber = idle
    if fiber then
        -- Where it is in the middle of a batch, the rest is for others.
        fiber.task, fiber.used = number, true
        core.enlist(fiber)
        idle = nil
        -- What begins after everything was interrupted is too.
        if core.winding_down then core.strike(fiber) end
    end
    return core.idle()
end

local after

-- Runs the cleanup handlers of a fiber whose coroutine is dead on a coroutine of their own, and at once: between a body and
-- its handlers nobody else comes. Then calls `finish` with what `core.clean` says.
local function run_handlers(fiber, finish, ok, err)
    core.enlist(fiber)
    if fiber.extra then fiber.extra.forbidden = 0 end
    local made, co = raw.pcall(raw_create, function() return finish(core.clean(fiber.cleanups, 0, ok, err)) end)
    if not made then
        -- They are many, or hold much: without them there is memory to go on.
        fiber.cleanups = false
        collect()
        host.report("there was no memory to run the cleanup handlers of a fiber")
        return finish(ok, err)
    end
    fiber.co, fiber.inner, fiber.why, fiber.cleanups.floor = co, false, core.RUNS, 0
    set_current(fiber)
    return after(fiber, raw_resume(co))
end

local function has_cleanups(fiber)
    return fiber.cleanups and fiber.cleanups.n > 0
end

-- The end of a fiber by an error.
local function fail(fiber, err, traceback)
    local task = fiber.task
    if type(task) == "table" then return core.ended(fiber, false, err, traceback) end
    local text = core.describe(err)
    core.strike_off(fiber)
    core.check_held(fiber)
    fiber.co = false
    -- Of an event that has not waited the host knows already.
    if task then host.failed(task, text, traceback) end
end

-- The same after its cleanup handlers.
local function clean_and_fail(fiber, err, traceback)
    if not has_cleanups(fiber) then return fail(fiber, err, traceback) end
    return run_handlers(fiber, function() return fail(fiber, err, traceback) end, false, err)
end

local NO_MEMORY = "not enough memory"
local YIELDED = "a C function has yielded out of the fiber; only functions of this server can wait"

function core.fibers() return core.count end

-- There was no memory for the handler of an event that has not waited: lets go of what its coroutine holds.
function core.release()
    if idle then idle.co = false end
end

-- The handler of an event that has not waited failed. Returns the error's text and where it was raised.
function core.event_failed(err, yielded)
    if yielded then err = YIELDED end
    set_current(root)
    local fiber = idle
    idle = nil
    local text, traceback = core.describe(err), fiber.co and core.where(err, fiber.co) or ""
    fiber.task = false
    clean_and_fail(fiber, err, traceback)
    set_current(root)
    return text, traceback
end

local function recycle(fiber)
    fiber.task = false
    core.strike_off(fiber)
    if pooled >= MOST_POOLED then
        fiber.co = false
        return
    end
    pooled = pooled + 1
    pool[pooled] = fiber
end

-- What came out of a fiber that has run.
function after(fiber, ok, ...)
    local mark = ...
    if ok and rawequal(mark, WAIT) then return end
    local task, co = fiber.task, fiber.co
    -- The coroutine of its cleanup handlers, which has seen to its end.
    if co == false then return end
    if ok and type(task) ~= "table" then
        if rawequal(mark, ACCEPTED) then
            recycle(fiber)
            return host.done(task, true)
        elseif rawequal(mark, IDLE) then
            recycle(fiber)
            return host.done(task, (raw_select(2, ...)))
        end
    end
    if ok and raw_status(co) == "dead" then
        local count = raw_select("#", ...)
        local results = count > 0 and { n = count, ... }
        if not has_cleanups(fiber) then return core.ended(fiber, true, results) end
        return run_handlers(fiber, function(fine, err)
            if fine then return core.ended(fiber, true, results) end
            return core.ended(fiber, false, err, "")
        end, true)
    end
    local err = mark
    if ok then err = YIELDED end
    if rawequal(err, NO_MEMORY) then
        -- Most of what its coroutine held is garbage now, and LuaJIT does not collect before it gives up: the next fiber
        -- would fail too.
        fiber.co, fiber.inner, co = false, false, nil
        collect()
        return clean_and_fail(fiber, err, "")
    end
    return clean_and_fail(fiber, err, core.where(err, fiber.inner and fiber.inner.co or co))
end

local function step(fiber)
    local co, task = fiber.co, fiber.task
    -- Nothing that has ended is ever ready; this keeps a mistake here from costing the others their turn.
    if not co then return end
    set_current(fiber)
    if type(task) == "table" then
        local args = task.args
        if args ~= nil then
            -- Its first step.
            task.args = nil
            if args then return after(fiber, raw_resume(co, unpack(args, 1, args.n))) end
            return after(fiber, raw_resume(co))
        end
    end
    return after(fiber, raw_resume(co, TOKEN))
end

-- Lets the timers fire that are due, and the fibers run that are ready then: each once, and at most `most`. Returns the
-- tick at which to come again, nil if there is none, whether there are more to run now, how many fibers there are, and how
-- many of them are ready.
function core.turn(most)
    core.advance(host.now())
    local last = ready.prev
    if last ~= ready then
        local fiber
        repeat
            fiber = ready.next
            core.remove(fiber)
            core.ready_count = core.ready_count - 1
            most = most - 1
            step(fiber)
        until fiber == last or most == 0 or ready.next == ready
        set_current(root)
    end
    local tick, more = core.next_tick(), ready.next ~= ready
    if core.watches_deadlock and not tick and not more and core.count > 0 and core.expecting == 0 then
        core.watches_deadlock = false
        host.report(core.deadlock() or "deadlock")
    end
    return tick, more, core.count, core.ready_count
end

-- A turn has failed, for want of memory: the fiber that ran then and is dead by now has ended by that.
function core.rescue()
    local fiber = core.current()
    set_current(root)
    core.turning = false
    local co, task = fiber.co, fiber.task
    if fiber == root or fiber.index == 0 or co and raw_status(co) ~= "dead" then return end
    if type(task) == "table" then return core.ended(fiber, false, NO_MEMORY, "") end
    core.strike_off(fiber)
    fiber.co = false
    if task then host.failed(task, NO_MEMORY, "") end
end

-- Interrupts every fiber and takes out the timers that would start more.
function core.wind_down()
    core.winding_down = true
    core.watches_deadlock = false
    for _, node in ipairs(core.timers()) do
        if node.background then core.disarm(node) end
    end
    for _, fiber in pairs(core.failed) do core.complain(fiber) end
    for n = 1, core.count do
        local fiber = core.all[n]
        if not fiber.interrupted then core.strike(fiber) end
    end
end

-- All fibers that wait, and where; nil if none does.
function core.deadlock()
    local lines = {}
    for n = 1, core.count do
        local fiber = core.all[n]
        if fiber.why == false then
            local inner = fiber.inner
            lines[#lines + 1] = "fiber " .. core.id(fiber) .. " waits\n"
                .. core.traceback(inner and inner.co or fiber.co)
        end
    end
    if #lines == 0 then return nil end
    return "deadlock: " .. #lines .. (#lines == 1 and " fiber waits" or " fibers wait")
        .. " for what can never come\n" .. concat(lines, "\n")
end

-- The main fiber of a standalone service.
function core.start_main()
    local init, run = core.service.init, core.service.run
    local fiber = core.spawn(function()
        init()
        host.init_done()
        core.watches_deadlock = true
        -- A run that never waits lets nobody else act: whoever started this hears first that init is over.
        core.yield(core.enter("run"))
        run()
    end)
    core.main_task = fiber.task
end

function core.main_ended(ok, err, traceback)
    core.watches_deadlock = false
    if ok or core.winding_down and rawequal(err, core.interrupted) then
        host.main_ended(true)
    else
        host.main_ended(false, core.describe(err), traceback or "")
    end
end
