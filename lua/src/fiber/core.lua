-- What all of the fiber system stands on: who runs, who is ready, who waits, and why somebody woke up.
--
-- A fiber is a table. It is also the node by which it stands in one queue (`next`, `prev`) and in the timer wheel
-- (`tnext`, `tprev`, `level`, `tick`), so that waiting allocates nothing. Its fields are all set when it is made and are
-- exactly 16, the size of their hash part; what is rarely needed is in `extra`.
local host = ...

local collectgarbage, error, getmetatable, ipairs, jit, rawequal, setmetatable, tostring, type =
    collectgarbage, error, getmetatable, ipairs, jit, rawequal, setmetatable, tostring, type
local raw_yield, can_wait = coroutine.yield, host.can_wait
local format, floor, raw_traceback = string.format, math.floor, debug.traceback
local find, gsub, match, sub = string.find, string.gsub, string.match, string.sub
local rawget, getmetatable_of = rawget, debug.getmetatable

local core = {
    host = host,
    -- Lua's own functions, before services see ours in their place.
    raw = {
        pcall = pcall, xpcall = xpcall, select = select, yield = coroutine.yield, resume = coroutine.resume,
        create = coroutine.create, running = coroutine.running, status = coroutine.status,
    },
    modules = {},
    -- How `select` waits for the objects of a class: {poll, queue, finish}.
    selectable = {},
    -- All fibers that have begun and not ended, in no order.
    all = {},
    count = 0,
    -- How many of those are in the queue `ready`.
    ready_count = 0,
    -- Fibers that have failed and may still be joined, by task.
    failed = {},
    -- A service without connections has none of the module `conn`.
    conn_ended = function() end,
    conn_forgotten = function() end,
    -- How many fibers wait for something from other threads.
    expecting = 0,
}

-- What a coroutine of ours yields: the fiber waits, and the scheduler knows for what.
local WAIT = host.wait
-- What the scheduler passes to a fiber that goes on.
local TOKEN = {}
core.TOKEN = TOKEN

-- Why a fiber woke up. While it waits, `fiber.why` is false.
core.RUNS, core.STRUCK, core.TIMEOUT, core.SIGNAL, core.CLOSED = 1, 2, 3, 4, 5
local RUNS, STRUCK, TIMEOUT = core.RUNS, core.STRUCK, core.TIMEOUT

-- Errors that happen, as values. Their fields are out of reach: many fibers see the same value.
local function message_of(err) return err.message end
local function refuse() error("error values cannot be changed", 2) end

function core.new_error(category, code, message)
    return setmetatable({}, {
        __index = { code = code, category = category, message = message },
        __tostring = message_of, __newindex = refuse, __metatable = "error",
    })
end

local function is_error(err)
    return rawequal(getmetatable(err), "error")
end

core.interrupted = core.new_error("fiber", "interrupted", "the fiber was interrupted")
core.timed_out = core.new_error("fiber", "timed_out", "the time is over")

-- Queues: circular lists, whose head is any table with `next` and `prev`. A node that stands in none has `next` = false.
local function push(queue, node)
    local last = queue.prev
    node.prev, node.next = last, queue
    last.next, queue.prev = node, node
end

local function remove(node)
    local before, after = node.prev, node.next
    before.next, after.prev = after, before
    node.next, node.prev = false, false
end

function core.queue(head)
    head.next, head.prev = head, head
    return head
end

core.push, core.remove = push, remove

local ready = core.queue {}
core.ready = ready

function core.new_fiber(co)
    return {
        co = co, next = false, prev = false, tnext = false, tprev = false, level = false, tick = false,
        -- Why it runs, false while it waits.
        why = RUNS,
        -- The error of an interruption, to be raised at its interruption points; false without one.
        interrupted = false,
        -- How often its interruption is disabled.
        shield = 0,
        -- Cleanup handlers: {n, floor, [1..n]}, false before the first.
        cleanups = false,
        -- Of a spawned fiber: what `join` needs. Of an event's fiber that has waited: the event's number.
        task = false,
        extra = false,
        -- The innermost coroutine in which it runs, where that is not its own: a context of `scope`.
        inner = false,
        -- Its event has left something in it.
        used = false,
        -- Its place in `core.all`, 0 where it has none.
        index = 0,
    }
