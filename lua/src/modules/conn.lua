-- `ws.conn(handler)`: connections as objects, with data and fibers of their own.
local core, ws = ...

local ipairs, next, setmetatable, sort, type = ipairs, next, setmetatable, table.sort, type
local host = core.host
local raw_send, raw_close = ws.send, ws.close

local closed = core.new_error("connection", "closed", "the connection is closed")
local full = core.new_error("connection", "full", "the connection's queue is full")

-- The objects of connections that are open, or whose onDisconnect has not ended; by handler.
local conns = {}

local methods = {}
local class = core.class(methods)

function ws.conn(handler)
    core.number(handler, "ws.conn", 1, "handler")
    local conn = conns[handler]
    if conn then return conn end
    if not host.serves(handler) then return nil, closed end
    conn = setmetatable({ handler = handler, id = handler, data = {}, is_closed = false, bound = false }, class)
    conns[handler] = conn
    host.conns(1)
    return conn
end

local function in_words(ok, message)
    if ok then return true end
    if message == "queue is full" then return nil, full end
    if message == "connection closed" then return nil, closed end
    return nil, message
end

function methods.send(conn, message, options)
    core.self(conn, class, "conn:send")
    if type(message) ~= "string" then
        core.mistake("conn:send", "argument 1 (message) must be a string, got " .. type(message))
    end
    if options ~= nil and type(options) ~= "table" then
        core.mistake("conn:send", "argument 2 (options) must be a table, got " .. type(options))
    end
    if conn.is_closed then return nil, closed end
    local ok, err = in_words(raw_send(ws, conn.handler, options and options.binary and 2 or 1, message))
    if ok then return "ok" end
    return nil, err
end

function methods.close(conn, code, reason)
    core.self(conn, class, "conn:close")
    core.number(code, "conn:close", 1, "code")
    if reason ~= nil and type(reason) ~= "string" then
        core.mistake("conn:close", "argument 2 (reason) must be a string, got " .. type(reason))
    end
    local ok, err = in_words(raw_close(ws, conn.handler, code, reason))
    if not ok and type(err) == "string" then core.mistake("conn:close", err) end
    return ok, err
end

function methods.closed(conn)
    core.self(conn, class, "conn:closed")
    return conn.is_closed or not host.serves(conn.handler)
end

function methods.spawn(conn, f, ...)
    core.self(conn, class, "conn:spawn")
    core.callable(f, "conn:spawn", 1)
    if conn.is_closed then return nil, closed end
    local handle, fiber = core.spawn_with_handle(f, ...)
    fiber.task.conn = conn
    conn.bound = conn.bound or {}
    conn.bound[fiber] = true
    return handle
end

-- A bound fiber has ended.
function core.unbind(conn, fiber)
    local bound = conn.bound
    if bound then
        bound[fiber] = nil
        if next(bound) == nil then conn.bound = false end
    end
end

local function earlier(a, b) return a.task.id < b.task.id end

-- The connection has ended: interrupts its fibers, in the order in which they were spawned.
function core.conn_ended(handler)
    local conn = conns[handler]
    if not conn then return end
    conn.is_closed = true
    if conn.bound then
        local fibers = {}
        for fiber in next, conn.bound do fibers[#fibers + 1] = fiber end
        sort(fibers, earlier)
        for _, fiber in ipairs(fibers) do
            if not fiber.interrupted then core.strike(fiber) end
        end
    end
end

-- Its onDisconnect has ended: nobody asks for it any more.
function core.conn_forgotten(handler)
    if conns[handler] then
        conns[handler] = nil
        host.conns(-1)
    end
end
