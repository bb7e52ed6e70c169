-- The contract of raw services: what `onMessage` gets, and which globals are there.
check_raw = {}
check_raw.__index = check_raw

local opcodes = {
    [1] = "text",
    [2] = "binary",
}

check_raw["onStart"] = function() end

check_raw["onMessage"] = function(...)
    local handler, opcode, message = ...
    if message == "globals" then
        local found = {}
        for _, name in ipairs({ "ws", "nljson", "bcast", "nap", "time", "mqr", "cws", "murmur", "pam_auth", "check_raw" }) do
            found[#found + 1] = name .. "=" .. type(rawget(_G, name))
        end
        return ws:send(handler, 1, table.concat(found, " "))
    elseif message == "libraries" then
        local found = {}
        for _, name in ipairs({ "string", "table", "math", "io", "os", "debug", "package", "coroutine", "bit", "jit" }) do
            found[#found + 1] = name .. "=" .. type(_G[name])
        end
        return ws:send(handler, 1, table.concat(found, " "))
    elseif message == "directory" then
        return ws:send(handler, 1, tostring(os.getenv("LAPPS_APPS_DIR")))
    end
    return ws:send(handler, opcode, select("#", ...) .. type(handler) .. opcodes[opcode] .. type(message) .. message)
end

check_raw["onDisconnect"] = function(handler)
    print("check_raw onDisconnect " .. type(handler))
end

check_raw["onShutdown"] = function()
    print("check_raw onShutdown")
end

return check_raw
