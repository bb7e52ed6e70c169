-- The timer wheel of an instance: six levels of 64 slots, of 1 ms, 64 ms, 4 s, 4 min, 5 h and 12 days.
--
-- A node is in the level in which its tick and the present first differ, so all nodes of one tick stand in one slot, in the
-- order in which they came, and move down together. A node with a function `fire` has that called; any other is a fiber
-- that is woken.
local core = ...

local floor, ceil, pcall, collect = math.floor, math.ceil, core.raw.pcall, collectgarbage
local host = core.host

local LEVELS, SLOTS = 6, 64
-- Milliseconds after which a timer fires that could not.
local RETRY = 100
local heads, counts = {}, {}
for level = 0, LEVELS - 1 do counts[level] = 0 end
-- All of them now, so that putting a node in never needs memory.
for at = 0, LEVELS * SLOTS - 1 do
    local head = { tnext = false, tprev = false }
    head.tnext, head.tprev = head, head
    heads[at] = head
end
-- The last tick that was taken.
local now = 0
-- True while the wheel turns, when nobody has to be told of a new node.
core.turning = false

local function place(node)
    local tick, level, unit = node.tick, 0, 1
    while level < LEVELS - 1 and floor(tick / (unit * SLOTS)) ~= floor(now / (unit * SLOTS)) do
        level, unit = level + 1, unit * SLOTS
    end
    local head = heads[level * SLOTS + floor(tick / unit) % SLOTS]
    local last = head.tprev
    node.tprev, node.tnext, node.level = last, head, level
    last.tnext, head.tprev = node, node
    counts[level] = counts[level] + 1
end

local function disarm(node)
    local before, after = node.tprev, node.tnext
    before.tnext, after.tprev = after, before
    node.tnext, node.tprev = false, false
    counts[node.level] = counts[node.level] - 1
end
core.disarm = disarm

-- Puts a node in for the moment `seconds` from now; never early.
function core.arm(node, seconds)
    core.arm_at(node, host.now() + seconds * 1000)
end

-- The same for a moment in milliseconds of the host's clock.
function core.arm_at(node, milliseconds)
    local tick = ceil(milliseconds)
    node.tick = tick > now and tick or now + 1
    place(node)
    if not core.turning then host.stir() end
end

-- Moves the nodes of a slot of a higher level down.
local function cascade(level, unit)
    local head = heads[level * SLOTS + floor(now / unit) % SLOTS]
    if head.tnext == head then return end
    -- What is beyond the wheel's horizon comes back to the same slot.
    local last = head.tprev
    repeat
        local node = head.tnext
        disarm(node)
        place(node)
    until node == last
end

-- Takes everything that is due at `time`, in milliseconds of the host's clock.
function core.advance(time)
    local to = floor(time)
    core.turning = true
    while now < to do
        -- Over what is empty in one step.
        local level, unit = 0, 1
        while level < LEVELS and counts[level] == 0 do
            level, unit = level + 1, unit * SLOTS
        end
        if level == LEVELS then
            now = to
            break
        end
        local next = level == 0 and now + 1 or (floor(now / unit) + 1) * unit
        if next > to then
            now = to
            break
        end
        now = next
        -- The highest first: what comes down may have to go on at once.
        for above = LEVELS - 1, 1, -1 do
            local size = SLOTS ^ above
            if now % size == 0 then cascade(above, size) end
        end
        local head = heads[now % SLOTS]
        while head.tnext ~= head do
            local node = head.tnext
            disarm(node)
            if node.fire then
                -- One that finds no memory tries again.
                if not pcall(node.fire, node) then
                    node.tick = now + RETRY
                    place(node)
                    collect()
                end
            elseif node.why == false then
                core.wake(node, core.TIMEOUT)
            end
        end
    end
    core.turning = false
end

-- The tick at which the wheel has to be looked at next, nil while it is empty.
function core.next_tick()
    local unit = 1
    for level = 0, LEVELS - 1 do
        if counts[level] > 0 then
            local block = floor(now / unit)
            for ahead = 1, SLOTS do
                local head = heads[level * SLOTS + (block + ahead) % SLOTS]
                if head.tnext ~= head then return (block + ahead) * unit end
            end
        end
        unit = unit * SLOTS
    end
end

-- All nodes that call a function, for those who want to take them out.
function core.timers()
    local found = {}
    for at = 0, LEVELS * SLOTS - 1 do
        local head = heads[at]
        local node = head.tnext
        while node ~= head do
            if node.fire then found[#found + 1] = node end
            node = node.tnext
        end
    end
    return found
end
