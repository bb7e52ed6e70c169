-- The test of {{name}}: `lapps test {{name}}` starts a server of its own for it. It fails where an error is raised.
local channel = require "channel"

-- A client of the service, which listens at `url`.
local function connect()
  local opened, inbox = channel.new(1), channel.new(100)
  local object = assert(cws:new(url, {
    onopen = function() opened:send(true) end,
    onmessage = function(_, message) inbox:send(message) end,
    onerror = function(_, text) print("not connected: " .. text) end,
  }))
  assert(opened:recv_for(10), "the service does not take the client")
  return { object = object, inbox = inbox }
end

-- Sends a message, here written as JSON.
local function send(client, json)
  assert(cws:send(client.object.handler, nljson.to_cbor(nljson.decode(json)), 2))
end

-- Waits for a message, here written as JSON with its keys sorted.
local function expect(client, wanted)
  local heard = client.inbox:recv_for(10)
  heard = heard and nljson.encode(nljson.from_cbor(heard)) or "nothing"
  if heard ~= wanted then error(("expected %s, heard %s"):format(wanted, heard), 2) end
end

local anna, bert = connect(), connect()

send(anna, '{"lapps": 1, "method": "add", "params": [1, 2, 39]}')
expect(anna, '{"cid":0,"result":[42],"status":1}')
send(anna, '{"lapps": 1, "method": "add", "params": ["one"]}')
expect(anna, '{"cid":0,"error":{"code":-32602,"message":"add wants numbers"},"status":0}')
send(anna, '{"lapps": 1, "method": "fly"}')
expect(anna, '{"cid":0,"error":{"code":-32601,"message":"no such method: fly"},"status":0}')

send(anna, '{"lapps": 1, "method": "listen"}')
expect(anna, '{"cid":0,"result":[{{channel}}],"status":1}')
send(bert, '{"lapps": 1, "cid": 1, "method": "say", "params": ["hello"]}')
expect(anna, '{"cid":{{channel}},"message":["hello"]}')
