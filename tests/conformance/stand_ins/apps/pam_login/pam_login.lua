-- Lets in who has an account on this machine.
pam_login = {}
pam_login.__index = pam_login

local users = {}

local function login(handler, params)
    local user, password = nljson.find(params[1], "user"), nljson.find(params[1], "password")
    if type(user) ~= "string" or type(password) ~= "string" then
        return false, "no user or password"
    end
    local ok, errmsg = pam_auth:login(os.getenv("PAM_SERVICE") or "login", user, password)
    if ok then
        users[handler] = user
    end
    return ok, errmsg
end

pam_login["onStart"] = function() end
pam_login["onShutdown"] = function() end

pam_login["onDisconnect"] = function(handler)
    users[handler] = nil
end

-- Ends with two values: whether all is well, and what to say of it.
pam_login["onMessage"] = function(handler, msg_type, message)
    if msg_type ~= 4 or message.method ~= "login" then
        return true, "not a login"
    end
    local ok, errmsg = login(handler, message.params)
    local response
    if ok then
        response = nljson.decode([[{ "cid": 0, "status": 1, "result": ["welcome"] }]])
    else
        response = nljson.decode([[{ "cid": 0, "status": 0, "error": { "code": -20, "message": "" } }]])
        response.error.message = errmsg
    end
    return ws:send(handler, response), errmsg
end

return pam_login
