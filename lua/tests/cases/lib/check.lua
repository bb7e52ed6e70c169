-- What the cases assert with. `check.new(virtual)` makes the `t` that a case gets; virtual: the clock jumps from deadline
-- to deadline, so that elapsed times have upper bounds.
local check = {}

local function show(value)
  if type(value) == "string" then return string.format("%q", value) end
  return tostring(value)
end

local function fail(message, level)
  error(message, level + 1)
end

-- How late a timer may be with virtual time: its resolution, and a little for rounding.
local RESOLUTION = 0.0021

function check.new(virtual)
  local t = { virtual = virtual, reported = {} }

  function t.equal(actual, expected, what)
    if actual ~= expected then
      fail((what and what .. ": " or "") .. "expected " .. show(expected) .. ", got " .. show(actual), 2)
    end
  end

  function t.ok(value, what)
    if not value then fail((what or "it should hold") .. ", got " .. show(value), 2) end
  end

  -- t.values(expected_count, expected..., "|", actual...) would be hard to read: pack the actual ones.
  function t.list(actual, expected)
    local n = math.max(actual.n or #actual, expected.n or #expected)
    for i = 1, n do
      if actual[i] ~= expected[i] then
        fail("value " .. i .. ": expected " .. show(expected[i]) .. ", got " .. show(actual[i]), 2)
      end
    end
    if actual.n and expected.n and actual.n ~= expected.n then
      fail("expected " .. expected.n .. " values, got " .. actual.n, 2)
    end
  end

  function t.pack(...) return { n = select("#", ...), ... } end

  function t.has(text, part)
    if not tostring(text):find(part, 1, true) then
      fail(show(part) .. " is missing in " .. show(text), 2)
    end
  end

  -- The call raises an error whose text has this part; gives the error.
  function t.raises(part, f, ...)
    local ok, err = pcall(f, ...)
    if ok then fail("it should have raised " .. show(part), 2) end
    if not tostring(err):find(part, 1, true) then
      fail("expected an error with " .. show(part) .. ", got " .. show(err) .. " " .. tostring(err), 2)
    end
    return err
  end

  -- An error value as waits return it: `nil, err`.
  function t.gave_up(code, category, value, err)
    if value ~= nil then fail("expected nil and an error, got " .. show(value), 2) end
    if type(err) ~= "table" then fail("expected an error value, got " .. show(err), 2) end
    if err.code ~= code or err.category ~= category then
      fail("expected " .. category .. "/" .. code .. ", got " .. show(err.category) .. "/" .. show(err.code), 2)
    end
    if type(err.message) ~= "string" or tostring(err) ~= err.message then
      fail("the error's text should be its message, got " .. show(tostring(err)), 2)
    end
  end

  function t.timed_out(value, err) t.gave_up("timed_out", "fiber", value, err) end

  function t.interruption(err)
    if not rawequal(err, this_fiber.interrupted_error) then
      fail("expected the interruption, got " .. show(err) .. " " .. tostring(err), 2)
    end
  end

  -- A log of words: log "a", then log:is("a b").
  function t.order()
    local words = {}
    local log = {}
    function log:is(expected)
      local actual = table.concat(words, " ")
      if actual ~= expected then fail("expected order " .. show(expected) .. ", got " .. show(actual), 2) end
    end
    return setmetatable(log, { __call = function(_, word) words[#words + 1] = tostring(word) end })
  end

  -- Measures from now: watch.took(seconds) holds exactly with virtual time, and as a lower bound otherwise.
  function t.stopwatch()
    local time = require "time"
    local from = time.monotonic()
    local watch = {}
    function watch.took(seconds)
      local took = time.monotonic() - from
      if took < seconds - 1e-6 then fail("too early: " .. took .. " s instead of " .. seconds, 2) end
      if virtual and took > seconds + RESOLUTION then fail("too late: " .. took .. " s instead of " .. seconds, 2) end
    end
    return watch
  end

  -- A fiber that has begun to wait in f(...).
  function t.waiting(f, ...)
    local fiber = spawn(f, ...)
    this_fiber.yield()
    return fiber
  end

  -- The case makes the log say this, once.
  function t.reports(part) t.reported[#t.reported + 1] = part end

  return t
end

return check
