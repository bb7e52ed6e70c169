-- Requests and notifications by maps of methods, with a login and a channel.
echo_lapps = {}
echo_lapps.__index = echo_lapps

local templates = require("echo_lapps_templates")
local sessions = {}
local last_key = 0

local function denied(handler, code, text)
    local response = nljson.decode(templates.err)
    response.error.code = code
    response.error.message = text
    return ws:send(handler, response)
end

local requests_without_params = {
    logout = function(handler)
        sessions[handler] = nil
        return ws:send(handler, nljson.decode(templates.ok))
    end,
}

local requests_with_params = {
    login = function(handler, params)
        local user, password = nljson.find(params[1], "user"), nljson.find(params[1], "password")
        if user == nil or password == nil then
            return denied(handler, -32602, "no user or password")
        end
        if password ~= "secret" then
            return denied(handler, -10, "not authorized")
        end
        last_key = last_key + 1
        sessions[handler] = last_key
        local response = nljson.decode(templates.ok)
        response.result[1] = { authkey = last_key, user = user }
        return ws:send(handler, response)
    end,
    echo = function(handler, params)
        local response = nljson.decode(templates.ok)
        nljson.foreach(params, function(index, value)
            response.result[index] = value
        end)
        return ws:send(handler, response)
    end,
}

local notifications_with_params = {
    subscribe = function(handler, params)
        bcast:subscribe(params[1], handler)
        return true
    end,
    unsubscribe = function(handler, params)
        bcast:unsubscribe(params[1], handler)
        return true
    end,
}

local function no_such_method(handler, message)
    return denied(handler, -32601, "no such method: " .. message.method)
end

local switch = {
    [1] = function(handler, message)
        return true
    end,
    [2] = function(handler, message)
        local method = notifications_with_params[message.method]
        if sessions[handler] and method then
            return method(handler, message.params)
        end
        return true
    end,
    [3] = function(handler, message)
        local method = requests_without_params[message.method]
        if method then
            return method(handler)
        end
        return no_such_method(handler, message)
    end,
    [4] = function(handler, message)
        local method = requests_with_params[message.method]
        if not method then
            return no_such_method(handler, message)
        end
        if message.method ~= "login" and not sessions[handler] then
            return denied(handler, -11, "log in first")
        end
        return method(handler, message.params)
    end,
}

echo_lapps["onStart"] = function()
    bcast:create(1000)
end

echo_lapps["onDisconnect"] = function(handler)
    sessions[handler] = nil
end

echo_lapps["onShutdown"] = function()
end

echo_lapps["onMessage"] = function(handler, msg_type, message)
    return switch[msg_type](handler, message)
end

return echo_lapps
