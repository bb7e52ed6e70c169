-- `spawn`, the handles it returns, and `this_fiber`.
local core = ...

local debug, error, newproxy, rawequal, setmetatable, tostring, unpack =
    debug, error, newproxy, rawequal, setmetatable, tostring, unpack
local getfenv, setfenv, getmetatable_of = debug.getfenv, debug.setfenv, debug.getmetatable
local raw, host = core.raw, core.host
local raw_create = raw.create
local current, mistake, enter = core.current, core.mistake, core.enter
local INTERRUPTED = core.interrupted

-- Handles are userdata, because only those can say that the collector has found them. The fiber is their environment.
local handle_proto = newproxy(true)
local handle_type = getmetatable_of(handle_proto)
handle_type.__metatable = "fiber"
setfenv(handle_proto, {})

local function fiber_of(handle, name)
    if getmetatable_of(handle) ~= handle_type then
        mistake(name, "must be called with a colon, on a fiber", 2)
    end
    return getfenv(handle)
end

-- More values than these cannot be passed on from a table.
local MOST_ARGUMENTS = 7000

-- Makes a fiber that will run `f` with these arguments.
function core.spawn(f, ...)
    local count = raw.select("#", ...)
    if count > MOST_ARGUMENTS then mistake("spawn", "too many arguments", 2) end
    local fiber = core.new_fiber(raw_create(f))
    fiber.task = {
        id = core.next_id(),
        args = count > 0 and { n = count, ... } or false,
        -- "joinable", "joining", "joined" or "detached".
        state = "detached",
        -- Set when it has ended: true, or false with the error.
        ok = nil,
        results = false,
        caught = false,
        -- Who waits for its end.
        waiters = false,
    }
    if core.winding_down then fiber.interrupted = INTERRUPTED end
    core.enlist(fiber)
    fiber.why = false
    core.wake(fiber, core.RUNS)
    return fiber
end

-- The same with a handle for it.
function core.spawn_with_handle(f, ...)
    local fiber = core.spawn(f, ...)
    fiber.task.state = "joinable"
    local handle = newproxy(handle_proto)
    setfenv(handle, fiber)
    return handle, fiber
end

function spawn(f, ...)
    core.callable(f, "spawn", 1)
    local handle = core.spawn_with_handle(f, ...)
    return handle
end

-- Says of a fiber that has failed that nobody will join it.
local function complain(fiber)
    local task = fiber.task
    core.failed[task] = nil
    host.report("fiber " .. task.id .. " failed: " .. core.describe(task.results) .. "\n" .. (task.traceback or ""))
end
core.complain = complain

-- Notes the end of a spawned fiber. `err` and `traceback`: where it failed.
function core.ended(fiber, ok, results, traceback)
    local task = fiber.task
    core.strike_off(fiber)
    core.check_held(fiber)
    fiber.co, fiber.inner = false, false
    task.ok, task.results = ok, results
    task.caught = not ok and rawequal(results, INTERRUPTED)
    -- Whatever the error is like: those who wait hear of it first.
    if task.conn then core.unbind(task.conn, fiber) end
    local waiters = task.waiters
    if waiters then
        while core.wake_first(waiters, core.SIGNAL) do end
    end
    if task == core.main_task then return core.main_ended(ok, results, traceback) end
    if not ok and not task.caught then
        task.traceback = traceback
        if task.state == "detached" or core.winding_down and task.state == "joinable" then
            complain(fiber)
        else
            core.failed[task] = fiber
        end
    end
end

local methods = {}

function methods.join(handle)
    local fiber = fiber_of(handle, "fiber:join")
    local task = fiber.task
    local me = enter("fiber:join")
    if fiber == me then mistake("fiber:join", "a fiber cannot join itself") end
    if task.state == "joined" then mistake("fiber:join", "this fiber has been joined already") end
    if task.state == "detached" then mistake("fiber:join", "this fiber is detached") end
    if task.state == "joining" then mistake("fiber:join", "another fiber is joining it") end
    if task.ok == nil then
        task.state = "joining"
        task.waiters = task.waiters or core.queue {}
        core.push(task.waiters, me)
        if core.suspend(me) == core.STRUCK then
            task.state = "joinable"
            core.raise(me)
        end
    end
    task.state = "joined"
    core.failed[task] = nil
    local results = task.results
    if task.ok then
        task.results = false
        if results then return unpack(results, 1, results.n) end
        return
    end
    if task.caught then return end
    core.keep_origin(results, task.traceback)
    error(results, 0)
