-- Sends every message back as it came. One instance runs in each I/O worker.
echo = {}

function echo.onStart()
end

function echo.onMessage(handler, opcode, message)
  ws:send(handler, opcode, message)
  return true
end

function echo.onDisconnect(handler)
end

function echo.onShutdown()
end

return echo
