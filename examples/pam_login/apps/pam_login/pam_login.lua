-- Lets in who has an account on this machine: login through PAM, in the LAppS protocol.
--
-- The name of the PAM service is the first argument of pam_auth:login: "login" is on every Linux machine. Reading
-- /etc/shadow needs rights: run the server as root to try it, or as a user who only logs in itself.
local pam_login = {}

local SERVICE = os.getenv("PAM_SERVICE") or "login"

-- Names of those who are logged in, by handler.
local names = {}

local function fail(handler, code, message)
    local response = nljson.decode('{"cid": 0, "status": 0, "error": {}}')
    response.error.code = code
    response.error.message = message
    return ws:send(handler, response)
end

local function respond(handler, value)
    local response = nljson.decode('{"cid": 0, "status": 1, "result": []}')
    response.result[1] = value
    return ws:send(handler, response)
end

local requests = {}

-- login [user, password]
function requests.login(handler, params)
    local user, password = params and params[1], params and params[2]
    if type(user) ~= "string" or type(password) ~= "string" then
        return fail(handler, -32602, "login wants [user, password]")
    end
    -- PAM may take seconds over a wrong password; only this fiber waits.
    local ok, message = pam_auth:login(SERVICE, user, password)
    if not ok then
        return fail(handler, -32000, message or "wrong user or password")
    end
    names[handler] = user
    return respond(handler, "welcome, " .. user)
end

function requests.whoami(handler)
    if not names[handler] then return fail(handler, -32000, "log in first") end
    return respond(handler, names[handler])
end

function pam_login.onStart() end

function pam_login.onMessage(handler, msg_type, message)
    if msg_type < 3 then return true end
    local request = requests[message.method]
    if not request then return fail(handler, -32601, "no such method: " .. message.method) end
    return request(handler, message.params)
end

function pam_login.onDisconnect(handler)
    names[handler] = nil
end

function pam_login.onShutdown() end

return pam_login
