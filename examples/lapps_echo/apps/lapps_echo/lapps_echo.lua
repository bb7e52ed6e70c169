-- An echo in the LAppS protocol: clients log in, send what they want back, and may listen to what the others send.
local methods = require "lapps_echo_methods"
local answer = require "lapps_echo_answer"

local lapps_echo = {}

-- The channel of those who listen; notifications of the server have a cid of their own, and here it is the same.
local CHANNEL = 100

function lapps_echo.onStart()
    assert(bcast:create(CHANNEL))
    methods.channel = CHANNEL
end

-- msg_type 1 and 2 are notifications of the client, without and with params: they are not answered. 3 and 4 are requests.
function lapps_echo.onMessage(handler, msg_type, message)
    local is_request = msg_type >= 3
    local params = message.params
    if not is_request then
        if params and message.method == "tell" then return methods.tell(handler, params) end
        return true
    end
    local method = methods.requests[message.method]
    if not method then
        return ws:send(handler, answer.error(-32601, "no such method: " .. message.method))
    end
    if message.method ~= "login" and not methods.is_logged_in(handler) then
        return ws:send(handler, answer.error(-32000, "log in first"))
    end
    return method(handler, params)
end

function lapps_echo.onDisconnect(handler)
    -- Its subscription ends by itself.
    methods.forget(handler)
end

function lapps_echo.onShutdown() end

return lapps_echo
