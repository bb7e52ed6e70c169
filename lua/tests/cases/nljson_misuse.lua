-- nljson: what is refused, and in which words.
local decode, encode = nljson.decode, nljson.encode

local function nested(levels, inner)
  local value = inner
  for _ = 1, levels do value = { value } end
  return value
end

return {
  ["arguments of decoders are strings"] = function(t)
    for name, what in pairs { decode = "text", from_cbor = "bytes", decode_file = "path" } do
      for _, wrong in ipairs { "nil", "number", "table", "boolean", "userdata" } do
        local values = { number = 5, table = {}, boolean = true, userdata = decode "1" }
        t.raises(("nljson.%s: argument 1 (%s) must be a string, got %s"):format(name, what, wrong),
          nljson[name], values[wrong])
      end
    end
  end,

  ["encoders want an argument"] = function(t)
    for _, name in ipairs { "encode", "encode_pretty", "to_cbor" } do
      t.raises(("nljson.%s: argument 1 (value) must be a value, got no value"):format(name), nljson[name])
      t.raises(("nljson.%s: a function cannot be part of a value"):format(name), nljson[name], print)
      t.raises(("nljson.%s: a thread cannot be part of a value"):format(name), nljson[name], { { coroutine.create(print) } })
      t.raises(("nljson.%s: a userdata cannot be part of a value"):format(name), nljson[name], { x = io.stdout })
      t.raises(("nljson.%s: a cdata cannot be part of a value"):format(name), nljson[name], { x = 1LL })
    end
  end,

  ["mistakes in JSON have a place"] = function(t)
    t.raises("nljson.decode: EOF while parsing a value at line 1 column 0", decode, "")
    t.raises("nljson.decode: expected value at line 3 column 6", decode, '{\n"a": 1,\n"b": x}')
    t.raises("nljson.decode: trailing characters at line 1 column 4", decode, "{} {}")
    t.raises("nljson.decode: a byte that is not UTF-8 at line 2 column 2", decode, '["x",\n"\255"]')
    t.raises("nljson.decode: number out of range at line 1 column 5", decode, "1e400")
  end,

  ["mistakes in CBOR have a place"] = function(t)
    t.raises("nljson.from_cbor: the input ends in the middle of an item at byte 0", nljson.from_cbor, "")
    t.raises("nljson.from_cbor: something follows the item at byte 1", nljson.from_cbor, "\1\1")
    t.raises("nljson.from_cbor: tag 1 is not supported at byte 1", nljson.from_cbor, "\129\193\0")
    t.raises("nljson.from_cbor: a key is not a string at byte 1", nljson.from_cbor, "\161\1\1")
    t.raises("nljson.from_cbor: the input ends in the middle of an item at byte 0", nljson.from_cbor,
      "\155\127\255\255\255\255\255\255\255")
  end,

  ["the error is the caller's"] = function(t)
    local ok, message = pcall(function() local _ = decode "x" end)
    t.ok(not ok and message:find "nljson_misuse%.lua:%d+: nljson.decode: ", message)
    ok, message = pcall(function() local _ = decode "[]".x end)
    t.ok(not ok and message:find "nljson_misuse%.lua:%d+: nljson: the index", message)
  end,

  ["keys are of the container's kind"] = function(t)
    local u = decode '{"list":[1],"object":{"a":1}}'
    t.raises("nljson: the index of an array must be a number, got a string", function() return u.list.x end)
    t.raises("nljson: the index of an array must be a number, got a string", function() u.list.x = 1 end)
    t.raises("nljson: the key of an object must be a string, got a number", function() return u[1] end)
    t.raises("nljson: the key of an object must be a string, got a number", function() u.object[1] = 1 end)
    for _, key in ipairs { true, {}, print, u } do
      local kind = type(key)
      t.raises("must be a string, got a " .. kind, function() return u[key] end)
      t.raises("must be a string, got a " .. kind, function() u[key] = 1 end)
      t.raises("must be a number, got a " .. kind, function() u.list[key] = 1 end)
    end
    t.raises("must be a string, got a nil", function() return u[nil] end)
    t.raises("must be a string, got a nil", function() u[nil] = 1 end)
    for _, index in ipairs { 0, -1, 1.5, 0 / 0, 1 / 0, 2 ^ 33 } do
      t.raises("nljson: the index of an array must be a whole number from 1 to 2^32", function() u.list[index] = 1 end)
    end
    t.equal(encode(u), '{"list":[1],"object":{"a":1}}')
  end,

  ["what cannot be set changes nothing"] = function(t)
    local u = decode '{"a":[1,2],"b":"x"}'
    for _, wrong in ipairs { print, coroutine.create(print), { { print } }, { a = { 1, print } }, { [true] = 1 }, { [print] = {} } } do
      t.raises("nljson: a ", function() u.a = wrong end)
      t.raises("nljson: a ", function() u.a[1] = wrong end)
      t.raises("nljson: a ", function() u.new = wrong end)
      t.raises("nljson.new: a ", nljson.new, wrong)
    end
    t.raises("a table with a boolean as key cannot be an object", function() u.a = { [true] = {}, x = {} } end)
    t.equal(encode(u), '{"a":[1,2],"b":"x"}')
  end,

  ["128 levels are fine, 129 are not"] = function(t)
    local fine, deep = ("["):rep(128) .. ("]"):rep(128), ("["):rep(129) .. ("]"):rep(129)
    t.equal(encode(decode(fine)), fine)
    t.raises("nljson.decode: nested deeper than 128 levels at line 1 column 130", decode, deep)
    t.raises("nljson.decode: nested deeper than 128 levels", decode, ("["):rep(1e6))
    t.equal(nljson.to_cbor(nljson.from_cbor(("\129"):rep(127) .. "\128")), ("\129"):rep(127) .. "\128")
    t.raises("nljson.from_cbor: nested deeper than 128 levels at byte 128", nljson.from_cbor, ("\129"):rep(128) .. "\128")
    t.equal(encode(nested(127, {})), fine)
    t.raises("nljson.encode: nested deeper than 128 levels, or it contains itself", encode, nested(128, {}))
    local u = nljson.new {}
    u.x = nested(127, {})
    t.raises("nljson.encode: nested deeper than 128 levels", encode, u)
    t.raises("nljson.to_cbor: nested deeper than 128 levels", nljson.to_cbor, u)
    t.raises("nljson.totable: nested deeper than 128 levels", nljson.totable, u)
    t.raises("nested deeper than 128 levels", function() u.y = nested(128, {}) end)
    t.raises("nested deeper than 128 levels", function() u.y = u end)
    t.raises("nested deeper than 128 levels", function() u.y = { decode(fine) } end)
    t.equal(encode(u.x), fine)
  end,

  ["step by step it can be deeper, and nothing breaks"] = function(t)
    local u = nljson.new {}
    local p = u
    for i = 1, 100000 do
      p[1] = {}
      p = p[1]
    end
    local v = nljson.new { 1 }
    t.ok(u ~= v)
    t.raises("nested deeper than 128 levels", encode, u)
    u[1] = 1
    t.equal(encode(u), "[1]")
    p, u = nil, nil
    collectgarbage()
  end,

  ["cycles are errors"] = function(t)
    local list = {}
    list[1] = list
    t.raises("contains itself", encode, list)
    local a, b = { x = {} }, {}
    a.x.b, b.a = b, a
    t.raises("contains itself", nljson.new, a)
    local u = nljson.new {}
    t.raises("contains itself", function() u.a = b end)
    t.equal(encode(u), "[]")
  end,

  ["methods are not there for the taking"] = function(t)
    local u = decode '{"a":1}'
    t.equal(getmetatable(u), "nljson")
    t.equal(pcall(setmetatable, u, {}), false)
    t.equal(u.encode, nil)
  end,

  ["metamethods called by hand are careful"] = function(t)
    local meta = debug.getmetatable(decode "1")
    for _, name in ipairs { "__index", "__newindex", "__len", "__tostring", "__eq", "__gc" } do
      for _, wrong in ipairs { 1, "x", {}, io.stdout, newproxy() } do
        pcall(meta[name], wrong, wrong, wrong)
      end
      pcall(meta[name])
    end
    local u = decode '{"a":[1,2]}'
    local a = u.a
    meta.__gc(a)
    meta.__gc(a)
    t.raises("argument 1 (value) must be an nljson value", function() return a[1] end)
    t.raises("cannot be part of a value", encode, a)
    t.equal(a == u, false)
    t.equal(encode(u), '{"a":[1,2]}')
  end,

  ["files"] = function(t)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write '{"from":"a file"}'
    file:close()
    t.equal(nljson.decode_file(path).from, "a file")
    file = assert(io.open(path, "w"))
    file:write '{"from":\n'
    file:close()
    t.raises("nljson.decode_file: " .. path .. ": EOF while parsing a value at line 2 column 0", nljson.decode_file, path)
    os.remove(path)
    t.raises("nljson.decode_file: " .. path .. ": No such file or directory (os error 2)", nljson.decode_file, path)
    t.raises("nljson.decode_file: /dev/zero: it is not a file", nljson.decode_file, "/dev/zero")
    t.raises("nljson.decode_file: /: it is not a file", nljson.decode_file, "/")
    t.raises("nljson.decode_file", nljson.decode_file, "a\0b")
  end,

  ["finalizers of the service may do anything meanwhile"] = function(t)
    local u = decode '{"a":{"b":[1,2,3]},"long":"x"}'
    u.long = ("z"):rep(10000)
    local function trap()
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = function()
        u.a = { b = { 1, 2, 3 } }
        u.long = ("z"):rep(10000)
        encode { ("encoded"):rep(100) }
        nljson.totable(u)
        for i = 1, 10 do u["k" .. i] = { i } end
        for i = 1, 10 do nljson.erase(u, "k" .. i) end
      end
    end
    local text = '{"a":{"b":[1,2,3]},"long":"' .. u.long .. '"}'
    for i = 1, 2000 do
      trap()
      t.equal(u.a.b[3], 3)
      t.equal(#u.long, 10000)
      t.equal(#encode(u), #text)
      local plain = nljson.totable(u)
      t.ok(plain.a == nil or plain.a.b == nil or plain.a.b[3] == nil or plain.a.b[3] == 3)
      local seen = 0
      nljson.foreach(u, function() seen = seen + 1 end)
      t.ok(seen >= 2)
      if i % 100 == 0 then collectgarbage() end
    end
  end,
}
