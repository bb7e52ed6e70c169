-- Where clients come in: subscribe and unsubscribe, and the time now for those who only ask once.
local clock = {}

local CHANNEL = 200

local function respond(handler, value)
    local response = nljson.decode('{"cid": 0, "status": 1, "result": []}')
    response.result[1] = value
    return ws:send(handler, response)
end

local requests = {
    subscribe = function(handler)
        return respond(handler, bcast:subscribe(CHANNEL, handler))
    end,
    unsubscribe = function(handler)
        return respond(handler, (bcast:unsubscribe(CHANNEL, handler)))
    end,
    now = function(handler)
        return respond(handler, time.now())
    end,
}

function clock.onStart() end

function clock.onMessage(handler, msg_type, message)
    -- Notifications of clients mean nothing here.
    if msg_type < 3 then return true end
    local request = requests[message.method]
    if request then return request(handler) end
    local response = nljson.decode('{"cid": 0, "status": 0, "error": {"code": -32601, "message": "no such method"}}')
    return ws:send(handler, response)
end

function clock.onDisconnect(handler) end

function clock.onShutdown() end

return clock