end

function core.extra(fiber)
    local extra = fiber.extra
    if not extra then
        extra = {
            held = 0, forbidden = 0, disabled = 0, id = false, locals = false, nodes = false, chosen = false,
            value = false,
            -- The innermost `with_timeout` in which it is.
            limit = false,
        }
        fiber.extra, fiber.used = extra, true
    end
    return extra
end

-- Stands for everything that runs outside of fibers: the loading of the service.
local root = core.new_fiber(nil)
local current = root
core.root = root

function core.current() return current end
function core.set_current(fiber) current = fiber end

-- Collects all garbage. LuaJIT's `ffi` keeps the coroutine alive that has used it last, with all that is on its stack: so let
-- that be this one.
function core.collect()
    if core.touch then core.touch() end
    collectgarbage()
end

-- Counts collections: each of them finds the garbage that is made here, and leaves some for the next one.
local watched = newproxy(true)
local collected, collections, newproxy, raw_pcall = host.collected, host.collections, newproxy, pcall
local watches = false
local function watch()
    -- There may be no memory for it.
    watches = raw_pcall(newproxy, watched)
end
getmetatable(watched).__gc = function()
    collected(collections)
    watch()
end
watch()

-- One step of a collection; true: it is over.
function core.step(size)
    if not watches then watch() end
    return collectgarbage("step", size)
end

-- Handles the messages of a batch, up to the one with this number. LuaJIT makes one trace of this, the handler and `ws:send`.
-- It ends early behind a message after which the host wants to look.
local function new_run(service)
    local compiled = host.compiled
    local ffi = require("ffi")
    local control, text = ffi.cast(compiled.control_type, compiled.control), ffi.string
    function core.touch() control.sent = 0 end
    -- Compiled code would leave no trace of who has run it.
    jit.off(core.touch)
    -- Compiled on its own where the handler is not.
    local function take(at)
        control.at = at
        local message = control.batch[at]
        return message.conn, message.opcode, text(message.payload, message.size)
    end
    return function(fiber, last)
        for at = 0, last do
            local returned = service.onMessage(take(at))
            if returned ~= true or fiber.used or control.stop ~= 0 then return returned end
        end
        return true
    end
end

-- The dispatch loop, which every event's coroutine runs: the host resumes it once per event. It stands here because it sets
-- `current`, and what it does for an event that does not wait is all that fibers cost such an event.
function core.new_dispatch(service, take, settle)
    local IDLE, ACCEPTED = host.idle, host.accepted
    local run = host.compiled and new_run(service)
    local function dispatch(fiber)
        local mark, returned = IDLE, nil
        while true do
            local last = raw_yield(mark, returned)
            if last then
                current = fiber
                returned = run(fiber, last)
            else
                -- `take` passes the event's name, but for messages.
                local conn, opcode, message, name, of_client, b, c = take()
                current = fiber
                if opcode then
                    returned = service.onMessage(conn, opcode, message)
                elseif of_client then
                    core.client_event(conn, name, message, b, c)
                    returned = true
                elseif conn then
                    returned = service[name](conn)
                else
                    returned = service[name]()
                end
            end
            if fiber.used then settle(fiber) end
            mark = returned == true and ACCEPTED or IDLE
        end
    end
    -- Of a loop that yields no trace can be made; the handlers that it calls are compiled all the same.
    jit.off(dispatch)
    return dispatch
end

function core.enlist(fiber)
    if fiber.index == 0 then
        local count = core.count + 1
        core.all[count] = fiber
        core.count, fiber.index = count, count
    end
end

function core.strike_off(fiber)
    local index = fiber.index
    if index > 0 then
        local all, count = core.all, core.count
        local last = all[count]
        all[index], last.index = last, index
        all[count], core.count, fiber.index = nil, count - 1, 0
    end
end

local ids = 0
function core.next_id()
    ids = ids + 1
    return ids
end

-- The name by which messages call a fiber.
function core.id(fiber)
    local task = fiber.task
    if type(task) == "table" then return task.id end
    local extra = core.extra(fiber)
    extra.id = extra.id or core.next_id()
    return extra.id
end

