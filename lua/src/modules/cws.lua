-- `cws`: WebSocket connections to other servers. What happens to one calls the functions that it was given, as events.
local core, cws, native = ...

local concat, error, find, format, ipairs, lower, pairs, setmetatable, sort, tostring, type =
    table.concat, error, string.find, string.format, ipairs, string.lower, pairs, setmetatable, table.sort,
    tostring, type
local host, mistake = core.host, core.mistake

-- How long `cws:eventLoop` waits for an event, in milliseconds.
local PATIENCE = 10

-- The functions of the connections that have not ended, by handler.
local clients = {}
-- The fibers that wait in `cws:new`, by handler; then what came of it: true, or a text.
local connecting = {}
-- Those that wait in `cws:eventLoop`.
local loops = core.queue { next = false, prev = false }

local HANDLERS = { "onopen", "onmessage", "onerror", "onclose" }

local methods = {}
local class = core.class(methods)

-- What the options may be: for numbers the default, and the range.
local NUMBERS = {
    timeout = { 10, 0.001, 86400 },
    handshake_timeout = { 10, 0.001, 86400 },
    ping = { 30, 0.001, 86400 },
    idle = { 60, 0.001, 86400 },
    close_timeout = { 5, 0.001, 86400 },
    max_message = { 16 * 1024 * 1024, 1, 1024 * 1024 * 1024 },
    max_queue = { 4 * 1024 * 1024, 1, 1024 * 1024 * 1024 },
}
local OTHERS = { headers = true, protocol = true, ca = true }

local TOKEN = "^[%w!#$%%&'*+%-.^_`|~]+$"
-- Fields of the request that are the handshake's own.
local RESERVED = {
    host = true, upgrade = true, connection = true, ["content-length"] = true, ["transfer-encoding"] = true,
}

local function wrong(index, what, text, level)
    mistake("cws:new", format("argument %d (%s) %s", index, what, text), (level or 1) + 2)
end

local function check_handlers(handlers)
    if type(handlers) ~= "table" then wrong(2, "handlers", "must be a table, got " .. type(handlers)) end
    local some = false
    for _, name in ipairs(HANDLERS) do
        local f = handlers[name]
        if f ~= nil then
            if type(f) ~= "function" then
                wrong(2, "handlers", format("has %s = a %s; it must be a function", name, type(f)))
            end
            some = true
        end
    end
    for name in pairs(handlers) do
        local plain = type(name) == "string" and lower(name)
        for _, known in ipairs(HANDLERS) do
            if plain == known and name ~= known then
                wrong(2, "handlers", format("has '%s'; the name is '%s'", name, known))
            end
        end
    end
    if not some then
        wrong(2, "handlers", "must have at least one of the functions onopen, onmessage, onerror and onclose")
    end
end

