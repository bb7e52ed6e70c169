-- `nljson`: documents in and out, members, what walks through them, and what is refused.
check_nljson = {}
check_nljson.__index = check_nljson

local checks = require("checks")
local all = checks.new()
local equal, raises = checks.equal, checks.raises

local function document()
    return nljson.decode([=[ { "n": 1, "s": "text", "b": true, "z": null, "list": [7, [8]], "o": { "k": "v" } } ]=])
end

all:add("decode, encode and tostring: keys are sorted", function()
    local u = document()
    local text = [=[{"b":true,"list":[7,[8]],"n":1,"o":{"k":"v"},"s":"text","z":null}]=]
    equal(nljson.encode(u), text)
    equal(tostring(u), text)
    equal(type(u), "userdata")
end)

all:add("decode raises on bad input, with the place", function()
    raises("nljson.decode: EOF while parsing a value at line 1 column 0", nljson.decode, "")
    raises("nljson.decode: expected value at line 2 column 7", nljson.decode, '{\n "a": x}')
    raises("nljson.decode: trailing characters at line 1 column 4", nljson.decode, "{} {}")
    raises("nljson.decode: nested deeper than 128 levels", nljson.decode, ("["):rep(100000))
    raises("nljson.decode: argument 1 (text) must be a string, got no value", nljson.decode)
    raises("nljson.decode: argument 1 (text) must be a string, got table", nljson.decode, {})
    raises("nljson.decode: argument 1 (text) must be a string, got userdata", nljson.decode, document())
end)

all:add("decode_file", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write([[ { "from": ["a", "file"] } ]])
    file:close()
    local u = nljson.decode_file(path)
    os.remove(path)
    equal(u.from[2], "file")
    raises("No such file or directory", nljson.decode_file, path)
    raises("nljson.decode_file: /: it is not a file", nljson.decode_file, "/")
    raises("nljson.decode_file: argument 1 (path) must be a string, got no value", nljson.decode_file)
end)

all:add("encode_pretty: with an indent or without", function()
    equal(nljson.encode_pretty(nljson.decode([[ {"a": [1]} ]]), 2), '{\n  "a": [\n    1\n  ]\n}')
    equal(nljson.encode_pretty(nljson.decode([[ [1] ]])), "[\n    1\n]")
    raises("nljson.encode_pretty: argument 2 (indent) must be a number, got string", nljson.encode_pretty, document(), "2")
    raises("nljson.encode_pretty: argument 2 (indent) must be from 0 to 16", nljson.encode_pretty, document(), -1)
end)

all:add("to_cbor and from_cbor", function()
    local u = document()
    equal(nljson.encode(nljson.from_cbor(nljson.to_cbor(u))), nljson.encode(u))
    equal(nljson.to_cbor(nljson.decode([[ {"a": 1} ]])), "\161\97a\1")
    raises("nljson.from_cbor: the input ends in the middle of an item at byte 0", nljson.from_cbor, "")
    raises("nljson.from_cbor: something follows the item at byte 1", nljson.from_cbor, "\1\1")
    raises("nljson.from_cbor: argument 1 (bytes) must be a string, got no value", nljson.from_cbor)
end)

all:add("encoders: wrong arguments raise", function()
    for _, name in ipairs({ "encode", "encode_pretty", "to_cbor" }) do
        raises("nljson." .. name .. ": argument 1 (value) must be a value, got no value", nljson[name])
        raises("nljson." .. name .. ": a function cannot be part of a value", nljson[name], print)
    end
end)

all:add("members: keys, indices from 1, nil where there is none", function()
    local u = document()
    equal(u.n, 1)
    equal(u.s, "text")
    equal(u.b, true)
    equal(u.z, nil)
    equal(u.missing, nil)
    equal(u.list[1], 7)
    equal(u.list[2][1], 8)
    equal(u.list[0], nil)
    equal(u.list[3], nil)
    raises("nljson: the index of an array must be a number, got a string", function() return u.list.x end)
    raises("nljson: the key of an object must be a string, got a number", function() return u[1] end)
end)

all:add("objects and arrays come back as references into the same tree", function()
    local u = document()
    local list, o = u.list, u.o
    list[1] = "changed"
    o.new = 1
    u.o.k = "changed too"
    equal(u.list[1], "changed")
    equal(nljson.encode(o), [[{"k":"changed too","new":1}]])
    u.list = nil
    equal(nljson.encode(list), [=[["changed",[8]]]=])
end)

