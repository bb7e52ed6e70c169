-- `time`: the clock of the original, and the members that fibers have added.
check_time = {}
check_time.__index = check_time

local checks = require("checks")
local all = checks.new()
local loading = time.now()

all:add("now is in milliseconds since the epoch", function()
    local now = time.now()
    checks.equal(type(now), "number")
    checks.equal(now, math.floor(now))
    local seconds = os.time()
    checks.equal(math.abs(now / 1000 - seconds) < 5, true)
    checks.equal(now >= loading, true)
end)

all:add("now takes no arguments and minds none", function()
    checks.equal(type(time.now(nil, {}, "x")), "number")
    checks.equal(type(time:now()), "number")
end)

all:add("the clocks go on", function()
    local now, monotonic = time.now(), time.monotonic()
    time.sleep(0.03)
    checks.equal(time.now() - now >= 25, true)
    checks.equal(time.monotonic() - monotonic >= 0.03, true)
end)

all:add("the members of fibers are there", function()
    local called
    time.after(0.001, function(word) called = word end, "after")
    time.sleep_for(30)
    checks.equal(called, "after")
    local count = 0
    local timer = time.every(0.001, function() count = count + 1 end)
    time.sleep(0.05)
    timer:cancel()
    checks.equal(count >= 2, true)
    checks.equal(type(time.steady_timer.new), "function")
end)

all:add("wrong arguments raise", function()
    checks.raises("time.sleep: argument 1 (seconds) must be a number, got nil", time.sleep)
    checks.raises("time.sleep: argument 1 (seconds) must be a number, got string", time.sleep, "1")
    checks.raises("time.sleep: argument 1 (seconds) must be from 0 to 1e9, got -1", time.sleep, -1)
    checks.raises("time.after: argument 2 must be a function, got nil", time.after, 1)
end)

all:serve(check_time)

return check_time
