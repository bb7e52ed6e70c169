-- `nap`: sleeping in all units, by an object and by the module itself.
check_nap = {}
check_nap.__index = check_nap

local checks = require("checks")
local all = checks.new()
local loading = { pcall(nap.sleep, nap, 0) }

all:add("not while the file is loaded", function()
    checks.equal(loading[1], false)
    checks.equal(loading[2]:match("nap:sleep: can only be called in a fiber") ~= nil, true)
end)

all:add("each unit sleeps as long as it says", function()
    local n = nap:new()
    for _, sleeper in ipairs({ n, nap }) do
        for name, amount in pairs({ sleep = 0.02, usleep = 20000, nsleep = 20000000 }) do
            local since = time.monotonic()
            checks.equal(select("#", sleeper[name](sleeper, amount)), 0)
            local slept = time.monotonic() - since
            checks.equal(name .. tostring(slept >= 0.02 and slept < 5), name .. "true")
        end
    end
end)

all:add("nothing is a time too", function()
    local n = nap:new()
    n:sleep(0)
    n:usleep(0)
    n:nsleep(0)
    n:nsleep(1)
end)

all:add("two objects are two", function()
    checks.equal(nap:new() == nap:new(), false)
end)

all:add("wrong arguments raise", function()
    local n = nap:new()
    for name, what in pairs({ sleep = "seconds", usleep = "microseconds", nsleep = "nanoseconds" }) do
        local call = "nap:" .. name
        local argument = call .. ": argument 1 (" .. what .. ") must be "
        checks.raises(argument .. "a number, got nil", n[name], n)
        checks.raises(argument .. "a number, got string", n[name], n, "1")
        checks.raises(argument .. "a number, got table", n[name], n, {})
        for _, wrong in ipairs({ -1, 1e300, 1 / 0, 0 / 0 }) do checks.raises(argument .. "from 0 to", n[name], n, wrong) end
        checks.raises(call .. ": must be called with a colon, on what new() has made", n[name], 1)
        checks.raises(call .. ": must be called with a colon, on what new() has made", n[name], {}, 1)
        checks.raises(call .. ": must be called with a colon, on what new() has made", n[name])
    end
end)

all:add("unknown members are not there", function()
    checks.equal(nap:new().msleep, nil)
end)

all:serve(check_nap)

return check_nap
