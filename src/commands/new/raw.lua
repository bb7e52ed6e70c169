-- {{name}}: what one client says, all hear; and all are told who comes and goes.
--
-- One instance serves everybody ("instances": 1 in lapps.json), so this table holds all clients.
local service = {}

local names = {}     -- by handler, the number of a connection
local visitors = 0

local function tell_all(text)
  for handler in pairs(names) do
    ws:send(handler, 1, text)     -- 1 is text, 2 would be binary; who has gone gets nothing
  end
end

function service.onStart() end

function service.onOpen(handler)
  visitors = visitors + 1
  names[handler] = "guest " .. visitors
  tell_all(names[handler] .. " is here")
end

function service.onMessage(handler, opcode, message)
  if opcode ~= 1 then return ws:close(handler, 1003, "texts only") end
  tell_all(names[handler] .. ": " .. message)
  return true     -- anything else closes the connection
end

function service.onDisconnect(handler)
  local name = names[handler]
  names[handler] = nil
  if name then tell_all(name .. " has gone") end
end

function service.onShutdown()
  tell_all("the server stops")
end

return service
