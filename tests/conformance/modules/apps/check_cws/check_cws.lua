-- `cws`: connections to an echo service, whose address is in the params.
check_cws = {}
check_cws.__index = check_cws

local checks = require("checks")
local all = checks.new()
local equal, raises = checks.equal, checks.raises

-- Rounds of events until something is so.
local function wait_for(condition)
    local since = time.monotonic()
    while not condition() do
        if time.monotonic() - since > 20 then error("it does not come to pass", 2) end
        cws:eventLoop()
    end
end

-- What has happened, in words.
local function recorder()
    local log = {}
    return log, {
        onopen = function(h) log[#log + 1] = "open " .. type(h) end,
        onmessage = function(h, message, opcode) log[#log + 1] = "message " .. message .. " " .. opcode end,
        onerror = function(h, text) log[#log + 1] = "error " .. tostring(text) end,
        onclose = function(h, payload) log[#log + 1] = "close " .. tostring(payload) end,
    }
end

all:add("open, send, receive, close", function(_, params)
    local log, handlers = recorder()
    local number
    handlers.onopen = function(h)
        number = h
        equal(tostring(cws:send(h, "as text", 1)), "true")
        equal(tostring(cws:send(h, "\0\1", 2)), "true")
    end
    local object = cws:new(params[1], handlers)
    wait_for(function() return #log == 2 end)
    equal(table.concat(log, ", "), "message as text 1, message \0\1 2")
    checks.done(object:close())
    wait_for(function() return #log == 3 end)
    equal(log[3], "close \3\232")
    equal(type(number), "number")
    checks.refused("connection closed", cws:send(number, "late", 1))
    checks.refused("connection closed", object:close())
    checks.refused("connection closed", ws:send(number, 1, "late"))
end)

all:add("what cannot be connected is nil and a message", function(_, params)
    local _, handlers = recorder()
    for _, uri in ipairs({
        "", "x", "http://127.0.0.1/", "ws://", "ws:///path", "ws://127.0.0.1:99999/", "ws://127.0.0.1:x/", "ws://[::1/",
        "ws://127.0.0.1/a b", "ws://127.0.0.1/#fragment", "ws://user@127.0.0.1/", "ws://127.0.0.1:1/",
    }) do
        local object, message = cws:new(uri, handlers)
        equal(uri .. " " .. tostring(object) .. " " .. type(message), uri .. " nil string")
    end
end)

all:add("an upgrade that is refused is an error", function(_, params)
    local log, handlers = recorder()
    assert(cws:new(params[1] .. "-that-is-not-there", handlers))
    wait_for(function() return #log > 0 end)
    equal(#log, 1)
    equal(log[1]:match("^error .*404") ~= nil, true)
end)

all:add("send: opcodes and stale handlers", function(_, params)
    local log, handlers = recorder()
    local number
    handlers.onopen = function(h) number = h end
    local object = assert(cws:new(params[1], handlers))
    wait_for(function() return number end)
    for _, opcode in ipairs({ 0, 3, 8, 1.5 }) do
        checks.refused("opcode must be 1 (text) or 2 (binary)", cws:send(number, "x", opcode))
    end
    for _, handler in ipairs({ 0, -1, 1.5, 2 ^ 53, 0 / 0 }) do
        checks.refused("connection closed", cws:send(handler, "x", 1))
    end
    checks.done(object:close(4000, "bye"))
    wait_for(function() return #log == 1 end)
    equal(log[1], "close \15\160")
end)

all:add("wrong arguments raise", function(handler, params)
    local f = { onopen = function() end }
    raises("cws:new must be called with a colon", cws.new, params[1], f)
    raises("cws:new: argument 1 (uri) must be a string, got nil", cws.new, cws)
    raises("cws:new: argument 2 (handlers) must be a table, got nil", cws.new, cws, params[1])
    raises("must have at least one of the functions", cws.new, cws, params[1], {})
    raises("has onopen = a number; it must be a function", cws.new, cws, params[1], { onopen = 5 })
    raises("has 'onMessage'; the name is 'onmessage'", cws.new, cws, params[1], { onMessage = print })
    raises("cws:send must be called with a colon", cws.send, handler, "x", 1)
    raises("cws:send: argument 1 (handler) must be a number, got nil", cws.send, cws, nil, "x", 1)
    raises("cws:send: argument 2 (message) must be a string, got no value", cws.send, cws, handler)
    raises("cws:send: argument 3 (opcode) must be a number, got string", cws.send, cws, handler, "x", "1")
    -- The order of `ws:send`.
    raises("cws:send: argument 3 (opcode) must be a number, got string", cws.send, cws, handler, 1, "x")
    raises("cws:eventLoop must be called with a colon", cws.eventLoop)
end)

all:serve(check_cws)

return check_cws
