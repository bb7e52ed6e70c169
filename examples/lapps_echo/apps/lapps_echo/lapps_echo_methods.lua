-- What clients may call, by name.
local answer = require "lapps_echo_answer"

local methods = { requests = {}, channel = 0 }
local requests = methods.requests

-- Names of those who are logged in, by handler.
local names = {}

function methods.is_logged_in(handler) return names[handler] ~= nil end

function methods.forget(handler) names[handler] = nil end

-- login {user, password}: here anybody whose password is not empty may come in; see the example pam_login for a real one.
function requests.login(handler, params)
    local who = params and params[1]
    if nljson.typename(who) ~= "object" or type(who.user) ~= "string" or type(who.password) ~= "string" then
        return ws:send(handler, answer.error(-32602, 'login wants [{"user": …, "password": …}]'))
    end
    if who.password == "" then
        ws:send(handler, answer.error(-32000, "wrong user or password"))
        ws:close(handler, 3401, "wrong user or password")
        return true
    end
    names[handler] = who.user
    local response = answer.result()
    response.result[1] = { user = who.user, authkey = math.random(2 ^ 32) }
    return ws:send(handler, response)
end

-- echo …: the params as they came.
function requests.echo(handler, params)
    local response = answer.result()
    if params then response.result = params end
    return ws:send(handler, response)
end

-- subscribe, unsubscribe: to what others tell.
function requests.subscribe(handler)
    local ok, message = bcast:subscribe(methods.channel, handler)
    if not ok then return ws:send(handler, answer.error(-32000, message)) end
    local response = answer.result()
    response.result[1] = methods.channel
    return ws:send(handler, response)
end

function requests.unsubscribe(handler)
    local ok, message = bcast:unsubscribe(methods.channel, handler)
    if not ok then return ws:send(handler, answer.error(-32000, message)) end
    return ws:send(handler, answer.result())
end

-- The notification tell …: to all who listen, from whom it came first.
function methods.tell(handler, params)
    if not names[handler] then return true end
    local note = nljson.decode('{"cid": 0, "message": []}')
    note.cid = methods.channel
    note.message[1] = names[handler]
    nljson.foreach(params, function(index, value) note.message[index + 1] = value end)
    bcast:send(methods.channel, note)
    return true
end

return methods
