-- An echo of what came.
echo = {}
echo.__index = echo

echo["onStart"] = function()
    print("echo::onStart")
end

echo["onDisconnect"] = function(handler)
    print("echo::onDisconnect " .. handler)
end

echo["onShutdown"] = function()
    print("echo::onShutdown")
end

echo["onMessage"] = function(handler, opcode, message)
    local result, errmsg = ws:send(handler, opcode, message)
    if not result then
        print("echo::onMessage " .. errmsg)
    end
    return result
end

return echo
