-- `bcast`: what is sent to the own handler comes before the report.
check_bcast = {}
check_bcast.__index = check_bcast

local checks = require("checks")
local all = checks.new()
local early = { bcast:create(1) }

local function note(...)
    local message = nljson.decode([[ {"cid": 41, "message": []} ]])
    message.message = { ... }
    return message
end

all:add("not while the file is loaded", function()
    checks.refused("only in handlers and fibers: the service's file is still being loaded", unpack(early))
end)

all:add("create", function()
    checks.done(bcast:create(41))
    checks.done(bcast:create(41))
    for _, channel in ipairs({ 0, -1, 2 ^ 53, -2 ^ 53 }) do checks.done(bcast:create(channel)) end
end)

all:add("a channel is a whole number", function(handler)
    for _, channel in ipairs({ 0.5, 2 ^ 53 + 2, -2 ^ 53 - 2, 1e300, 1 / 0, 0 / 0 }) do
        checks.refused("a channel must be a whole number", bcast:create(channel))
        checks.refused("a channel must be a whole number", bcast:subscribe(channel, handler))
        checks.refused("a channel must be a whole number", bcast:unsubscribe(channel, handler))
        checks.refused("a channel must be a whole number", bcast:send(channel, note()))
    end
end)

all:add("a channel that is not there", function(handler)
    checks.refused("no such channel: bcast:create makes it", bcast:subscribe(4242, handler))
    checks.refused("no such channel: bcast:create makes it", bcast:unsubscribe(4242, handler))
    checks.refused("no such channel: bcast:create makes it", bcast:send(4242, note()))
end)

all:add("unsubscribe of one that never subscribed", function(handler)
    checks.refused("not subscribed", bcast:unsubscribe(41, handler))
end)

all:add("nobody listens", function()
    checks.done(bcast:send(41, note("nobody hears this")))
end)

all:add("subscribed twice it comes once", function(handler)
    checks.done(bcast:subscribe(41, handler))
    checks.done(bcast:subscribe(41, handler))
    checks.done(bcast:send(41, note("once", { deep = { 1 } })))
end)

all:add("unsubscribed nothing comes", function(handler)
    checks.done(bcast:create(42))
    checks.done(bcast:subscribe(42, handler))
    checks.done(bcast:unsubscribe(42, handler))
    checks.refused("not subscribed", bcast:unsubscribe(42, handler))
    checks.done(bcast:send(42, note("nobody hears this")))
end)

all:add("only notifications are sent", function()
    for _, text in ipairs({
        [[ {} ]], [[ [] ]], [[ "x" ]], [[ {"cid": "1", "message": []} ]], [[ {"message": []} ]],
        [[ {"cid": 1} ]], [[ {"cid": 1, "message": {}} ]], [[ {"cid": 1, "message": "x"} ]],
    }) do
        checks.refused("invalid LAppS-protocol message", bcast:send(41, nljson.decode(text)))
    end
end)

all:add("stale and invented handlers", function(_, params)
    for _, handler in ipairs({ params[1], 0, -1, 0.5, 2 ^ 53, 0 / 0 }) do
        checks.refused("connection closed", bcast:subscribe(41, handler))
        local ok = bcast:unsubscribe(41, handler)
        checks.equal(ok, false)
    end
end)

all:add("wrong types raise", function(handler)
    for _, name in ipairs({ "create", "subscribe", "unsubscribe", "send" }) do
        local call = "bcast:" .. name
        checks.raises(call .. " must be called with a colon", bcast[name], 41, handler)
        checks.raises(call .. ": argument 1 (channel) must be a number, got nil", bcast[name], bcast, nil)
        checks.raises(call .. ": argument 1 (channel) must be a number, got string", bcast[name], bcast, "41", handler)
    end
    for _, name in ipairs({ "subscribe", "unsubscribe" }) do
        local call = "bcast:" .. name
        checks.raises(call .. ": argument 2 (handler) must be a number, got no value", bcast[name], bcast, 41)
        checks.raises(call .. ": argument 2 (handler) must be a number, got table", bcast[name], bcast, 41, {})
    end
    checks.raises("bcast:send: argument 2 (message) must be a nljson value, got no value", bcast.send, bcast, 41)
    checks.raises("bcast:send: argument 2 (message) must be a nljson value, got table", bcast.send, bcast, 41, { cid = 1 })
    checks.raises("bcast:send: argument 2 (message) must be a nljson value, got string", bcast.send, bcast, 41, "x")
end)

all:serve(check_bcast)

return check_bcast
