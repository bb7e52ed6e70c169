-- Sends every message back as it came: the smallest service there is.
local echo = {}

function echo.onStart() end

function echo.onMessage(handler, opcode, message)
    return ws:send(handler, opcode, message)
end

function echo.onDisconnect(handler) end

function echo.onShutdown() end

return echo
