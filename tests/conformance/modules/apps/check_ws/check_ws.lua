-- `ws`: params are the handler of another client, which gets what is sent, and of one that has gone.
check_ws = {}
check_ws.__index = check_ws

local checks = require("checks")
local all = checks.new()

all:add("strings go out as text and binary", function(_, params)
    checks.done(ws:send(params[1], 1, "text"))
    checks.done(ws:send(params[1], 2, "\0\255"))
    checks.done(ws:send(params[1], 1, ""))
end)

all:add("other opcodes are refused", function(handler)
    for _, opcode in ipairs({ -1, 0, 1.5, 3, 8, 9, 10, 257, 1e300 }) do
        checks.refused("opcode must be 1 (text) or 2 (binary)", ws:send(handler, opcode, "x"))
    end
end)

all:add("send: wrong types raise", function(handler)
    checks.raises("ws:send must be called with a colon", ws.send, handler, 1, "x")
    checks.raises("ws:send: argument 1 (handler) must be a number, got nil", ws.send, ws)
    checks.raises("ws:send: argument 1 (handler) must be a number, got string", ws.send, ws, "1", 1, "x")
    checks.raises("ws:send: argument 1 (handler) must be a number, got table", ws.send, ws, {}, 1, "x")
    checks.raises("ws:send: argument 2 (opcode) must be a number, got nil", ws.send, ws, handler)
    checks.raises("ws:send: argument 2 (opcode) must be a number, got string", ws.send, ws, handler, "1", "x")
    checks.raises("ws:send: argument 2 (opcode) must be a number, got table", ws.send, ws, handler, { cid = 0 })
    checks.raises("ws:send: argument 3 (message) must be a string, got nil", ws.send, ws, handler, 1, nil)
    checks.raises("ws:send: argument 3 (message) must be a string, got table", ws.send, ws, handler, 1, {})
    checks.raises("ws:send: argument 3 (message) must be a string, got boolean", ws.send, ws, handler, 1, true)
end)

all:add("messages of the protocol go out", function(_, params)
    for _, text in ipairs({
        [[ {"cid": 0, "status": 1, "result": []} ]],
        [[ {"cid": 0, "status": 1, "result": [{"deep": [null]}]} ]],
        [[ {"cid": 0, "status": 0, "error": {"code": -32600, "message": "m"}} ]],
        [[ {"cid": 0, "status": 0, "error": {"code": 1, "message": "m", "data": {}}} ]],
        [[ {"cid": 7, "message": []} ]],
        [[ {"cid": 7, "status": 1, "message": ["x"]} ]],
    }) do
        checks.done(ws:send(params[1], nljson.decode(text)))
    end
end)

all:add("other messages are refused", function(_, params)
    for _, text in ipairs({
        [[ {} ]], [[ [] ]], [[ 5 ]], [[ null ]],
        [[ {"status": 1, "result": []} ]],
        [[ {"cid": "0", "status": 1, "result": []} ]],
        [[ {"cid": null, "status": 1, "result": []} ]],
        [[ {"cid": 0, "status": 1} ]],
        [[ {"cid": 0, "status": 1, "result": {}} ]],
        [[ {"cid": 0, "status": 1, "message": []} ]],
        [[ {"cid": 0, "status": 2, "result": []} ]],
        [[ {"cid": 0, "status": 0} ]],
        [[ {"cid": 0, "status": 0, "error": []} ]],
        [[ {"cid": 0, "status": 0, "error": {"code": 1}} ]],
        [[ {"cid": 0, "status": 0, "error": {"message": "m"}} ]],
        [[ {"cid": 0, "status": 0, "error": {"code": "1", "message": "m"}} ]],
        [[ {"cid": 0, "status": 0, "error": {"code": 1, "message": 5}} ]],
        [[ {"cid": 7, "status": 0, "error": {"code": 1, "message": "m"}} ]],
        [[ {"cid": 7, "status": 1, "result": []} ]],
        [[ {"cid": 7, "status": 1, "message": "x"} ]],
    }) do
        local ok, message = ws:send(params[1], nljson.decode(text))
        checks.equal(text .. tostring(ok) .. tostring(message), text .. "false" .. "invalid LAppS-protocol message")
    end
end)

all:add("a part of a tree is a message too", function(_, params)
    local tree = nljson.decode([[ {"part": {"cid": 9, "message": ["part"]}} ]])
    checks.done(ws:send(params[1], tree.part))
end)

all:add("stale and invented handlers are refused", function(_, params)
    local response = nljson.decode([[ {"cid": 0, "status": 1, "result": []} ]])
    for _, handler in ipairs({ params[2], 0, -1, 1.5, 12345678, 2 ^ 53, 1e300, 1 / 0, 0 / 0 }) do
        checks.refused("connection closed", ws:send(handler, 1, "x"))
        checks.refused("connection closed", ws:send(handler, response))
        checks.refused("connection closed", ws:close(handler, 1000))
    end
end)

all:add("close: codes that may not be sent are refused", function(handler)
    for _, code in ipairs({ -1, 0, 999, 1000.5, 1004, 1005, 1006, 1012, 1015, 2000, 2999, 5000, 65536 + 1000 }) do
        checks.refused("code must be 1000-1003, 1007-1011 or 3000-4999", ws:close(handler, code))
    end
end)

all:add("close: wrong types raise", function(handler)
    checks.raises("ws:close must be called with a colon", ws.close, handler, 1000)
    checks.raises("ws:close: argument 1 (handler) must be a number, got nil", ws.close, ws, nil, 1000)
    checks.raises("ws:close: argument 2 (code) must be a number, got no value", ws.close, ws, handler)
    checks.raises("ws:close: argument 2 (code) must be a number, got string", ws.close, ws, handler, "1000")
    checks.raises("ws:close: argument 3 (reason) must be a string, got table", ws.close, ws, handler, 1000, {})
end)

all:add("conn: the object of a connection", function(handler, params)
    local conn = ws.conn(handler)
    checks.equal(conn, ws.conn(handler))
    checks.equal(conn.handler, handler)
    checks.equal(conn:closed(), false)
    checks.equal(select(2, ws.conn(params[2])).code, "closed")
    checks.raises("ws.conn: argument 1 (handler) must be a number, got string", ws.conn, "x")
end)

all:add("close ends the other connection", function(_, params)
    checks.done(ws:close(params[1], 4001, "bye"))
end)

all:serve(check_ws)

return check_ws
