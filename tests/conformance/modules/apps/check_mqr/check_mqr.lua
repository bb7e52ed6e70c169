-- `mqr`: queues with everything that may be in them, and what may not.
check_mqr = {}
check_mqr.__index = check_mqr

local checks = require("checks")
local all = checks.new()
local equal, raises = checks.equal, checks.raises
local name = "check_mqr " .. tostring({})

all:add("what is posted is received in its order", function()
    local q = mqr.create(name)
    for _, value in ipairs({ "text", "", 5, 0.5, true, false }) do checks.done(q:post(value)) end
    equal(q:recv(), "text")
    equal(q:try_recv(), "")
    equal(q:recv(1), 5)
    equal(q:recv(), 0.5)
    equal(q:try_recv(), true)
    equal(q:recv(), false)
end)

all:add("values of nljson and tables", function()
    local q = mqr.create(name)
    local u = nljson.decode([[ { "a": [1, 2], "b": { "c": 3 } } ]])
    checks.done(q:post(u))
    checks.done(q:post(u.b))
    checks.done(q:post({ 1, { k = "v" } }))
    u.a[1] = "ours"
    local theirs = q:recv()
    equal(nljson.encode(theirs), [[{"a":[1,2],"b":{"c":3}}]])
    theirs.b.c = "theirs"
    equal(u.b.c, 3)
    equal(nljson.encode(q:recv()), [[{"c":3}]])
    equal(nljson.encode(q:recv()), [=[[1,{"k":"v"}]]=])
end)

all:add("an empty queue", function()
    local q = mqr.create(name)
    equal(select("#", q:try_recv()), 1)
    equal(q:try_recv(), nil)
    equal(q:recv(0), nil)
    local since = time.monotonic()
    equal(q:recv(0.02), nil)
    equal(time.monotonic() - since >= 0.02, true)
end)

all:add("the same name is the same queue", function()
    local q, again, other = mqr.create(name), mqr:create(name), mqr.create(name .. " other")
    checks.done(q:post("one"))
    equal(other:try_recv(), nil)
    equal(again:recv(), "one")
    equal(q:try_recv(), nil)
end)

all:add("recv waits for who posts later", function()
    local q = mqr.create(name)
    time.after(0.01, function() q:post("later") end)
    equal(q:recv(5), "later")
end)

all:add("a full queue says so, and has room again", function()
    local q = mqr.create(name .. " full")
    local posted = 0
    while q:post(posted) do posted = posted + 1 end
    equal(posted, 100)
    checks.refused("queue is full", q:post("more"))
    equal(q:recv(), 0)
    checks.done(q:post("more"))
    for _ = 1, 100 do equal(q:try_recv() ~= nil, true) end
    equal(q:try_recv(), nil)
end)

all:add("wrong arguments raise", function()
    raises("mqr.create: argument 1 (name) must be a string, got nil", mqr.create)
    raises("mqr.create: argument 1 (name) must be a string, got table", mqr.create, {})
    raises("mqr.create: argument 1 (name) must have at most 1024 bytes, got 1025", mqr.create, ("n"):rep(1025))
    local q = mqr.create(name)
    local values = "an nljson value, a table, a string, a number or a boolean, got "
    raises("mqr:post: argument 1 (value) must be " .. values .. "nil", q.post, q)
    raises("mqr:post: argument 1 (value) must be " .. values .. "function", q.post, q, print)
    raises("mqr:post: argument 1 (value): a function cannot be part of a value", q.post, q, { print })
    raises("mqr:recv: argument 1 (seconds) must be a number, got string", q.recv, q, "1")
    raises("mqr:recv: argument 1 (seconds) must be from 0 to 1e9, got -1", q.recv, q, -1)
    for _, method in ipairs({ "post", "recv", "try_recv" }) do
        local message = "mqr:" .. method .. ": must be called with a colon, on what mqr.create() has made"
        raises(message, q[method], "x")
        raises(message, q[method], {}, "x")
        raises(message, q[method])
    end
    equal(q:try_recv(), nil)
end)

all:serve(check_mqr)

return check_mqr
