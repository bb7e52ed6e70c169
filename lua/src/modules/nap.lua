-- `nap`: sleeping, under the names that programs of the original use. `nap` itself is one of those that `nap:new()` makes.
local core = ...

local format, setmetatable = string.format, setmetatable
local host = core.host
local NANOSECONDS, MICROSECONDS, SECONDS = 1e-6, 1e-3, 1e3

local methods = {}
local class = core.class(methods)

-- Called by what the user calls: `units` of so many milliseconds.
local function sleep(nap, name, units, what, milliseconds)
    core.self(nap, class, name, 2)
    core.number(units, name, 1, what, 2)
    -- 1e9 seconds, as everywhere.
    local most = 1e12 / milliseconds
    if not (units >= 0 and units <= most) then
        core.mistake(name, format("argument 1 (%s) must be from 0 to %g, got %g", what, most, units), 2)
    end
    local fiber = core.enter(name, 2)
    if units == 0 then return core.yield(fiber) end
    core.arm_at(fiber, host.now() + units * milliseconds)
    core.wait(fiber)
end

function methods.sleep(nap, seconds) sleep(nap, "nap:sleep", seconds, "seconds", SECONDS) end
function methods.usleep(nap, microseconds) sleep(nap, "nap:usleep", microseconds, "microseconds", MICROSECONDS) end
function methods.nsleep(nap, nanoseconds) sleep(nap, "nap:nsleep", nanoseconds, "nanoseconds", NANOSECONDS) end
function methods.new() return setmetatable({}, class) end

core.modules.nap = methods.new()
