-- Scopes: `scope`, cleanup handlers, and `pcall`, `xpcall` and the coroutine functions as scopes that know of fibers.
local core = ...

local error, rawequal, setmetatable, type = error, rawequal, setmetatable, type
local raw = core.raw
local raw_pcall, raw_xpcall = raw.pcall, raw.xpcall
local raw_resume, raw_yield, raw_create, raw_status = raw.resume, raw.yield, raw.create, raw.status
local current, host = core.current, core.host
local WAIT, can_wait = host.wait, host.can_wait

-- Calls a cleanup handler with interruption disabled. A coroutine may not yield out of it: nobody could tell whether it
-- will ever come back to have that enabled again.
local function call_shielded(fiber, handler)
    local inner = fiber.inner
    fiber.shield = fiber.shield + 1
    if inner then inner.unwinding = inner.unwinding + 1 end
    local ok, err = raw_xpcall(handler, core.remember)
    if inner then inner.unwinding = inner.unwinding - 1 end
    fiber.shield = fiber.shield - 1
    return ok, err
end

-- Runs the cleanup handlers above `depth`, the last first, with interruption disabled. Returns the first error in one of
-- them, if there was any, as `true, err`. Each handler is taken out before it runs, so that none can run twice.
local function unwind(cleanups, depth)
    local fiber = current()
    local failed, first = false, nil
    while cleanups.n > depth do
        local n = cleanups.n
        local handler = cleanups[n]
        cleanups[n], cleanups.n = nil, n - 1
        local ok, err = call_shielded(fiber, handler)
        if not ok then
            if failed then
                host.report("error in a cleanup handler: " .. core.describe(err) .. "\n" .. core.where(err))
            else
                failed, first = true, err
            end
        end
    end
    return failed, first
end

-- The same after what ended with `ok` and, if not, with `err`. Returns both as they are then.
local function clean(cleanups, depth, ok, err)
    local failed, first = unwind(cleanups, depth)
    if not failed then return ok, err end
    local text = "error in a cleanup handler: " .. core.describe(first)
    if ok then return false, text end
    host.report(text .. "\n" .. core.where(first))
    return false, err
end
core.clean = clean

local function enter_scope(fiber)
    local cleanups = (fiber.inner or fiber).cleanups
    if not cleanups then return false, 0, 0 end
    local depth, floor = cleanups.n, cleanups.floor
    cleanups.floor = depth
    return cleanups, depth, floor
end

-- Ends a scope whose beginning gave these; the rest is what its function came to.
local function leave_scope(ctx, cleanups, depth, floor, ok, ...)
    cleanups = cleanups or ctx.cleanups
    if cleanups then
        local still, err = true, nil
        -- The floor stays while handlers run: they reach nothing outside of this scope.
        if cleanups.n > depth then still, err = clean(cleanups, depth, ok, (...)) end
        cleanups.floor = floor
        if not still then return false, err end
    end
    return ok, ...
end

local function rethrow(ok, ...)
    if ok then return ... end
    error((...), 0)
end

function scope(f, ...)
    core.callable(f, "scope", 1)
    local fiber = current()
    local cleanups, depth, floor = enter_scope(fiber)
    return rethrow(leave_scope(fiber.inner or fiber, cleanups, depth, floor, raw_xpcall(f, core.remember, ...)))
end

-- Calls a function in a scope of its own; as `pcall`, but no interruption point.
function core.call_in_scope(fiber, f, ...)
    local cleanups, depth, floor = enter_scope(fiber)
    return leave_scope(fiber.inner or fiber, cleanups, depth, floor, raw_xpcall(f, core.remember, ...))
end

function scope_cleanup_push(f)
    core.callable(f, "scope_cleanup_push", 1)
    local fiber = current()
    local ctx = fiber.inner or fiber
    local cleanups = ctx.cleanups
    if not cleanups then
        cleanups = { n = 0, floor = 0 }
        ctx.cleanups = cleanups
        fiber.used = true
    end
    local n = cleanups.n + 1
    cleanups[n] = f
    cleanups.n = n
end

function scope_cleanup_pop(execute)
    local fiber = current()
    local cleanups = (fiber.inner or fiber).cleanups
    if not cleanups or cleanups.n <= cleanups.floor then
        core.mistake("scope_cleanup_pop", "there is no cleanup handler in this scope")
    end
    local n = cleanups.n
    local handler = cleanups[n]
    cleanups[n], cleanups.n = nil, n - 1
    if execute == nil or execute then
        local ok, err = call_shielded(fiber, handler)
        if not ok then error("error in a cleanup handler: " .. core.describe(err), 0) end
    end
