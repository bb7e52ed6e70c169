-- `select{...}`: waits for the first of several things. Given anything but a table, it is Lua's own `select`.
local core = ...

local debug, error, format, type = debug, error, string.format, type
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
    local meta = debug.getmetatable(case)
    local kind = meta and selectable[meta]
    if kind then return kind, case end
    if type(case) == "table" and sending.is(case[1]) and case[2] == "send" then
        if case[3] == nil then core.mistake("select", format("case %d: nil cannot be sent", index), 2) end
        return sending, case[1], case[3]
    end
    core.mistake("select", format("case %d must be a channel, {channel, \"send\", value}, a future, a fiber, a semaphore "
        .. "or a steady_timer, got %s", index, type(case)), 2)
end

local function found(index, done, ...)
    if done then return index, ... end
end

local function wait_for_first(cases)
    local timeout = cases.timeout
    if timeout ~= nil then core.seconds(timeout, "select", 1, 2) end
    local count = #cases
    if count == 0 and timeout == nil then
        core.mistake("select", "there is nothing to wait for: name a case or a timeout", 2)
    end
    local kinds, objects, values = {}, {}, {}
    for index = 1, count do
        kinds[index], objects[index], values[index] = kind_of(cases[index], index)
    end
    local fiber = core.enter("select", 2)
    for index = 1, count do
        local which, a, b = found(index, kinds[index].poll(objects[index], values[index]))
        if which then return which, a, b end
    end
    if timeout == 0 then return nil, core.timed_out end
    local nodes, extra = {}, core.extra(fiber)
    for index = 1, count do
        nodes[index] = { next = false, prev = false, owner = fiber, index = index, value = values[index] }
    end
    local queues = {}
    for index = 1, count do queues[index] = kinds[index].queue(objects[index]) end
    if timeout then core.arm(fiber, timeout) end
    for index = 1, count do core.push(queues[index], nodes[index]) end
    extra.nodes = nodes
    local why = core.suspend(fiber)
    if why == core.STRUCK then error(fiber.interrupted, 0) end
    if why == core.TIMEOUT then return nil, core.timed_out end
    local node = extra.chosen
    extra.chosen = false
    return node.index, kinds[node.index].finish(objects[node.index], node, why)
end

local function all_of(...)
    return ...
end

function select(first, ...)
    if type(first) == "table" then return all_of(wait_for_first(first)) end
    return raw_select(first, ...)
end
