-- A storm of fibers that wait for everything there is, in an order that a seed decides. The service counts: cleanup
-- handlers pushed and run, values sent and received, who is inside a mutex. What it finds wrong it logs as an error.
local mutex, cv, future = require "mutex", require "condition_variable", require "future"
local channel, semaphore, barrier, time = require "channel", require "semaphore", require "barrier", require "time"

-- xorshift on 32 bits: the same numbers everywhere.
local state = SEED
local function random(n)
  state = bit.bxor(state, bit.lshift(state, 13))
  state = bit.bxor(state, bit.rshift(state, 17))
  state = bit.bxor(state, bit.lshift(state, 5))
  return bit.band(state, 0x7fffffff) % n
end

local count = { spawned = 0, ended = 0, pushed = 0, cleaned = 0, sent = 0, received = 0, interrupted = 0 }
local wrong = {}
local function complain(text) wrong[#wrong + 1] = text end

local mutexes, cvs, channels, semaphores, units = {}, {}, {}, {}, {}
for i = 1, 5 do
  mutexes[i], cvs[i], channels[i] = mutex.new(), cv.new(), channel.new(i - 1)
  semaphores[i], units[i] = semaphore.new(i), i
end
local owners = {}
local timer = time.steady_timer.new()
-- Handles of fibers that somebody may interrupt or join.
local handles = {}
local FAILURE = setmetatable({}, { __tostring = function() return "a failure that is meant" end })
-- How many wait without a limit, by kind and index: none of them may be able to go on once all is quiet.
local waiting = { lock = {}, send = {}, recv = {}, acquire = {} }
for _, list in pairs(waiting) do
  for i = 1, 5 do list[i] = 0 end
end

local function short() return random(30) / 1000 end

local function settled(list, i, ok, ...)
  list[i] = list[i] - 1
  if not ok then error((...), 0) end
  return ...
end

-- Calls method(object, ...), which waits without a limit, and counts it meanwhile.
local function wait(kind, i, method, object, ...)
  local list = waiting[kind]
  list[i] = list[i] + 1
  -- Where `pcall` itself is the interruption point, nothing has waited.
  this_fiber.disable_interruption()
  return settled(list, i, pcall(function(...)
    this_fiber.restore_interruption()
    return method(object, ...)
  end, ...))
end

-- Pushes a handler that has to run once.
local function cleanup(extra)
  count.pushed = count.pushed + 1
  local ran = false
  scope_cleanup_push(function()
    if ran then complain "a cleanup handler ran twice" end
    ran = true
    count.cleaned = count.cleaned + 1
    if extra then extra() end
    if random(8) == 0 then time.sleep(short()) end
    if random(8) == 0 then this_fiber.yield() end
  end)
end

local function locked(i, f)
  -- Its own it has already; that would be a mistake.
  if owners[i] == this_fiber.id then return end
  scope(function()
    local m = mutexes[i]
    if random(3) == 0 then
      if not m:lock_for(short()) then return end
    else
      wait("lock", i, m.lock, m)
    end
    if owners[i] then complain "two fibers in one mutex" end
    owners[i] = this_fiber.id
    cleanup(function()
      if owners[i] and owners[i] ~= this_fiber.id then complain "a mutex changed its owner" end
      owners[i] = nil
      m:unlock()
    end)
    f(m)
  end)
end

local actions
local function act(depth) actions[random(#actions) + 1](depth) end

local function body(depth)
  count.spawned = count.spawned + 1
  local id = this_fiber.id
  cleanup(function()
    if this_fiber.id ~= id then complain "a handler ran in another fiber" end
    count.ended = count.ended + 1
  end)
  for _ = 1, 1 + random(4) do act(depth) end
  if random(20) == 0 then error(FAILURE) end
end

-- What is received and then not handed on counts as received.
local function received(value, err)
  if value then
    count.received = count.received + 1
  elseif not err then
    complain "neither a value nor an error"
  end
end

actions = {
  function() time.sleep(short()) end,
  function() time.sleep(0) end,
  function() this_fiber.yield() end,
  function() locked(1 + random(5), function() if random(2) == 0 then time.sleep(short()) end end) end,
  function(depth)
    -- Two mutexes in the order of their numbers, so that nobody waits in a circle.
    local i = 1 + random(4)
    locked(i, function() locked(i + 1, function() act(depth + 1) end) end)
  end,
  function()
    local i = 1 + random(5)
    locked(i, function(m)
      owners[i] = nil
      local ok, err = pcall(cvs[i].wait_for, cvs[i], m, short())
      if owners[i] then complain "a condition variable came back without its mutex" end
      owners[i] = this_fiber.id
      if not ok then error(err, 0) end
    end)
  end,
  function() cvs[1 + random(5)]:notify_all() end,
  function() cvs[1 + random(5)]:notify_one() end,
  function()
    local i = 1 + random(5)
    local c = channels[i]
    -- Who is interrupted or timed out has not sent: counted after the fact.
    local ok
    if random(3) == 0 then ok = wait("send", i, c.send, c, true) else ok = c:send_for(true, short()) end
    if ok then count.sent = count.sent + 1 end
  end,
  function()
    local i = 1 + random(5)
    local c = channels[i]
    if random(3) == 0 then received(wait("recv", i, c.recv, c)) else received(c:recv_for(short())) end
  end,
  function()
    local ok = channels[1 + random(5)]:try_send(true)
    if ok then count.sent = count.sent + 1 end
  end,
  function()
    local i = 1 + random(5)
    if random(2) == 0 then
      if not semaphores[i]:acquire_for(short()) then return end
    else
      wait("acquire", i, semaphores[i].acquire, semaphores[i])
    end
    scope(function()
      units[i] = units[i] - 1
      if units[i] < 0 then complain "more fibers than a semaphore has units" end
      cleanup(function()
        units[i] = units[i] + 1
        semaphores[i]:release()
      end)
      time.sleep(short())
    end)
  end,
  function()
    local promise, result = future.new()
    local setter = spawn(function()
      count.spawned = count.spawned + 1
      cleanup(function() count.ended = count.ended + 1 end)
      scope_cleanup_push(function() if not result:is_ready() then promise:set_error(FAILURE) end end)
      time.sleep(short())
      promise:set_value(1, 2)
    end)
    setter:detach()
    local ok, a, b = pcall(result.get, result)
    if ok and (a ~= 1 or b ~= 2) then complain "a future with other values" end
  end,
  function()
    local a, b = channels[1 + random(5)], channels[1 + random(5)]
    local index, value, err = select { a, { b, "send", true }, semaphores[1], timeout = short() }
    if index == 1 then
      received(value, err)
    elseif index == 2 then
      if value then count.sent = count.sent + 1 end
    elseif index == 3 then
      semaphores[1]:release()
    end
  end,
  function(depth)
    if depth > 3 then return end
    local fiber = spawn(body, depth + 1)
    if random(3) == 0 then fiber:interrupt() end
    pcall(fiber.join, fiber)
  end,
  function(depth)
    if depth > 3 then return end
    local fiber = spawn(body, depth + 1)
    handles[#handles + 1] = fiber
  end,
  function(depth) with_timeout(short(), act, depth + 1) end,
  function(depth) pcall(act, depth + 1) end,
  function(depth) if depth < 5 then coroutine.wrap(act)(depth + 1) end end,
  function(depth)
    if depth > 5 then return end
    local co = coroutine.create(function()
      act(depth + 1)
      coroutine.yield(1)
      act(depth + 1)
    end)
    if coroutine.resume(co) and coroutine.status(co) == "suspended" then coroutine.resume(co) end
  end,
  function()
    this_fiber.disable_interruption()
    scope(function()
      scope_cleanup_push(function() this_fiber.restore_interruption() end)
      time.sleep(short())
    end)
  end,
  function()
    timer:expires_after(random(30))
    timer:wait()
  end,
  function() timer:cancel() end,
  function()
    -- Somebody else, at random: interrupted, joined by a stranger, or forgotten.
    local n = #handles
    if n == 0 then return end
    local at = 1 + random(n)
    local fiber = handles[at]
    handles[at], handles[n] = handles[n], nil
    local what = random(3)
    if what < 2 then
      fiber:interrupt()
      count.interrupted = count.interrupted + 1
    end
    if what > 0 then pcall(fiber.join, fiber) end
  end,
  function()
    local x = spawn(function() return "x" end)
    local ok, value = pcall(x.join, x)
    if ok and value ~= "x" then complain "join gave something else" end
  end,
  function() if random(4) == 0 then collectgarbage "step" end end,
}

function demo.onOpen(h)
  ws.conn(h):spawn(function()
    body(0)
    cleanup()
    time.sleep(1000)
  end):detach()
end

-- Once all is quiet: who could go on, and waits?
local function audit()
  for i = 1, 5 do
    local c = channels[i]
    local senders, receivers = waiting.send[i] > 0, waiting.recv[i] > 0
    if receivers and (senders or c:len() > 0) then complain("channel " .. i .. ": a receiver sleeps on") end
    if senders and c:len() < c:capacity() then complain("channel " .. i .. ": a sender sleeps on") end
    if waiting.lock[i] > 0 and not owners[i] then complain("mutex " .. i .. ": who waits for it sleeps on") end
    if waiting.acquire[i] > 0 and semaphores[i]:count() > 0 then complain("semaphore " .. i .. ": a waiter sleeps on") end
  end
end

function demo.onMessage(h, op, message)
  if message == "audit" then
    audit()
    return ws:send(h, 1, table.concat(wrong, "; "))
  end
  if message == "count" then
    local left = 0
    for i = 1, 5 do
      left = left + channels[i]:len()
      if owners[i] then complain("mutex " .. i .. " is owned by " .. owners[i]) end
      if not mutexes[i]:try_lock() then complain("mutex " .. i .. " is locked") else mutexes[i]:unlock() end
      if semaphores[i]:count() ~= i then complain("semaphore " .. i .. " has " .. semaphores[i]:count()) end
      if channels[i]:try_send(true) == true and i == 1 then complain "a receiver is left" end
    end
    local kept = #handles
    local words = {}
    for _, name in ipairs { "spawned", "ended", "pushed", "cleaned", "interrupted" } do
      words[#words + 1] = name .. "=" .. count[name]
    end
    if count.sent ~= count.received + left then
      complain("sent " .. count.sent .. ", received " .. count.received .. ", left " .. left)
    end
    handles = {}
    return ws:send(h, 1, table.concat(wrong, "; ") .. "\n" .. table.concat(words, " ") .. " kept=" .. kept)
  end
  for _ = 1, random(4) do
    local fiber = ws.conn(h) and ws.conn(h):spawn(body, 0) or spawn(body, 0)
    if random(2) == 0 then handles[#handles + 1] = fiber else fiber:detach() end
  end
  pcall(body, 0)
  return true
end

function demo.onDisconnect(h)
  pcall(act, 3)
end
