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

local function say(client, text)
  assert(cws:send(client.object.handler, text, 1))
end

local function expect(client, wanted)
  local heard = client.inbox:recv_for(10)
  if heard ~= wanted then
    error(("expected '%s', heard '%s'"):format(wanted, tostring(heard)), 2)
  end
end

local anna = connect()
expect(anna, "guest 1 is here")
local bert = connect()
expect(anna, "guest 2 is here")
expect(bert, "guest 2 is here")

say(bert, "hello")
expect(anna, "guest 2: hello")
expect(bert, "guest 2: hello")

bert.object:close()
expect(anna, "guest 2 has gone")
