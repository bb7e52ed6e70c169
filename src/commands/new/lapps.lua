-- {{name}}: methods that clients call, and a channel on which they hear each other, in the LAppS protocol.
local service = {}

-- Every service of the server could use this channel, so its number is this service's own.
local CHANNEL = {{channel}}

local function result(value)
  local response = nljson.decode('{"cid": 0, "status": 1, "result": []}')
  response.result[1] = value
  return response
end

local function failure(code, message)
  local response = nljson.decode('{"cid": 0, "status": 0, "error": {}}')
  response.error.code = code
  response.error.message = message
  return response
end

-- What clients may call: each gets the connection and the params, nil if there are none, and gives the response.
local methods = {}

-- add [a, b, …]: their sum.
function methods.add(handler, params)
  local sum, wrong = 0, params == nil
  nljson.foreach(params or {}, function(_, number)
    if type(number) == "number" then sum = sum + number else wrong = true end
  end)
  if wrong then return failure(-32602, "add wants numbers") end
  return result(sum)
end

-- listen: from now on this client hears what clients say.
function methods.listen(handler)
  assert(bcast:subscribe(CHANNEL, handler))
  return result(CHANNEL)
end

function service.onStart()
  assert(bcast:create(CHANNEL))
end

-- msg_type 3 and 4 are requests, without and with params; 1 and 2 are notifications, which nobody answers.
function service.onMessage(handler, msg_type, message)
  if msg_type >= 3 then
    local method = methods[message.method]
    if not method then return ws:send(handler, failure(-32601, "no such method: " .. message.method)) end
    return ws:send(handler, method(handler, message.params))
  end
  if msg_type == 2 and message.method == "say" then
    local note = nljson.decode('{"cid": 0, "message": []}')
    note.cid = CHANNEL
    note.message = message.params
    bcast:send(CHANNEL, note)
  end
  return true     -- anything else closes the connection
end

function service.onDisconnect(handler) end     -- it has left the channel by itself

function service.onShutdown() end

return service
