-- Sends every message back as it came. One instance with a thread of its own: lapps.json says so.
echo_dedicated = {}

function echo_dedicated.onStart()
end

function echo_dedicated.onMessage(handler, opcode, message)
  ws:send(handler, opcode, message)
  return true
end

function echo_dedicated.onDisconnect(handler)
end

function echo_dedicated.onShutdown()
end

return echo_dedicated