all:add("members are set from all kinds of values", function()
    local u = nljson.decode([[ {} ]])
    u.yes, u.number, u.text, u.null = true, 1.5, "t", nil
    u.array, u.object, u.holes = { 1, { 2 } }, { k = { v = 1 } }, { 1, nil, 3 }
    u.copy = document().o
    equal(nljson.encode(u), [=[{"array":[1,[2]],"copy":{"k":"v"},"holes":{"1":1,"3":3},"null":null,"number":1.5,]=]
        .. [["object":{"k":{"v":1}},"text":"t","yes":true}]])
    local list = nljson.decode([=[ [1] ]=])
    list[4] = "x"
    equal(nljson.encode(list), [=[[1,null,null,"x"]]=])
    raises("nljson: a function cannot be part of a value", function() u.f = print end)
    raises("nljson: the index of an array must be a whole number from 1 to 2^32", function() list[0] = 1 end)
end)

all:add("a value is copied when it is set", function()
    local u, other = document(), document()
    u.copy = other.o
    other.o.k = "later"
    equal(u.copy.k, "v")
end)

all:add("whole numbers beyond 2^53 survive", function()
    local text = "[9007199254740993,18446744073709551615,-9223372036854775808]"
    equal(nljson.encode(nljson.decode(text)), text)
    equal(nljson.encode(nljson.from_cbor(nljson.to_cbor(nljson.decode(text)))), text)
end)

all:add("find", function()
    local u = document()
    equal(nljson.find(u, "n"), 1)
    equal(nljson.find(u, "missing"), nil)
    equal(nljson.find(u, "z"), nil)
    equal(nljson.find(u, "o").k, "v")
    raises("nljson.find: argument 1 (value) must be an nljson value, got nil", nljson.find, nil, "x")
    raises("nljson.find: argument 1 (value) must be an nljson value, got table", nljson.find, {}, "x")
    raises("nljson.find: argument 2 (key) must be a string or a number", nljson.find, u)
end)

all:add("foreach: members in order", function()
    local seen = {}
    nljson.foreach(document(), function(k, v) seen[#seen + 1] = k .. "=" .. tostring(v) end)
    equal(table.concat(seen, " "), [=[b=true list=[7,[8]] n=1 o={"k":"v"} s=text z=nil]=])
    local sum = 0
    nljson.foreach(nljson.decode("[1,2,3]"), function(k, v) sum = sum + k * v end)
    equal(sum, 14)
    raises("stop here", nljson.foreach, document(), function() error("stop here") end)
    raises("nljson.foreach: argument 1 (value) must be an nljson value, got nil", nljson.foreach, nil, print)
    raises("nljson.foreach: argument 2 (f) must be a function, got nil", nljson.foreach, document())
end)

all:add("traverse: members of members too", function()
    local keys = {}
    nljson.traverse(document(), function(k) keys[#keys + 1] = tostring(k) end)
    equal(table.concat(keys, " "), "b list 1 2 1 n o k s z")
    raises("nljson.traverse: argument 1 (value) must be an nljson value, got string", nljson.traverse, "x", print)
    raises("nljson.traverse: argument 2 (f) must be a function, got table", nljson.traverse, document(), {})
end)

all:add("erase: keys, and indices from 0", function()
    local u = document()
    equal(nljson.erase(u, "n"), true)
    equal(nljson.erase(u, "n"), false)
    equal(nljson.erase(u.list, 0), true)
    equal(nljson.encode(u.list), "[[8]]")
    equal(nljson.erase(u.list, 1), false)
    equal(nljson.erase(u.list, -1), false)
    raises("nljson.erase: the index of an array must be a number, got a string", nljson.erase, u.list, "0")
    raises("nljson.erase: the key of an object must be a string, got a number", nljson.erase, u, 0)
    raises("nljson.erase: argument 1 (value) must be an nljson value, got no value", nljson.erase)
end)

all:add("empty", function()
    for text, empty in pairs({
        ["[]"] = true, ["{}"] = true, ["null"] = true, ["[1]"] = false, ['{"a":1}'] = false, ['"x"'] = false, ["0"] = false,
    }) do
        equal(text .. tostring(nljson.empty(nljson.decode(text))), text .. tostring(empty))
    end
    raises("nljson.empty: argument 1 (value) must be a value, got function", nljson.empty, print)
end)

all:add("typename", function()
    for text, name in pairs({
        ["{}"] = "object", ["[]"] = "array", ['"x"'] = "string", ["1"] = "number", ["true"] = "boolean", ["null"] = "null",
    }) do
        equal(nljson.typename(nljson.decode(text)), name)
        equal(nljson.typename(nljson.decode("[" .. text .. "]")[1]), name)
    end
    raises("nljson.typename: argument 1 (value) must be a value, got no value", nljson.typename)
end)

all:serve(check_nljson)

return check_nljson
