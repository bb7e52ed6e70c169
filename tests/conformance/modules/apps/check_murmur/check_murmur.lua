-- `murmur`: known hashes, and what cannot be hashed.
check_murmur = {}
check_murmur.__index = check_murmur

local checks = require("checks")
local all = checks.new()

all:add("hashstr", function()
    checks.equal(murmur.hashstr("abc"), "32d82bf8ed3dba39")
    checks.equal(murmur.hashstr(""), "553e93901e462a6e")
    checks.equal(murmur.hashstr(5), "0000000000000005")
    checks.equal(murmur.hashstr(5.9), "0000000000000005")
    checks.equal(murmur.hashstr(-1), "ffffffffffffffff")
    checks.equal(#murmur.hashstr(("x"):rep(100000)), 16)
    checks.equal(murmur.hashstr("a\0b") == murmur.hashstr("a"), false)
end)

all:add("hashnum is the same hash", function()
    checks.equal(murmur.hashnum(5), 5)
    checks.equal(murmur.hashnum(0), 0)
    for _, text in ipairs({ "abc", "", "5", "LAppS" }) do
        local high, low = murmur.hashstr(text):match("^(%x%x%x%x%x%x%x%x)(%x%x%x%x%x%x%x%x)$")
        checks.equal(murmur.hashnum(text), tonumber(high, 16) * 2 ^ 32 + tonumber(low, 16))
    end
end)

all:add("wrong arguments raise", function()
    for _, name in ipairs({ "hashstr", "hashnum" }) do
        local argument = "murmur." .. name .. ": argument 1 (value) must be "
        checks.raises(argument .. "a string or a number, got nil", murmur[name])
        checks.raises(argument .. "a string or a number, got boolean", murmur[name], true)
        checks.raises(argument .. "a string or a number, got table", murmur[name], {})
        checks.raises(argument .. "a string or a number, got userdata", murmur[name], nljson.decode("5"))
        for _, wrong in ipairs({ 2 ^ 64, -2 ^ 64, 1 / 0, 0 / 0 }) do
            checks.raises(argument .. "from -2^63 to below 2^64", murmur[name], wrong)
        end
    end
end)

all:serve(check_murmur)

return check_murmur
