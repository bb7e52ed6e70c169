-- A chat: what one says all others hear. A message is JSON: {"join": "name"} first, then {"say": "text"}.
--
-- One instance, so its table holds everybody.
local chat = {}

local names = {}

local function tell(handler, message)
    return ws:send(handler, 1, nljson.encode(message))
end

local function tell_all(message)
    local text = nljson.encode(message)
    for handler in pairs(names) do
        -- Who has gone gets nothing; onDisconnect takes it off the list in a moment.
        ws:send(handler, 1, text)
    end
end

local function is_name(name)
    return type(name) == "string" and #name > 0 and #name <= 40
end

function chat.onStart() end

function chat.onMessage(handler, opcode, message)
    local ok, request = pcall(nljson.decode, message)
    if not ok or nljson.typename(request) ~= "object" then
        return tell(handler, { error = "a message is a JSON object" })
    end
    if not names[handler] then
        if not is_name(request.join) then
            return tell(handler, { error = 'first say who you are: {"join": "name"}' })
        end
        names[handler] = request.join
        tell_all { joined = request.join }
    elseif type(request.say) == "string" then
        tell_all { from = names[handler], says = request.say }
    else
        return tell(handler, { error = 'what do you say? {"say": "text"}' })
    end
    return true
end

function chat.onDisconnect(handler)
    local name = names[handler]
    names[handler] = nil
    if name then tell_all { left = name } end
end

function chat.onShutdown() end

return chat