end

function methods.detach(handle)
    local fiber = fiber_of(handle, "fiber:detach")
    local task = fiber.task
    if task.state == "joined" then mistake("fiber:detach", "this fiber has been joined already") end
    if task.state == "detached" then mistake("fiber:detach", "this fiber is detached already") end
    if task.state == "joining" then mistake("fiber:detach", "another fiber is joining it") end
    task.state = "detached"
    if core.failed[task] then complain(fiber) end
end

function methods.interrupt(handle)
    local fiber = fiber_of(handle, "fiber:interrupt")
    local task = fiber.task
    if task.ok == nil and task.state ~= "detached" and fiber.interrupted ~= INTERRUPTED then
        core.strike(fiber)
    end
end

local properties = {
    joinable = function(fiber)
        local state = fiber.task.state
        return state == "joinable" or state == "joining"
    end,
    interruption_caught = function(fiber) return fiber.task.caught end,
    id = function(fiber) return tostring(fiber.task.id) end,
}

function handle_type.__index(handle, key)
    local method = methods[key]
    if method then return method end
    local property = properties[key]
    if property then return property(getfenv(handle)) end
end

function handle_type.__newindex()
    error("the fields of a fiber cannot be set", 2)
end

function handle_type.__tostring(handle)
    return "fiber " .. getfenv(handle).task.id
end

function handle_type.__gc(handle)
    local fiber = getfenv(handle)
    local task = fiber.task
    -- The first proxy is a pattern for the others and no fiber.
    if task and task.state == "joinable" then
        task.state = "detached"
        if core.failed[task] then complain(fiber) end
    end
end

function core.is_handle(value)
    return getmetatable_of(value) == handle_type
end
core.fiber_of_handle = getfenv

-- A fiber that is over: did it keep a mutex?
function core.check_held(fiber)
    local extra = fiber.extra
    if extra and extra.held > 0 then
        host.report("fiber " .. core.id(fiber) .. " ended while it held a mutex; who waits for that waits for ever")
    end
end

-- The fiber that calls.
local function me(name)
    local fiber = current()
    if fiber == core.root then mistake(name, "can only be called in a fiber", 2) end
    return fiber
end

local functions = {}

-- Lets all fibers run that are ready now.
function core.yield(fiber)
    fiber.why = false
    core.wake(fiber, core.RUNS)
    if not rawequal(raw.yield(host.wait), core.TOKEN) then core.intruded(fiber) end
    if fiber.why == core.STRUCK then core.raise(fiber) end
end

function functions.yield()
    core.yield(enter("this_fiber.yield"))
end

function functions.disable_interruption()
    local fiber = me("this_fiber.disable_interruption")
    local extra = core.extra(fiber)
    extra.disabled = extra.disabled + 1
    fiber.shield = fiber.shield + 1
end

function functions.restore_interruption()
    local fiber = me("this_fiber.restore_interruption")
    local extra = core.extra(fiber)
    if extra.disabled == 0 then
        mistake("this_fiber.restore_interruption", "interruption is not disabled")
    end
    extra.disabled = extra.disabled - 1
    fiber.shield = fiber.shield - 1
end

function functions.forbid_suspend()
    local extra = core.extra(me("this_fiber.forbid_suspend"))
    extra.forbidden = extra.forbidden + 1
end

function functions.allow_suspend()
    local extra = core.extra(me("this_fiber.allow_suspend"))
    if extra.forbidden == 0 then mistake("this_fiber.allow_suspend", "waiting is not forbidden") end
    extra.forbidden = extra.forbidden - 1
end

functions.interrupted_error = INTERRUPTED

local values = {
    id = function() return tostring(core.id(me("this_fiber.id"))) end,
    is_main = function() return core.main_task ~= nil and current().task == core.main_task end,
    local_ = function()
        local extra = core.extra(me("this_fiber.local_"))
        if not extra.locals then extra.locals = {} end
        return extra.locals
    end,
}

this_fiber = setmetatable({}, {
    __index = function(_, key)
        local value = functions[key]
        if value ~= nil then return value end
        local get = values[key]
        return get and get()
    end,
    __newindex = function() error("the fields of this_fiber cannot be set; this_fiber.local_ is yours", 2) end,
    __metatable = "this_fiber",
})
