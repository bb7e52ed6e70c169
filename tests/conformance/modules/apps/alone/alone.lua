-- A standalone service that tells the desk what it finds.
alone = {}
alone.__index = alone

local checks = require("checks")
local all = checks.new()
local order = {}

all:add("init comes before run", function()
    checks.equal(table.concat(order, " "), "init run")
end)

all:add("instance_id is a string of a decimal number", function()
    checks.equal(type(instance_id), "string")
    checks.equal(instance_id, "0")
end)

all:add("must_stop is a function that says no", function()
    checks.done(not must_stop())
end)

all:add("bcast and nljson are there, ws is not", function()
    checks.equal(type(bcast), "table")
    checks.equal(type(nljson), "table")
    checks.equal(rawget(_G, "ws"), nil)
end)

all:add("bcast: a standalone service makes channels and sends", function()
    checks.done(bcast:create(77))
    checks.done(bcast:send(77, nljson.decode([[ {"cid": 77, "message": ["from alone"]} ]])))
    checks.refused("connection closed", bcast:subscribe(77, 5))
end)

all:add("its table is the global of its name", function()
    checks.equal(_G.alone, alone)
end)

alone["init"] = function()
    order[#order + 1] = "init"
end

alone["run"] = function()
    order[#order + 1] = "run"
    local requests, reports = mqr.create("alone requests"), mqr.create("alone reports")
    while not must_stop() do
        if requests:recv(0.05) then reports:post(all:run()) end
    end
    print("alone has stopped by itself")
end

return alone