-- All options, for messages.
local function names()
    local all = {}
    for name in pairs(NUMBERS) do all[#all + 1] = name end
    for name in pairs(OTHERS) do all[#all + 1] = name end
    sort(all)
    return concat(all, ", ")
end

local function check_header(name, value)
    if type(name) ~= "string" or not find(name, TOKEN) then
        wrong(3, "options.headers", format("has the name '%s', which no header field can have", tostring(name)), 2)
    end
    local plain = lower(name)
    if RESERVED[plain] or find(plain, "^sec%-websocket%-") then
        wrong(3, "options.headers", format("has '%s', which the handshake sets itself%s", name,
            plain == "sec-websocket-protocol" and "; see the option protocol" or ""), 2)
    end
    if type(value) == "number" then value = tostring(value) end
    if type(value) ~= "string" then
        wrong(3, "options.headers", format("has %s = a %s; it must be a string", name, type(value)), 2)
    end
    if find(value, "[%z\1-\8\10-\31\127]") or find(value, "^[ \t]") or find(value, "[ \t]$") then
        wrong(3, "options.headers", format("has a value for %s that no header field can have", name), 2)
    end
    return name .. "\0" .. value .. "\0"
end

local function check_headers(headers)
    if headers == nil then return "" end
    if type(headers) ~= "table" then wrong(3, "options.headers", "must be a table, got " .. type(headers), 1) end
    local fields = {}
    for name, value in pairs(headers) do fields[#fields + 1] = check_header(name, value) end
    -- The order of a table's keys is nobody's.
    sort(fields)
    return concat(fields)
end

local function check_protocols(protocol)
    if protocol == nil then return "" end
    if type(protocol) == "string" then protocol = { protocol } end
    if type(protocol) ~= "table" then
        wrong(3, "options.protocol", "must be a string or a table of strings, got " .. type(protocol), 1)
    end
    local all = {}
    for n, name in ipairs(protocol) do
        if type(name) ~= "string" or not find(name, TOKEN) then
            wrong(3, "options.protocol", format("has '%s', which no subprotocol can be called", tostring(name)), 1)
        end
        all[n] = name .. "\0"
    end
    return concat(all)
end

local function number(options, name, default)
    local value, range = options[name], NUMBERS[name]
    if value == nil then return default or range[1] end
    if type(value) ~= "number" then
        wrong(3, "options." .. name, "must be a number, got " .. type(value), 1)
    end
    if not (value >= range[2] and value <= range[3]) then
        wrong(3, "options." .. name, format("must be from %s to %s, got %s", range[2], range[3], tostring(value)), 1)
    end
    return value
end

local function check_options(options)
    if type(options) ~= "table" then wrong(3, "options", "must be a table, got " .. type(options)) end
    for name in pairs(options) do
        if not NUMBERS[name] and not OTHERS[name] then
            wrong(3, "options", format("has '%s', which is no option; there are %s", tostring(name), names()))
        end
    end
    if options.ca ~= nil and type(options.ca) ~= "string" then
        wrong(3, "options.ca", "must be a string, the path of a PEM file, got " .. type(options.ca))
    end
    if number(options, "ping") >= number(options, "idle") then
        wrong(3, "options", "must have a ping that is less than idle")
    end
end

-- What is sure to come: who waits may wait for that.
local function expect(change)
    core.expecting = core.expecting + change
    host.owed(change)
end

function cws.new(self, uri, handlers, options)
    if self ~= cws then
        error("cws:new must be called with a colon: cws:new(uri, handlers[, options])", 2)
    end
    if type(uri) ~= "string" then wrong(1, "uri", "must be a string, got " .. type(uri), 0) end
    check_handlers(handlers)
    if options == nil then options = {} end
    check_options(options)
    local headers, protocols = check_headers(options.headers), check_protocols(options.protocol)
    local timeout = number(options, "timeout")
    local fiber = core.enter("cws:new")
    local h, err = native.connect(uri, headers, protocols, options.ca, timeout,
        number(options, "handshake_timeout", timeout), number(options, "ping"), number(options, "idle"),
        number(options, "close_timeout"), number(options, "max_message"), number(options, "max_queue"))
    if not h then return nil, err end
    connecting[h] = fiber
    expect(1)
    local why = core.suspend(fiber)
    expect(-1)
    local result = connecting[h]
    connecting[h] = nil
    if why == core.STRUCK then
        native.abandon(h)
        core.raise(fiber)
    end
    if result ~= true then return nil, result end
    clients[h] = handlers
    expect(1)
    native.begin(h)
    return setmetatable({ handler = h }, class)
end

-- The TCP connection stands, or has failed: then there is a text.
function core.client_connected(h)
    local fiber = connecting[h]
    if type(fiber) == "table" then
        connecting[h] = native.text() or true
        core.wake(fiber, core.SIGNAL)
    end
end

local function wake_loops()
    while core.wake_first(loops, core.SIGNAL) do end
end

-- An event of a connection, on its fiber. `a` and those behind it are what the handler gets.
function core.client_event(h, name, a, b, c)
    local handlers = clients[h]
    if not handlers then return end
    -- The last that is called for it.
    if name == "onclose" or name == "onerror" then
        clients[h] = nil
        expect(-1)
    end
    local f = handlers[name]
    if f then
        if type(f) ~= "function" then error(name .. " is a " .. type(f) .. ", not a function any more", 0) end
        if name == "onmessage" then
            f(h, a, b)
        elseif name == "onclose" then
            f(h, a, b, c)
        elseif a == nil then
            f(h)
        else
            f(h, a)
        end
    end
    if loops.next ~= loops then wake_loops() end
end

function cws.close(self, h, code, reason)
    if self ~= cws then error("cws:close must be called with a colon: cws:close(handler[, code[, reason]])", 2) end
    core.number(h, "cws:close", 1, "handler")
    if code ~= nil then core.number(code, "cws:close", 2, "code") end
    if reason ~= nil and type(reason) ~= "string" then
        mistake("cws:close", "argument 3 (reason) must be a string, got " .. type(reason))
    end
    return native.close(h, code or 1000, reason or "")
end

function methods.close(object, code, reason)
    core.self(object, class, "cws object:close")
    if code ~= nil then core.number(code, "close", 1, "code") end
    if reason ~= nil and type(reason) ~= "string" then
        mistake("close", "argument 2 (reason) must be a string, got " .. type(reason))
    end
    return native.close(object.handler, code or 1000, reason or "")
end

-- Lets happen what has come: returns when an event was handled since the call, or after a moment.
function cws.eventLoop(self)
    if self ~= cws then error("cws:eventLoop must be called with a colon: cws:eventLoop()", 2) end
    local fiber = core.enter("cws:eventLoop")
    core.arm_at(fiber, host.now() + PATIENCE)
    core.push(loops, fiber)
    core.wait(fiber)
end
