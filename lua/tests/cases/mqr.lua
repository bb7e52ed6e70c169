-- require "mqr": queues between services, here within one.
local mqr = require "mqr"

-- Names that no other instance has.
local mine, count = {}, 0
local function fresh()
  count = count + 1
  return mqr.create(tostring(mine) .. " " .. count)
end

-- A fiber that receives into a list.
local function receiver(queue, seconds)
  local got = {}
  return spawn(function() got.value, got.done = queue:recv(seconds), true end), got
end

return {
  ["what is posted is received in order, and once"] = function(t)
    local q = fresh()
    for _, value in ipairs { "text", "", "with\0zero", 5, -0.5, true, false, 1 / 0, ("x"):rep(100000) } do
      t.equal(q:post(value), true)
      t.equal(select("#", q:post(value)), 1)
      t.equal(q:try_recv(), value)
      t.equal(q:recv(), value)
    end
    t.equal(q:try_recv(), nil)
    for n = 1, 1000 do q:post(n) end
    for n = 1, 1000 do t.equal(q:recv(), n) end
    t.equal(q:recv(0), nil)
  end,

  ["the same name is the same queue"] = function(t)
    local q = fresh()
    local name = tostring(q):match "'(.*)'"
    t.equal(tostring(q), "mqr queue '" .. name .. "'")
    mqr.create(name):post "once"
    t.equal(mqr:create(name):try_recv(), "once")
    t.equal(mqr.create(name .. "x"):try_recv(), nil)
    t.equal(tostring(mqr.create(12)), tostring(mqr.create "12"))
  end,

  ["who waits is woken by what comes, the first first"] = function(t)
    local q, log, fibers = fresh(), t.order(), {}
    for n = 1, 4 do fibers[n] = spawn(function() log(n .. q:recv()) end) end
    this_fiber.yield()
    for _, word in ipairs { "a", "b", "c", "d" } do t.equal(q:post(word), true) end
    t.equal(q:try_recv(), nil, "they are for those who wait")
    for n = 1, 4 do fibers[n]:join() end
    log:is "1a 2b 3c 4d"
  end,

  ["a wait ends with its time, and leaves the line"] = function(t)
    local q, watch = fresh(), t.stopwatch()
    t.equal(select("#", q:recv(0.02)), 1)
    watch.took(0.02)
    local late, got = receiver(q)
    this_fiber.yield()
    q:post "kept"
    late:join()
    t.equal(got.value, "kept")
  end,

  ["a zero is a look, and an interruption point"] = function(t)
    local q = fresh()
    t.equal(q:recv(0), nil)
    local fiber = spawn(function() q:recv(0) end)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
  end,

  ["a value that comes before an interrupted wait has left the line is received there"] = function(t)
    local q = fresh()
    local first, got = receiver(q)
    local second = receiver(q)
    this_fiber.yield()
    first:interrupt()
    q:post "one"
    first:join()
    t.equal(got.value, "one")
    t.equal(second.joinable, true, "it waits")
    second:interrupt()
    second:join()
  end,

  ["an interruption before the value leaves the value to the next"] = function(t)
    local q = fresh()
    local first = receiver(q)
    local second, got = receiver(q)
    this_fiber.yield()
    first:interrupt()
    first:join()
    t.equal(first.interruption_caught, true)
    q:post "one"
    second:join()
    t.equal(got.value, "one")
  end,

  ["a value that came with the interruption is received; the next wait raises"] = function(t)
    local q = fresh()
    local got, reached = nil, false
    local fiber = spawn(function()
      got = q:recv()
      q:recv()
      reached = true
    end)
    this_fiber.yield()
    q:post "one"
    fiber:interrupt()
    fiber:join()
    t.equal(got, "one")
    t.equal(reached, false)
    t.equal(fiber.interruption_caught, true)
    q:post "two"
    t.equal(q:try_recv(), "two", "nobody stands in line")
  end,

  ["a value that came with the end of the time is received"] = function(t)
    local q = fresh()
    local got
    local fiber = spawn(function() got = { with_timeout(0.01, function() return q:recv() end) } end)
    local poster = spawn(function()
      require "time".sleep(0.01)
      q:post "just in time"
    end)
    poster:join()
    fiber:join()
    t.ok(got[1] == "just in time" or q:try_recv() == "just in time", "it is lost")
  end,

  ["with_timeout ends a wait"] = function(t)
    local q = fresh()
    t.timed_out(with_timeout(0.01, function() return q:recv() end))
    q:post "kept"
    t.equal(q:try_recv(), "kept")
  end,

  ["a fiber that always finds something lets others run"] = function(t)
    local q, stop = fresh(), false
    local busy = spawn(function()
      while not stop do
        q:post(1)
        q:recv()
      end
    end)
    this_fiber.yield()
    stop = true
    busy:join()
    t.equal(q:try_recv(), nil)
  end,

  ["waits in coroutines of a fiber, and behind pcall"] = function(t)
    local q = fresh()
    local poster = spawn(function()
      q:post "first"
      this_fiber.yield()
      this_fiber.yield()
      q:post "second"
    end)
    local co = coroutine.wrap(function() return q:recv() end)
    t.equal(co(), "first")
    local ok, value = pcall(q.recv, q)
    t.equal(ok and value, "second")
    poster:join()
  end,

  ["a queue that nobody holds is gone with its values"] = function(t)
    local name = tostring(mine) .. " lost"
    mqr.create(name):post "lost"
    collectgarbage()
    collectgarbage()
    t.equal(mqr.create(name):try_recv(), nil)
  end,

  ["values of nljson arrive as they are"] = function(t)
    local q = fresh()
    for _, text in ipairs {
      "{}", "[]", "null", '"text"', "true", "5", '{"a":[1,2.5,{"b":null}],"c":"\\u0000"}', "[9007199254740993,18446744073709551615]",
    } do
      t.equal(q:post(nljson.decode(text)), true)
      local value = q:recv()
      t.equal(getmetatable(value), "nljson", text)
      t.equal(nljson.encode(value), text)
    end
  end,

  ["a part of a value is a value of its own"] = function(t)
    local q, whole = fresh(), nljson.decode '{"a":{"b":[1,2]},"c":3}'
    q:post(whole.a)
    q:post(whole.a.b)
    local a, b = q:recv(), q:recv()
    t.equal(nljson.encode(a), '{"b":[1,2]}')
    t.equal(nljson.encode(b), "[1,2]")
    b[1] = "x"
    t.equal(nljson.encode(a), '{"b":[1,2]}')
    t.equal(nljson.encode(whole), '{"a":{"b":[1,2]},"c":3}')
  end,

  ["who writes to what was posted writes to his own"] = function(t)
    local q, value = fresh(), nljson.decode '{"n":0,"list":[1]}'
    local list = value.list
    for n = 1, 100 do
      value.n = n
      list[1] = -n
      q:post(value)
    end
    value.n, list[1] = "after", "after"
    for n = 1, 100 do
      local got = q:recv()
      t.equal(nljson.encode(got), '{"list":[' .. -n .. '],"n":' .. n .. "}")
      got.n, got.list[2] = "got", true
      t.equal(nljson.encode(got), '{"list":[' .. -n .. ',true],"n":"got"}')
    end
    t.equal(nljson.encode(value), '{"list":["after"],"n":"after"}')
  end,

  ["tables become values"] = function(t)
    local q = fresh()
    for _, pair in ipairs {
      { {}, nljson.encode(nljson.new {}) }, { { 1, "two", false }, '[1,"two",false]' },
      { { a = { b = 1 }, c = nljson.decode "[1]" }, '{"a":{"b":1},"c":[1]}' },
    } do
      t.equal(q:post(pair[1]), true)
      t.equal(nljson.encode(q:recv()), pair[2])
    end
    local circle = {}
    circle[1] = circle
    t.raises("mqr:post: argument 1 (value): ", function() q:post(circle) end)
    local err = t.raises("mqr:post: argument 1 (value): a function cannot be part of a value", function()
      q:post { print }
      return 1
    end)
    t.ok(err:match "mqr%.lua:%d+: mqr:post: ", err)
    t.equal(q:try_recv(), nil)
  end,

  ["finalizers may receive while a value is being received"] = function(t)
    local q, inner = fresh(), fresh()
    local got, wanted = 0, 0
    local function litter()
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = function()
        local value = inner:try_recv()
        if value then
          got = got + 1
          if #value ~= 20000 then got = -1e9 end
        end
      end
    end
    for n = 1, 300 do
      q:post(("q"):rep(20000) .. n)
      inner:post((string.char(n % 256)):rep(20000))
      litter()
      t.equal(q:recv(), ("q"):rep(20000) .. n)
    end
    collectgarbage()
    collectgarbage()
    while inner:try_recv() do wanted = wanted + 1 end
    t.equal(got + wanted, 300)
    t.ok(got > 0, "the collector has run")
  end,

  ["wrong arguments are named, at the line of the caller"] = function(t)
    local q = fresh()
    t.raises("mqr.create: argument 1 (name) must be a string, got nil", function() mqr.create() end)
    t.raises("mqr.create: argument 1 (name) must be a string, got nil", function() mqr:create() end)
    t.raises("mqr.create: argument 1 (name) must be a string, got table", function() mqr.create {} end)
    t.raises("mqr.create: argument 1 (name) must have at most 1024 bytes, got 1025",
      function() mqr.create(("x"):rep(1025)) end)
    t.raises("mqr:post: argument 1 (value) must be an nljson value, a table, ", function() q:post(print) end)
    t.raises("mqr:post: argument 1 (value) must be an nljson value, a table, ", function() q:post(nil) end)
    t.raises("mqr:post: must be called with a colon", function() q.post "text" end)
    t.raises("mqr:post: must be called with a colon", function() q.post(io.stdout, "text") end)
    t.raises("mqr:try_recv: must be called with a colon", function() q.try_recv() end)
    t.raises("mqr:recv: argument 1 (seconds) must be a number, got string", function() q:recv "1" end)
    t.raises("mqr:recv: argument 1 (seconds) must be from 0 to 1e9", function() q:recv(-1) end)
    t.raises("mqr:recv: must be called with a colon", function() q.recv(1) end)
    local err = t.raises("mqr:post: ", function()
      q:post(nil)
      return 1
    end)
    t.ok(err:match "mqr%.lua:%d+: mqr:post: ", err)
  end,
}
