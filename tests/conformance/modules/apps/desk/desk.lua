-- Where clients ask for the report of the standalone service.
desk = {}
desk.__index = desk

local requests, reports = mqr.create("alone requests"), mqr.create("alone reports")

desk["onStart"] = function() end

desk["onMessage"] = function(handler, msg_type, message)
    requests:post(message.method)
    local response = nljson.decode([[ { "cid": 0, "status": 1, "result": [] } ]])
    response.result = reports:recv(20)
    return ws:send(handler, response)
end

desk["onDisconnect"] = function(handler) end
desk["onShutdown"] = function() end

return desk
