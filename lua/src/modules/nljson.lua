-- `nljson`: values of JSON and CBOR. What walks through one is Lua, so that the function that it calls may wait.
local core, nljson = ...

local getmetatable, type = getmetatable, type
local step = nljson.step
nljson.step = nil

local function check(name, value, f)
    if getmetatable(value) ~= "nljson" then
        core.mistake(name, "argument 1 (value) must be an nljson value, got " .. type(value), 2)
    end
    if type(f) ~= "function" then
        core.mistake(name, "argument 2 (f) must be a function, got " .. type(f), 2)
    end
end

-- The next member is looked for when it is wanted, by the key of the last one: so `f` may change what is walked through.
function nljson.foreach(value, f)
    check("nljson.foreach", value, f)
    local key, member = step(value)
    while key ~= nil do
        f(key, member, value)
        key, member = step(value, key)
    end
end

local function traverse(value, f)
    local key, member = step(value)
    while key ~= nil do
        f(key, member, value)
        if getmetatable(member) == "nljson" then traverse(member, f) end
        key, member = step(value, key)
    end
end

function nljson.traverse(value, f)
    check("nljson.traverse", value, f)
    traverse(value, f)
end

core.modules.nljson = nljson
