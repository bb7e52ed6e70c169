-- `mqr`: queues by which services hand values to each other, whatever thread they live on.
local core, raw = ...

local gsub, rawequal, type = string.gsub, rawequal, type
local getmetatable_of = debug.getmetatable
local enter, yield = core.enter, core.raw.yield
local take, listen, settle, withdraw = raw.take, raw.listen, raw.settle, raw.withdraw
local class, new_value, pcall = raw.class, core.modules.nljson.new, core.raw.pcall
local WAIT, TOKEN, STRUCK = core.host.wait, core.TOKEN, core.STRUCK

-- Values that are received in a row without waiting, before others have their turn: a sender on another thread may be as fast.
local ROW = 128
local row = 0

-- Longest name of a queue, in bytes.
local LONGEST = 1024

local methods = {}
class.__index, class.__metatable = methods, "mqr queue"
function class.__tostring(queue) return "mqr queue '" .. raw.name(queue) .. "'" end

local function check(queue, name)
    if not rawequal(getmetatable_of(queue), class) then
        core.mistake(name, "must be called with a colon, on what mqr.create() has made", 2)
    end
    return queue
end

function methods.post(queue, value)
    check(queue, "mqr:post")
    if type(value) == "table" then
        local ok, made = pcall(new_value, value)
        if not ok then
            core.mistake("mqr:post", "argument 1 (value): " .. gsub(core.describe(made), "^nljson%.new: ", ""))
        end
        value = made
    end
    local posted = raw.post(queue, value)
    if posted then return true end
    if posted == nil then
        core.mistake("mqr:post", "argument 1 (value) must be an nljson value, a table, a string, a number or a boolean, got "
            .. type(value))
    end
    return false, "queue is full"
end

function methods.try_recv(queue)
    return (take(check(queue, "mqr:try_recv")))
end

function methods.recv(queue, seconds)
    check(queue, "mqr:recv")
    if seconds ~= nil then core.seconds(seconds, "mqr:recv", 1) end
    local fiber = enter("mqr:recv")
    row = row + 1
    if row > ROW then
        row = 0
        core.yield(fiber)
    end
    local ticket
    repeat
        local value = take(queue)
        if not rawequal(value, nil) or seconds == 0 then return value end
        ticket = core.expect(fiber)
        local waits = listen(queue, ticket)
        if not waits then core.unexpect(ticket) end
    until waits
    row = 0
    if seconds then core.arm(fiber, seconds) end
    fiber.why = false
    local fine = rawequal(yield(WAIT), TOKEN)
    core.unexpect(ticket)
    if not fine then
        withdraw(ticket)
        core.intruded(fiber)
    end
    -- What has come is received, even if the wait was ended by something else: that is seen to at the next interruption point.
    local value = settle(ticket)
    if rawequal(value, nil) and fiber.why == STRUCK then core.raise(fiber) end
    return value
end

local mqr = {}

function mqr.create(name, ...)
    if rawequal(name, mqr) then name = ... end
    if type(name) == "number" then name = name .. "" end
    if type(name) ~= "string" then
        core.mistake("mqr.create", "argument 1 (name) must be a string, got " .. type(name))
    end
    if #name > LONGEST then
        core.mistake("mqr.create", "argument 1 (name) must have at most " .. LONGEST .. " bytes, got " .. #name)
    end
    local queue = raw.open(name)
    if not queue then core.mistake("mqr.create", "no room for another queue: see mqr_max_bytes") end
    return queue
end

core.modules.mqr = mqr