end

local function caught(ok, ...)
    if not ok then core.forget_origin() end
    return ok, ...
end

function pcall(f, ...)
    local fiber = current()
    if fiber.interrupted or fiber.extra then core.check(fiber) end
    local cleanups, depth, floor = enter_scope(fiber)
    return caught(leave_scope(fiber.inner or fiber, cleanups, depth, floor, raw_pcall(f, ...)))
end

function xpcall(f, handler, ...)
    local fiber = current()
    if fiber.interrupted or fiber.extra then core.check(fiber) end
    local cleanups, depth, floor = enter_scope(fiber)
    return caught(leave_scope(fiber.inner or fiber, cleanups, depth, floor, raw_xpcall(f, handler, ...)))
end

-- Coroutines of the services' own. What a coroutine needs stands in its context, {co, fiber, cleanups, stuck}, found by
-- the coroutine. `co` and `fiber` are set only while it runs or waits: the table's weak keys would otherwise never go.
local contexts = setmetatable({}, { __mode = "k" })

local function is_of_a_fiber(co)
    local all = core.all
    for n = 1, core.count do
        if all[n].co == co then return true end
    end
    return core.is_pooled(co)
end

-- Goes on with what a coroutine has come to.
local function after_resume(fiber, co, context, outer, ok, ...)
    if ok and rawequal((...), WAIT) then
        -- A wait in there: the whole fiber waits, and goes on in there.
        return after_resume(fiber, co, context, outer, raw_resume(co, raw_yield(WAIT)))
    end
    fiber.inner, context.co, context.fiber = outer, nil, nil
    local cleanups = context.cleanups
    if cleanups and cleanups.n > 0 and raw_status(co) == "dead" then
        local still, err = clean(cleanups, 0, ok, (...))
        if not still then return false, err end
    end
    return ok, ...
end

local function resume(co, ...)
    local fiber = current()
    if fiber.interrupted or fiber.extra then core.check(fiber) end
    if type(co) ~= "thread" then return raw_resume(co, ...) end
    local context = contexts[co]
    if not context then
        if is_of_a_fiber(co) then
            if raw_status(co) ~= "suspended" then return raw_resume(co, ...) end
            return false, "cannot resume a fiber's own coroutine: the scheduler does that"
        end
        context = { co = nil, fiber = nil, cleanups = false, stuck = false, unwinding = 0 }
        contexts[co] = context
    elseif context.co and raw_status(co) == "suspended" then
        return false, "cannot resume a coroutine that waits: its fiber will go on with it"
    elseif raw_status(co) ~= "suspended" then
        return raw_resume(co, ...)
    end
    local outer = fiber.inner
    context.co, context.fiber = co, fiber
    -- A C function between us and the scheduler is one for what runs in there too.
    context.stuck = outer and outer.stuck or not can_wait((outer or fiber).co)
    fiber.inner = context
    return after_resume(fiber, co, context, outer, raw_resume(co, ...))
end

local function unwrap(ok, ...)
    if ok then return ... end
    local err = ...
    -- As Lua does it: a text gets the position of the call.
    error(err, type(err) == "string" and 2 or 0)
end

function coroutine.resume(co, ...)
    return resume(co, ...)
end

function coroutine.create(f)
    local co = raw_create(f)
    contexts[co] = { co = nil, fiber = nil, cleanups = false, stuck = false, unwinding = 0 }
    return co
end

function coroutine.wrap(f)
    local co = coroutine.create(f)
    return function(...) return unwrap(resume(co, ...)) end
end

function coroutine.yield(...)
    local fiber = current()
    if not fiber.inner and raw.running() == fiber.co and fiber ~= core.root then
        core.mistake("coroutine.yield", "not in a coroutine; this_fiber.yield() lets other fibers run")
    end
    if fiber.inner and fiber.inner.unwinding > 0 then
        core.mistake("coroutine.yield", "a cleanup handler must come to its end")
    end
    return raw_yield(...)
end

function coroutine.status(co)
    local status = raw_status(co)
    local context = contexts[co]
    -- One that waits stands between its resumer and the scheduler.
    if status == "suspended" and context and context.co then return "normal" end
    return status
end
