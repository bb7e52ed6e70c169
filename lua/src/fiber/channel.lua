-- `require "channel"`: values from fiber to fiber, in order, with room for so many.
local core = ...

local error, rawequal, setmetatable, getmetatable_of = error, rawequal, setmetatable, debug.getmetatable
local enter, push, suspend = core.enter, core.push, core.suspend
local STRUCK, TIMEOUT, SIGNAL, CLOSED = core.STRUCK, core.TIMEOUT, core.SIGNAL, core.CLOSED

local methods = {}
local class = core.class(methods)
local closed = core.new_error("channel", "closed", "the channel is closed")

-- Where the value of one who waits is: a node of select has it itself.
local function carrier(node)
    return node.owner and node or core.extra(node)
end

local function take_buffered(channel)
    local head = channel.head
    local value = channel[head]
    channel[head] = nil
    channel.head, channel.count = head + 1, channel.count - 1
    return value
end

local function buffer(channel, value)
    local count = channel.count
    if count == 0 then channel.head = 1 end
    channel[channel.head + count] = value
    channel.count = count + 1
end

-- Receives if that needs no waiting: true and the value, or true, nil and the error.
local function poll_recv(channel)
    if channel.count > 0 then
        local value = take_buffered(channel)
        -- The first who waits has room now.
        local node = core.wake_first(channel.senders, SIGNAL)
        if node then
            local from = carrier(node)
            buffer(channel, from.value)
            from.value = false
        end
        return true, value
    end
    local node = core.wake_first(channel.senders, SIGNAL)
    if node then
        local from = carrier(node)
        local value = from.value
        from.value = false
        return true, value
    end
    if channel.closed then return true, nil, closed end
    return false
end

-- Sends if that needs no waiting: true and true, or true, nil and the error.
local function poll_send(channel, value)
    if channel.closed then return true, nil, closed end
    local node = core.wake_first(channel.receivers, SIGNAL)
    if node then
        carrier(node).value = value
        return true, true
    end
    if channel.count < channel.room then
        buffer(channel, value)
        return true, true
    end
    return false
end

-- Receives with what `poll_recv` has found; waits if that is nothing.
local function recv(channel, fiber, seconds, done, ...)
    if done then return ... end
    local extra = core.extra(fiber)
    if seconds then core.arm(fiber, seconds) end
    push(channel.receivers, fiber)
    local why = suspend(fiber)
    if why == SIGNAL then
        local value = extra.value
        extra.value = false
        return value
    end
    if why == STRUCK then core.raise(fiber) end
    if why == TIMEOUT then return nil, core.timed_out end
    return nil, closed
end

-- The same for sending.
local function send(channel, value, fiber, seconds, done, ...)
    if done then return ... end
    local extra = core.extra(fiber)
    if seconds then core.arm(fiber, seconds) end
    extra.value = value
    push(channel.senders, fiber)
    local why = suspend(fiber)
    if why == SIGNAL then return true end
    extra.value = false
    if why == STRUCK then core.raise(fiber) end
    if why == TIMEOUT then return nil, core.timed_out end
    return nil, closed
end

-- What a poll has found, else `otherwise`.
local function found(otherwise, done, ...)
    if done then return ... end
    return otherwise
end

local function check_value(value, name)
    if rawequal(value, nil) then core.mistake(name, "nil cannot be sent", 2) end
end

function methods.send(channel, value)
    core.self(channel, class, "channel:send")
    check_value(value, "channel:send")
    local fiber = enter("channel:send")
    return send(channel, value, fiber, nil, poll_send(channel, value))
end

function methods.send_for(channel, value, seconds)
    core.self(channel, class, "channel:send_for")
    check_value(value, "channel:send_for")
    core.seconds(seconds, "channel:send_for", 2)
    local fiber = enter("channel:send_for")
    return send(channel, value, fiber, seconds, poll_send(channel, value))
end

function methods.try_send(channel, value)
    core.self(channel, class, "channel:try_send")
    check_value(value, "channel:try_send")
    return found(false, poll_send(channel, value))
end

function methods.recv(channel)
    core.self(channel, class, "channel:recv")
    local fiber = enter("channel:recv")
    return recv(channel, fiber, nil, poll_recv(channel))
end

function methods.recv_for(channel, seconds)
    core.self(channel, class, "channel:recv_for")
    core.seconds(seconds, "channel:recv_for", 1)
    local fiber = enter("channel:recv_for")
    return recv(channel, fiber, seconds, poll_recv(channel))
end

function methods.try_recv(channel)
    core.self(channel, class, "channel:try_recv")
    return found(nil, poll_recv(channel))
end

function methods.iter(channel)
    core.self(channel, class, "channel:iter")
    return function()
        local fiber = enter("channel:iter")
        return (recv(channel, fiber, nil, poll_recv(channel)))
    end
end

function methods.close(channel)
    core.self(channel, class, "channel:close")
    if channel.closed then core.mistake("channel:close", "the channel is closed already") end
    channel.closed = true
    while core.wake_first(channel.receivers, CLOSED) do end
    while core.wake_first(channel.senders, CLOSED) do end
end

function methods.len(channel)
    core.self(channel, class, "channel:len")
    return channel.count
end

function methods.capacity(channel)
    core.self(channel, class, "channel:capacity")
    return channel.room
end

function methods.is_closed(channel)
    core.self(channel, class, "channel:is_closed")
    return channel.closed
end

core.modules.channel = {
    new = function(capacity)
        if capacity == nil then capacity = 0 end
        core.whole(capacity, "channel.new", 1, "capacity", 0)
        return setmetatable({
            room = capacity, head = 1, count = 0, closed = false,
            senders = core.queue {}, receivers = core.queue {},
        }, class)
    end,
}

core.selectable[class] = {
    poll = poll_recv,
    queue = function(channel) return channel.receivers end,
    finish = function(_, node, why)
        if why == CLOSED then return nil, closed end
        return node.value
    end,
}
-- `{channel, "send", value}` in a select.
core.selectable_send = {
    is = function(value) return getmetatable_of(value) == class end,
    poll = poll_send,
    queue = function(channel) return channel.senders end,
    finish = function(_, _, why)
        if why == CLOSED then return nil, closed end
        return true
    end,
}
