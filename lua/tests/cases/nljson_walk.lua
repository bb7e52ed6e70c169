-- nljson.foreach and nljson.traverse.
local time = require "time"
local decode, encode = nljson.decode, nljson.encode

local function show(value)
  if type(value) == "userdata" then return encode(value) end
  return tostring(value)
end

local function walked(walk, value)
  local seen = {}
  walk(value, function(k, v) seen[#seen + 1] = k .. "=" .. show(v) end)
  return table.concat(seen, " ")
end

return {
  ["foreach gives the members"] = function(t)
    t.equal(walked(nljson.foreach, decode '{"b":[1],"a":null,"c":"x"}'), "a=nil b=[1] c=x")
    t.equal(walked(nljson.foreach, decode '[true,null,{"x":1}]'), '1=true 2=nil 3={"x":1}')
    t.equal(walked(nljson.foreach, decode "[]"), "")
    t.equal(walked(nljson.foreach, decode "5"), "")
    t.equal(walked(nljson.foreach, decode "null"), "")
    t.equal(walked(nljson.foreach, decode '{"":0}'), "=0")
  end,

  ["traverse gives the members of members, each after what it is in"] = function(t)
    t.equal(walked(nljson.traverse, decode '{"b":[1,{"c":2}],"a":null}'), 'a=nil b=[1,{"c":2}] 1=1 2={"c":2} c=2')
    t.equal(walked(nljson.traverse, decode "[[],[[7]]]"), "1=[] 2=[[7]] 1=[7] 1=7")
  end,

  ["the third argument is what the member is in"] = function(t)
    local u = decode '{"a":[1,2,[3]],"b":4}'
    nljson.traverse(u, function(k, v, container)
      if type(v) == "number" then container[k] = v * 10 end
    end)
    t.equal(encode(u), '{"a":[10,20,[30]],"b":40}')
    nljson.foreach(u, function(_, _, container) t.ok(rawequal(container, u)) end)
  end,

  ["members may be changed, added and erased meanwhile"] = function(t)
    local u = decode '{"a":1,"b":2,"c":3}'
    local seen = {}
    nljson.foreach(u, function(k)
      seen[#seen + 1] = k
      nljson.erase(u, k)
      if k == "a" then u.aa = 1; u.A = 1 end
      if k == "b" then nljson.erase(u, "c"); u.d = {} end
    end)
    t.equal(table.concat(seen, " "), "a aa b d")
    t.equal(encode(u), '{"A":1}')
    local list = decode "[1,2,3,4]"
    seen = {}
    nljson.foreach(list, function(i, v)
      seen[#seen + 1] = v
      if i == 1 then nljson.erase(list, 3); list[4] = "new" end
    end)
    t.equal(table.concat(seen, " "), "1 2 3 new")
  end,

  ["what is walked through may be replaced as a whole"] = function(t)
    local u = decode '{"a":{"x":1,"y":2},"b":3}'
    local seen = {}
    nljson.traverse(u, function(k)
      seen[#seen + 1] = k
      if k == "x" then u.a = 0; collectgarbage() end
    end)
    t.equal(table.concat(seen, " "), "a x y b")
    local empty = nljson.new {}
    empty[1] = 1
    nljson.foreach(empty, function()
      nljson.erase(empty, 0)
      empty.key = 1
    end)
    t.equal(encode(empty), '{"key":1}')
  end,

  ["the function may wait"] = function(t)
    local u = decode '{"a":[1,2],"b":3}'
    local log = t.order()
    local watch = t.stopwatch()
    nljson.traverse(u, function(k)
      log(k)
      time.sleep(0.01)
    end)
    watch.took(0.04)
    log:is "a 1 2 b"
    nljson.foreach(u, function() this_fiber.yield() end)
  end,

  ["errors go through"] = function(t)
    t.raises("mine", nljson.foreach, decode "[1]", function() error "mine" end)
    t.raises("mine", nljson.traverse, decode "[[1]]", function() error "mine" end)
  end,

  ["arguments are checked"] = function(t)
    for _, name in ipairs { "foreach", "traverse" } do
      local walk = nljson[name]
      t.raises("nljson." .. name .. ": argument 1 (value) must be an nljson value, got nil", walk)
      t.raises("nljson." .. name .. ": argument 1 (value) must be an nljson value, got table", walk, {}, print)
      t.raises("nljson." .. name .. ": argument 2 (f) must be a function, got nil", walk, decode "[]")
    end
  end,
}
