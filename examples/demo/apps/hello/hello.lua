-- Greets whoever sends a name, and counts the greetings of each connection.
hello = {}

local greetings = {} -- handler -> number of greetings

function hello.onStart()
end

function hello.onMessage(handler, opcode, message)
  local count = (greetings[handler] or 0) + 1
  greetings[handler] = count
  ws:send(handler, opcode, "Hello, " .. message .. "! This is greeting " .. count .. " on this connection.")
  return true
end

function hello.onDisconnect(handler)
  greetings[handler] = nil
end

function hello.onShutdown()
end

return hello