-- Lets a fiber that waits go on. It leaves whatever it waits for.
local function wake(fiber, why)
    if not fiber.next or fiber.why == false then core.ready_count = core.ready_count + 1 end
    if fiber.next then remove(fiber) end
    if fiber.tnext then core.disarm(fiber) end
    local extra = fiber.extra
    if extra and extra.nodes then
        for _, node in ipairs(extra.nodes) do
            if node.next then remove(node) end
        end
        extra.nodes = false
    end
    fiber.why = why
    if ready.next == ready then host.stir() end
    push(ready, fiber)
end
core.wake = wake

-- Wakes the fiber of a queue's first node, and takes that node out. Returns it, nil where the queue is empty.
function core.wake_first(queue, why)
    local node = queue.next
    if node == queue then return nil end
    local fiber = node.owner
    if fiber then
        remove(node)
        fiber.extra.chosen = node
        wake(fiber, why)
    else
        wake(node, why)
    end
    return node
end

-- The part of a mistake's position that the user can do something about.
local function mistake(name, text, level)
    error(name .. ": " .. text, (level or 1) + 2)
end
core.mistake = mistake

-- The beginning of every function that waits: refuses where waiting is impossible, and is an interruption point. `level`
-- counts the frames between it and the user's call.
function core.enter(name, level)
    local fiber = current
    if fiber == root then
        mistake(name, "can only be called in a fiber: in a handler, in run() or in what they spawn", (level or 1) + 1)
    end
    local inner = fiber.inner
    if inner and inner.stuck or not can_wait((inner or fiber).co) then
        mistake(name, "cannot wait here: a C function is on the way to the scheduler "
            .. "(attempt to yield across C-call boundary)", (level or 1) + 1)
    end
    local extra = fiber.extra
    if extra and extra.forbidden > 0 then
        mistake(name, "waiting is forbidden here (this_fiber.forbid_suspend)", (level or 1) + 1)
    end
    if fiber.interrupted or extra then core.check(fiber) end
    return fiber
end

-- The error that an interruption point raises now, if there is one: an interruption, or else the outermost limit whose time
-- is over. What was begun behind a shield is not reached by what was begun outside of it.
local function pending(fiber)
    local shield, extra = fiber.shield, fiber.extra
    if fiber.interrupted and shield == 0 then return fiber.interrupted end
    local limit, err = extra and extra.limit, nil
    while limit do
        if limit.fired and limit.shield == shield and core.concerns(limit, fiber) then err = limit.err end
        limit = limit.outer
    end
    return err
end

-- An interruption point.
function core.check(fiber)
    local err = pending(fiber)
    if err then error(err, 0) end
end

-- The end of a wait that was struck.
function core.raise(fiber)
    error(pending(fiber) or core.interrupted, 0)
end

-- Lets others run until this fiber is woken, and tells why it was. The caller has put it where that can happen.
local function suspend(fiber)
    fiber.why = false
    if not rawequal(raw_yield(WAIT), TOKEN) then core.intruded(fiber) end
    return fiber.why
end
core.suspend = suspend

-- A C function that was given our coroutine has resumed it.
function core.intruded(fiber)
    if fiber.why == false then wake(fiber, RUNS) end
    if fiber.next then remove(fiber) end
    error("a fiber that waits was resumed by something else than the scheduler", 0)
end

-- The same, for waits that an interruption ends: raises it.
function core.wait(fiber)
    local why = suspend(fiber)
    if why == STRUCK then core.raise(fiber) end
    return why
end

-- Interrupts a fiber: its interruption points raise the error from now on, its present wait first.
function core.strike(fiber)
    fiber.interrupted, fiber.used = core.interrupted, true
    if fiber.why == false and fiber.shield == 0 then wake(fiber, STRUCK) end
end

-- Waits for what comes from other threads. The fiber gets a ticket, and who has something for it rings the instance's bell
-- with that. `sure`: somebody will ring for certain, so that a stop has to wait for it.
local expected, tickets = {}, 0

function core.expect(fiber, sure)
    tickets = tickets + 1
    expected[tickets] = fiber
    core.expecting = core.expecting + 1
    if sure then host.owed(1) end
    return tickets
end

-- The wait is over, whether somebody has rung or not.
function core.unexpect(ticket, sure)
    expected[ticket] = nil
    core.expecting = core.expecting - 1
    if sure then host.owed(-1) end
end

