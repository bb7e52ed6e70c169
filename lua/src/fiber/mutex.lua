-- `require "mutex"` and `require "recursive_mutex"`. A mutex is the head of the queue of those who wait for it.
local core = ...

local enter, push, wait, suspend = core.enter, core.push, core.wait, core.suspend
local mistake, current = core.mistake, core.current
local setmetatable, getmetatable_of = setmetatable, debug.getmetatable
local TIMEOUT = core.TIMEOUT

-- Makes `fiber` the owner.
local function give(mutex, fiber, count)
    mutex.owner, mutex.count = fiber, count
    local extra = core.extra(fiber)
    extra.held = extra.held + 1
end

-- Hands it to the first who waits. Nobody can come between.
local function release(mutex)
    local owner = mutex.owner
    owner.extra.held = owner.extra.held - 1
    local node = core.wake_first(mutex, core.SIGNAL)
    if node then
        give(mutex, node, 1)
    else
        mutex.owner, mutex.count = false, 0
    end
end

-- Takes it whatever happens, for those who must have it again.
local function retake(mutex, fiber)
    if not mutex.owner then return give(mutex, fiber, 1) end
    push(mutex, fiber)
    fiber.shield = fiber.shield + 1
    suspend(fiber)
    fiber.shield = fiber.shield - 1
end

local classes = {}

-- Defines the module `name`.
local function define(name, recursive)
    local methods = {}
    local class = core.class(methods)
    classes[class] = true

    -- Takes it if that needs no waiting.
    local function take(mutex, fiber)
        local owner = mutex.owner
        if not owner then
            give(mutex, fiber, 1)
            return true
        end
        if recursive and owner == fiber then
            mutex.count = mutex.count + 1
            return true
        end
        return false
    end

    local function check_holder(mutex, fiber, what)
        if mutex.owner == fiber then mistake(what, "this fiber holds the mutex already", 2) end
    end

    function methods.lock(mutex)
        core.self(mutex, class, name .. ":lock")
        local fiber = enter(name .. ":lock")
        if take(mutex, fiber) then return end
        check_holder(mutex, fiber, name .. ":lock")
        -- What `give` needs is there before it waits: who hands over may have no memory.
        core.extra(fiber)
        push(mutex, fiber)
        wait(fiber)
    end

    function methods.lock_for(mutex, seconds)
        local what = name .. ":lock_for"
        core.self(mutex, class, what)
        core.seconds(seconds, what, 1)
        local fiber = enter(what)
        if take(mutex, fiber) then return true end
        check_holder(mutex, fiber, what)
        core.extra(fiber)
        core.arm(fiber, seconds)
        push(mutex, fiber)
        if wait(fiber) == TIMEOUT then return nil, core.timed_out end
        return true
    end

    function methods.try_lock(mutex)
        core.self(mutex, class, name .. ":try_lock")
        local fiber = current()
        if fiber == core.root then mistake(name .. ":try_lock", "can only be called in a fiber") end
        return take(mutex, fiber)
    end

    function methods.unlock(mutex)
        core.self(mutex, class, name .. ":unlock")
        local owner = mutex.owner
        if not owner then mistake(name .. ":unlock", "the mutex is not locked") end
        if owner ~= current() then mistake(name .. ":unlock", "another fiber holds the mutex") end
        if mutex.count > 1 then
            mutex.count = mutex.count - 1
        else
            release(mutex)
        end
    end

    core.modules[name] = {
        new = function()
            return setmetatable(core.queue { next = false, prev = false, owner = false, count = 0 }, class)
        end,
    }
end

define("mutex", false)
define("recursive_mutex", true)

-- What condition variables need.
core.mutex = {
    release = release,
    retake = retake,
    -- True for a mutex that `fiber` holds, once.
    is_held = function(mutex, fiber) return mutex.owner == fiber and mutex.count == 1 end,
    is_mutex = function(value)
        local class = getmetatable_of(value)
        return class ~= nil and classes[class] == true
    end,
}
