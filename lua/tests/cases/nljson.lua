-- nljson: documents in and out, members read and written.
local decode, encode = nljson.decode, nljson.encode

return {
  ["it is there, and can be required"] = function(t)
    t.equal(require "nljson", nljson)
  end,

  ["members are read"] = function(t)
    local u = decode '{"a":1,"b":[true,null,"x",{"c":-2.5}],"n":null,"s":""}'
    t.equal(u.a, 1)
    t.equal(u.s, "")
    t.equal(u.n, nil)
    t.equal(u.missing, nil)
    t.equal(u.b[1], true)
    t.equal(u.b[2], nil)
    t.equal(u.b[3], "x")
    t.equal(u.b[4].c, -2.5)
    t.equal(u.b[5], nil)
    t.equal(u.b[0], nil)
    t.equal(u.b[-1], nil)
    t.equal(u.b[1.5], nil)
    t.equal(u.b[1e300], nil)
    t.equal(u.b[0 / 0], nil)
    t.equal(type(u.b), "userdata")
    t.equal(#u, 4)
    t.equal(#u.b, 4)
  end,

  ["references see each other's changes"] = function(t)
    local u = decode '{"a":{"list":[1,2]}}'
    local a, list = u.a, u.a.list
    list[3] = 3
    a.x = "new"
    t.equal(encode(u), '{"a":{"list":[1,2,3],"x":"new"}}')
    u.a.list[1] = "one"
    t.equal(list[1], "one")
    t.equal(encode(list), '["one",2,3]')
  end,

  ["what is taken out lives as long as somebody refers to it"] = function(t)
    local u = decode '{"a":{"b":{"c":1}}}'
    local a, b = u.a, u.a.b
    u.a = 5
    b.c = 2
    t.equal(encode(a), '{"b":{"c":2}}')
    nljson.erase(a, "b")
    a = nil
    collectgarbage()
    collectgarbage()
    for i = 1, 100 do u["k" .. i] = { { { i } } } end
    t.equal(encode(b), '{"c":2}')
    b.d = {}
    t.equal(encode(b), '{"c":2,"d":[]}')
    u = nil
    collectgarbage()
    b.c = nil
    t.equal(encode(b), '{"c":null,"d":[]}')
  end,

  ["a reference keeps its document"] = function(t)
    local list = decode '{"a":[1,{"b":2}]}'.a
    collectgarbage()
    collectgarbage()
    t.equal(encode(list), '[1,{"b":2}]')
  end,

  ["all kinds of Lua values can be set"] = function(t)
    local u = nljson.new {}
    u.yes, u.no, u.text, u.int, u.float = true, false, "t\0\"", 3, 0.5
    u.big, u.huge, u.neg, u.zero = 2 ^ 53, 2 ^ 63, -2 ^ 63, -0.0
    u.list = { 1, { 2, { 3 } }, "x" }
    u.object = { a = 1, b = { c = {} } }
    u.null = nil
    t.equal(encode(u), '{"big":9007199254740992,"float":0.5,"huge":9223372036854775808,"int":3,'
      .. '"list":[1,[2,[3]],"x"],"neg":-9223372036854775808,"no":false,"null":null,'
      .. '"object":{"a":1,"b":{"c":[]}},"text":"t\\u0000\\"","yes":true,"zero":0}')
    u.huge, u.inf, u.nan = 1e300, 1 / 0, 0 / 0
    t.equal(encode { u.huge, u.inf }, "[1e+300,null]")
    t.equal(encode(u.inf), "null")
    t.ok(u.nan ~= u.nan)
  end,

  ["tables become arrays if their keys are 1 to n"] = function(t)
    t.equal(encode {}, "[]")
    t.equal(encode { 1, 2, 3 }, "[1,2,3]")
    t.equal(encode { [1] = "a", [2] = "b" }, '["a","b"]')
    t.equal(encode { [2] = "b" }, '{"2":"b"}')
    t.equal(encode { 1, nil, 3, nil }, '{"1":1,"3":3}')
    t.equal(encode { 1, x = 2 }, '{"1":1,"x":2}')
    t.equal(encode { [0] = 1, [-1] = 2, [1.5] = 3, [2 ^ 53] = 4 }, '{"-1":2,"0":1,"1.5":3,"9007199254740992":4}')
    t.equal(encode(setmetatable({ 1 }, { __index = { 2, 3 } })), "[1]")
    t.equal(nljson.typename {}, "array")
    t.equal(nljson.typename { x = 1 }, "object")
  end,

  ["values are copied when they are set"] = function(t)
    local u, other = decode '{"a":[1]}', decode '{"x":{"y":1}}'
    u.b, u.c = u.a, other.x
    u.a[1], other.x.y = 2, 2
    t.equal(encode(u), '{"a":[2],"b":[1],"c":{"y":1}}')
    u.a[2] = u
    t.equal(encode(u), '{"a":[2,{"a":[2],"b":[1],"c":{"y":1}}],"b":[1],"c":{"y":1}}')
    u.list = { other.x, decode "5", decode '"s"', u.b }
    t.equal(encode(u.list), '[{"y":2},5,"s",[1]]')
    u.list[1] = u.list
    t.equal(encode(u.list), '[[{"y":2},5,"s",[1]],5,"s",[1]]')
  end,

  ["past the end null comes between"] = function(t)
    local u = decode "[]"
    u[3] = 1
    t.equal(encode(u), "[null,null,1]")
    u[5] = nil
    t.equal(encode(u), "[null,null,1,null,null]")
  end,

  ["null and empty arrays become what they are used as"] = function(t)
    local u = nljson.new()
    t.equal(u.x, nil)
    t.equal(u[1], nil)
    t.equal(#u, 0)
    u.list, u.object = {}, {}
    u.list[1] = 1
    u.object.x = 1
    t.equal(encode(u), '{"list":[1],"object":{"x":1}}')
    local list = nljson.new()
    list[2] = true
    t.equal(encode(list), "[null,true]")
  end,

  ["whole numbers beyond 2^53 survive"] = function(t)
    local text = '[9007199254740993,-9007199254740993,9223372036854775807,-9223372036854775808,18446744073709551615]'
    local u = decode(text)
    t.equal(encode(u), text)
    t.equal(u[1], 2 ^ 53)
    local copy = nljson.new { u }
    copy[2] = nil
    t.equal(encode(copy[1]), text)
    t.equal(encode(nljson.from_cbor(nljson.to_cbor(u))), text)
    u[1] = 2 ^ 53 + 2
    t.equal(encode(u[1]), "9007199254740994")
  end,

  ["floats come back as they were"] = function(t)
    for _, float in ipairs { 0.1, 1e-320, 1.7976931348623157e308, 3.141592653589793, -1e22, 123456789.123 } do
      t.equal(decode(encode { float })[1], float)
      t.equal(nljson.from_cbor(nljson.to_cbor { float })[1], float)
    end
  end,

  ["CBOR has bytes of any kind, JSON has not"] = function(t)
    local u = nljson.from_cbor "\161\97a\98\255\254"
    t.equal(u.a, "\255\254")
    t.equal(nljson.to_cbor(u), "\161\97a\66\255\254")
    t.raises("nljson.encode: the text at /a is not UTF-8", encode, u)
    t.raises("nljson: the text at /a is not UTF-8", tostring, u)
    t.raises("nljson.encode: the key /", encode, { ["\255"] = 1 })
    t.equal(encode(nljson.from_cbor(nljson.to_cbor { "\u{e9}" })), '["\u{e9}"]')
    t.equal(nljson.to_cbor { cid = 0, status = 1, result = { 1.5, "x" } },
      "\163\99cid\0\102result\130\251\63\248\0\0\0\0\0\0\97x\102status\1")
    t.equal(nljson.to_cbor(nil), "\246")
  end,

  ["keys are sorted, the last of equal ones wins"] = function(t)
    t.equal(encode(decode '{"b":1,"a":{"z":1,"y":2},"b":{"x":3}}'), '{"a":{"y":2,"z":1},"b":{"x":3}}')
    local u = nljson.new {}
    for i = 100, 1, -1 do u["k" .. i] = i end
    for i = 1, 100 do t.equal(u["k" .. i], i) end
    local keys = {}
    nljson.foreach(u, function(k) keys[#keys + 1] = k end)
    t.equal(#keys, 100)
    for i = 2, 100 do t.ok(keys[i - 1] < keys[i]) end
  end,

  ["pretty has an indent"] = function(t)
    t.equal(nljson.encode_pretty(decode '{"a":[1,{}],"b":[]}'),
      '{\n    "a": [\n        1,\n        {}\n    ],\n    "b": []\n}')
    t.equal(nljson.encode_pretty({ 1, 2 }, 2), "[\n  1,\n  2\n]")
    t.equal(nljson.encode_pretty({ 1 }, 0), "[\n1\n]")
    t.equal(nljson.encode_pretty({ 1 }, nil), "[\n    1\n]")
    t.equal(nljson.encode_pretty(nil), "null")
    t.raises("nljson.encode_pretty: argument 2 (indent) must be a number, got string", nljson.encode_pretty, {}, "2")
    for _, indent in ipairs { -1, 17, 1.5, 0 / 0, 1 / 0 } do
      t.raises("nljson.encode_pretty: argument 2 (indent) must be from 0 to 16", nljson.encode_pretty, {}, indent)
    end
  end,

  ["tostring is encode"] = function(t)
    t.equal(tostring(decode ' { "a" : [ ] } '), '{"a":[]}')
    t.equal(tostring(decode '"x"'), '"x"')
  end,

  ["documents may be scalars"] = function(t)
    for _, text in ipairs { "5", "-1.5", "true", "false", "null", '"text"' } do
      local u = decode(text)
      t.equal(type(u), "userdata")
      t.equal(encode(u), text)
      t.equal(encode(nljson.new(u)), text)
      t.equal(encode { u }, "[" .. text .. "]")
      t.equal(nljson.totable(u), select(2, pcall(loadstring("return " .. text:gsub("null", "nil")))))
    end
    t.equal(#decode "null", 0)
    t.raises("a number has no members", function() return #decode "5" end)
    t.raises("a number has no members", function() return decode "5".x end)
    t.raises("a string has no members", function() decode '"5"'.x = 1 end)
    t.raises("a boolean has no members", function() decode "true"[1] = 1 end)
  end,

  ["typename and empty"] = function(t)
    local kinds = { '{"a":1}', "[1]", '"x"', "0", "false", "null" }
    local names = { "object", "array", "string", "number", "boolean", "null" }
    for i, text in ipairs(kinds) do
      t.equal(nljson.typename(decode(text)), names[i])
      t.equal(nljson.typename(decode("[" .. text .. "]")[1]), names[i])
      t.equal(nljson.empty(decode(text)), i == 6)
      t.equal(nljson.empty(decode("[" .. text .. "]")[1]), i == 6)
    end
    t.ok(nljson.empty(decode "[]") and nljson.empty(decode "{}") and nljson.empty {} and nljson.empty(nil))
    t.ok(not nljson.empty "" and not nljson.empty { 1 } and not nljson.empty(decode '""'))
    t.raises("nljson.typename: argument 1 (value) must be a value, got function", nljson.typename, print)
    t.raises("nljson.typename: argument 1 (value) must be a value, got no value", nljson.typename)
    t.raises("nljson.empty: argument 1 (value) must be a value, got userdata", nljson.empty, io.stdout)
  end,

  ["find asks for what may not be there"] = function(t)
    local u = decode '{"a":1,"b":[7,8],"c":null}'
    t.equal(nljson.find(u, "a"), 1)
    t.equal(nljson.find(u, "x"), nil)
    t.equal(nljson.find(u, "c"), nil)
    t.equal(nljson.find(u, 1), nil)
    t.equal(nljson.find(u.b, 2), 8)
    t.equal(nljson.find(u.b, 3), nil)
    t.equal(nljson.find(u.b, "x"), nil)
    t.equal(nljson.find(decode "5", "x"), nil)
    nljson.find(u, "b")[1] = 9
    t.equal(u.b[1], 9)
    t.equal(select("#", nljson.find(u, "x")), 1)
    t.raises("nljson.find: argument 1 (value) must be an nljson value, got nil", nljson.find, nil, "x")
    t.raises("nljson.find: argument 1 (value) must be an nljson value, got table", nljson.find, {}, "x")
    t.raises("nljson.find: argument 2 (key) must be a string or a number, got no value", nljson.find, u)
  end,

  ["erase takes keys, and indices from 0"] = function(t)
    local u = decode '{"a":1,"b":[1,2,3],"c":{"d":[]}}'
    t.equal(nljson.erase(u, "a"), true)
    t.equal(nljson.erase(u, "a"), false)
    t.equal(nljson.erase(u.b, 0), true)
    t.equal(nljson.erase(u.b, 1), true)
    t.equal(nljson.erase(u.b, 1), false)
    t.equal(nljson.erase(u.b, -1), false)
    t.equal(nljson.erase(u.b, 0.5), false)
    t.equal(nljson.erase(u.b, 0 / 0), false)
    t.equal(encode(u), '{"b":[2],"c":{"d":[]}}')
    t.raises("nljson.erase: the index of an array must be a number, got a string", nljson.erase, u.b, "0")
    t.raises("nljson.erase: the key of an object must be a string, got a number", nljson.erase, u, 0)
    t.raises("nljson.erase: a null has no members", nljson.erase, decode "null", 0)
    t.raises("nljson.erase: argument 2 (key) must be a string or a number, got boolean", nljson.erase, u, true)
    t.raises("nljson.erase: argument 1 (value) must be an nljson value, got string", nljson.erase, "x", "y")
  end,

  ["equal is what holds the same"] = function(t)
    local a, b = decode '{"a":[1,2.0,"x"],"b":null}', decode ' {"b":null, "a":[1.0,2,"x"]} '
    t.ok(a == b and a.a == b.a and a ~= a.a)
    b.a[3] = "y"
    t.ok(a ~= b)
    b.a[3] = nil
    t.ok(a ~= b)
    t.ok(decode "9007199254740993" ~= decode "9007199254740992.0")
    t.ok(decode "{}" ~= decode "[]" and decode "null" ~= decode "false")
    t.ok(decode "5" ~= 5)
  end,

  ["totable copies to plain tables"] = function(t)
    local plain = nljson.totable(decode '{"a":[1,null,{"b":"x"}],"c":null,"d":true}')
    t.equal(type(plain), "table")
    t.equal(plain.a[1], 1)
    t.equal(plain.a[2], nil)
    t.equal(plain.a[3].b, "x")
    t.equal(plain.c, nil)
    t.equal(plain.d, true)
    t.equal(getmetatable(plain), nil)
    local long = ("long "):rep(1000)
    t.equal(nljson.totable(nljson.new { long, x = long }).x, long)
    t.raises("nljson.totable: argument 1 (value) must be an nljson value, got table", nljson.totable, {})
  end,

  ["big documents"] = function(t)
    local list = {}
    for i = 1, 20000 do list[i] = { id = i, name = "name " .. i } end
    local u = decode(encode(list))
    t.equal(#u, 20000)
    t.equal(u[20000].name, "name 20000")
    local object = {}
    for i = 1, 20000 do object["key" .. i] = i end
    local o = nljson.new(object)
    t.equal(#o, 20000)
    t.equal(o.key12345, 12345)
    t.equal(#nljson.from_cbor(nljson.to_cbor(o)), 20000)
    local text = ("x"):rep(1e6)
    t.equal(decode(encode { text })[1], text)
  end,

  ["texts of all lengths"] = function(t)
    for _, len in ipairs { 0, 1, 23, 24, 255, 256, 257, 65535, 65536 } do
      local text = ("y"):rep(len)
      local u = nljson.from_cbor(nljson.to_cbor { text = text })
      t.equal(u.text, text)
      u[text] = text
      t.equal(u[text], text)
      nljson.foreach(u, function(_, v) t.equal(v, text) end)
    end
  end,
}
