-- `select{...}`: waits for the first of several things. Given anything but a table, it is Lua's own `select`.
local core = ...

local getmetatable_of, format, ipairs, rawequal, type = debug.getmetatable, string.format, ipairs, rawequal, type
local raw_select = core.raw.select
local selectable, sending = core.selectable, core.selectable_send

-- The end of a fiber.
local fiber_end = {
    poll = function(handle) return core.fiber_of_handle(handle).task.ok ~= nil, true end,
    queue = function(handle)
        local task = core.fiber_of_handle(handle).task
        task.waiters = task.waiters or core.queue {}
        return task.waiters
    end,
    finish = function() return true end,
}

-- How to wait for a case, and what for; with `send`, the value.
local function kind_of(case, index)
    if core.is_handle(case) then return fiber_end, case end
    local meta = getmetatable_of(case)
    local kind = meta and selectable[meta]
    if kind then return kind, case end
    if type(case) == "table" and sending.is(case[1]) and case[2] == "send" then
        if rawequal(case[3], nil) then core.mistake("select", format("case %d: nil cannot be sent", index), 3) end
        return sending, case[1], case[3]
    end
    core.mistake("select", format("case %d must be a channel, {channel, \"send\", value}, a future, a fiber, a semaphore "
        .. "or a steady_timer, got %s", index, type(case)), 3)
end

-- The first of the cases from `index` on that can go on at once: its index and what that gives; nothing if there is none.
local first_at_once

local function found(cases, index, done, ...)
    if done then return index, ... end
    return first_at_once(cases, index + 1)
end

function first_at_once(cases, index)
    local case = cases[index]
    if case then return found(cases, index, case.kind.poll(case.object, case.value)) end
end

-- Ends a select with what was found; waits if that is nothing.
local function go_on(fiber, cases, timeout, index, ...)
    if index then return index, ... end
    if timeout == 0 then return nil, core.timed_out end
    local extra, queues = core.extra(fiber), {}
    -- All that may need memory comes first.
    for n, case in ipairs(cases) do queues[n] = case.kind.queue(case.object) end
    if timeout then core.arm(fiber, timeout) end
    for n, case in ipairs(cases) do core.push(queues[n], case) end
    extra.nodes = cases
    local why = core.suspend(fiber)
    if why == core.STRUCK then core.raise(fiber) end
    if why == core.TIMEOUT then return nil, core.timed_out end
    local node = extra.chosen
    extra.chosen = false
    return node.index, node.kind.finish(node.object, node, why)
end

-- The cases as nodes of the queues in which they may stand.
local function read(list, fiber)
    local cases = {}
    for index = 1, #list do
        local kind, object, value = kind_of(list[index], index)
        cases[index] = { next = false, prev = false, owner = fiber, index = index, kind = kind, object = object,
            value = value }
    end
    return cases
end

local function check(list)
    local timeout = list.timeout
    if timeout ~= nil then core.seconds(timeout, "select", 1, 2) end
    if #list == 0 and timeout == nil then
        core.mistake("select", "there is nothing to wait for: name a case or a timeout", 2)
    end
end

function select(first, ...)
    if type(first) ~= "table" then return raw_select(first, ...) end
    check(first)
    local fiber = core.current()
    local cases = read(first, fiber)
    core.enter("select")
    return go_on(fiber, cases, first.timeout, first_at_once(cases, 1))
end