-- Somebody has rung.
function core.rung(ticket)
    local fiber = expected[ticket]
    if fiber and fiber.why == false then wake(fiber, core.SIGNAL) end
end

-- Checks of arguments. Numbers in strings are none.
function core.number(value, name, index, what, level)
    if type(value) ~= "number" then
        mistake(name, format("argument %d (%s) must be a number, got %s", index, what, type(value)),
            (level or 1) + 1)
    end
    return value
end

function core.seconds(value, name, index, level)
    level = (level or 1) + 1
    core.number(value, name, index, "seconds", level)
    if not (value >= 0 and value <= 1e9) then
        mistake(name, format("argument %d (seconds) must be from 0 to 1e9, got %s", index, tostring(value)),
            level)
    end
    return value
end

-- The same argument in milliseconds; returns seconds.
function core.milliseconds(value, name, index)
    core.number(value, name, index, "milliseconds", 2)
    if not (value >= 0 and value <= 1e12) then
        mistake(name, format("argument %d (milliseconds) must be from 0 to 1e12, got %s", index, tostring(value)), 2)
    end
    return value / 1000
end

function core.whole(value, name, index, what, least, level)
    level = (level or 1) + 1
    core.number(value, name, index, what, level)
    if not (value >= least and value <= 2 ^ 53 and floor(value) == value) then
        mistake(name, format("argument %d (%s) must be a whole number from %d, got %s", index, what, least,
            tostring(value)), level)
    end
    return value
end

function core.callable(value, name, index, level)
    if type(value) ~= "function" then
        mistake(name, format("argument %d must be a function, got %s", index, type(value)), (level or 1) + 1)
    end
    return value
end

-- Checks the object before the colon.
function core.self(value, class, name, level)
    if getmetatable(value) ~= class then
        mistake(name, "must be called with a colon, on what new() has made", (level or 1) + 1)
    end
    return value
end

-- The metatable of objects whose methods these are.
function core.class(methods)
    return { __index = methods }
end

-- The text of an error value.
local function describe(err)
    local kind = type(err)
    if kind == "string" then
        return (gsub(err, "^lapps/fiber/core:%d+: attempt to call field '(.-)' %((.-)%)$",
            "%1 is %2, not a function any more"))
    end
    if kind == "number" then return tostring(err) end
    local meta = getmetatable_of(err)
    if type(meta) == "table" and rawget(meta, "__tostring") ~= nil then
        local ok, text = core.raw.pcall(tostring, err)
        if ok and type(text) == "string" then return text end
    end
    return "the error value is a " .. kind .. ", not a text"
end
core.describe = describe

-- A traceback without the lines of this library, which tell nobody anything. Of the coroutine's topmost function LuaJIT
-- does not know the line any more when an error has ended it; the error does.
local function tidy(text, err)
    for _, ours in ipairs { "^\n", "\n\tlapps/fiber[^\n]*", "\n\t%[C%]: in function 'raw_%a+'", "\n\t%[C%]: in function 'yield'",
        "\n\t%[C%]: in function 'resume'", "\n\t%[C%]: in %?$" } do
        text = gsub(text, ours, "")
    end
    local source, line
    if type(err) == "string" then source, line = match(err, "^([^\n]-):(%d+): ") end
    if line then
        local first, rest = match(text, "^(stack traceback:\n\t[^\n]-)(: in .*)$")
        if first and sub(first, -#source) == source then text = first .. ":" .. line .. rest end
    end
    return find(text, "\n", 1, true) and text or ""
end

function core.traceback(co, err)
    return tidy(raw_traceback(co), err)
end

-- Where an error that passes through scopes was raised first. Raising it again would lose that.
local origin = { value = nil, text = nil }

function core.remember(err)
    if not is_error(err) and not rawequal(origin.value, err) then
        origin.value, origin.text = err, tidy(raw_traceback("", 2))
    end
    return err
end

function core.keep_origin(err, text)
    origin.value, origin.text = err, text
end

function core.forget_origin()
    origin.value, origin.text = nil, nil
end

-- The traceback of an error that has ended a coroutine.
function core.where(err, co)
    if not rawequal(err, nil) and rawequal(origin.value, err) then
        local text = origin.text
        core.forget_origin()
        return text
    end
    return core.traceback(co, err)
end

return core
