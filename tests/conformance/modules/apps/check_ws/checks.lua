-- What all checks of this home share: a list of named functions, run on request, and reported through the LAppS protocol.
checks = {}
checks.__index = checks

-- The result of each is {name, ok, detail}; the detail is the error.
checks["new"] = function()
    return setmetatable({ cases = {} }, checks)
end

checks["add"] = function(self, name, f)
    self.cases[#self.cases + 1] = { name = name, f = f }
end

checks["run"] = function(self, handler, params)
    local list = nljson.decode([[ [] ]])
    for index, case in ipairs(self.cases) do
        local ok, detail = pcall(case.f, handler, params)
        list[index] = { name = case.name, ok = ok, detail = ok and "" or tostring(detail) }
    end
    return list
end

-- Makes a reactive LAppS service of a table: "run" runs the checks, "who" tells the client its number.
checks["serve"] = function(self, service)
    local methods = {}
    methods["run"] = function(handler, params) return self:run(handler, params) end
    methods["who"] = function(handler) return { handler } end
    local respond = function(handler, message)
        local response = nljson.decode([[ { "cid": 0, "status": 1, "result": [] } ]])
        response.result = methods[message.method](handler, message.params)
        return ws:send(handler, response)
    end
    local by_type = {
        [1] = function() return true end,
        [2] = function() return true end,
        [3] = respond,
        [4] = respond,
    }
    service["onStart"] = service["onStart"] or function() end
    service["onMessage"] = function(handler, msg_type, message) return by_type[msg_type](handler, message) end
    service["onDisconnect"] = function(handler) end
    service["onShutdown"] = function() end
end

local function shown(...)
    local words = {}
    for n = 1, select("#", ...) do words[n] = tostring((select(n, ...))) end
    return table.concat(words, ", ")
end

-- As many values, and the same ones.
local function is(expected, ...)
    local got = shown(...)
    if got ~= expected then error("got (" .. got .. "), expected (" .. expected .. ")", 3) end
end

checks["equal"] = function(got, expected)
    if got ~= expected then error("got " .. tostring(got) .. ", expected " .. tostring(expected), 2) end
end

-- The call returned exactly `true`.
checks["done"] = function(...) is("true", ...) end

-- The call returned false and this message.
checks["refused"] = function(message, ...) is("false, " .. message, ...) end

-- The call raises an error that holds this text.
checks["raises"] = function(text, f, ...)
    local ok, message = pcall(f, ...)
    if ok then error("no error, expected: " .. text, 2) end
    if not tostring(message):find(text, 1, true) then
        error("raised: " .. tostring(message) .. ", expected: " .. text, 2)
    end
end

return checks
