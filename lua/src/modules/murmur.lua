-- `murmur`: hashes of strings and numbers.
local core, raw = ...

local format, type = string.format, type
local hashstr, hashnum = raw.hashstr, raw.hashnum

-- Called by what the user calls.
local function check(value, name)
    local kind = type(value)
    if kind == "string" then return value end
    if kind ~= "number" then
        core.mistake(name, "argument 1 (value) must be a string or a number, got " .. kind, 2)
    end
    if not (value >= -2 ^ 63 and value < 2 ^ 64) then
        core.mistake(name, format("argument 1 (value) must be from -2^63 to below 2^64, got %g", value), 2)
    end
    return value
end

core.modules.murmur = {
    hashstr = function(value) return (hashstr(check(value, "murmur.hashstr"))) end,
    hashnum = function(value) return (hashnum(check(value, "murmur.hashnum"))) end,
}
