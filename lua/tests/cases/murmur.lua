-- require "murmur": hashes.
local murmur = require "murmur"

return {
  ["hashes of strings are those of the GNU C++ library"] = function(t)
    t.equal(murmur.hashstr "", "553e93901e462a6e")
    t.equal(murmur.hashstr "abc", "32d82bf8ed3dba39")
    t.ok(murmur.hashstr "abc\0" ~= murmur.hashstr "abc", "a zero byte counts")
    t.equal(#murmur.hashstr(("x"):rep(100000)), 16)
  end,

  ["hashes of numbers are the numbers"] = function(t)
    t.equal(murmur.hashstr(5), "0000000000000005")
    t.equal(murmur.hashstr(5.99), "0000000000000005")
    t.equal(murmur.hashstr(255), "00000000000000ff")
    t.equal(murmur.hashstr(-1), "ffffffffffffffff")
    t.equal(murmur.hashstr(-0.5), "0000000000000000")
    t.equal(murmur.hashstr(2 ^ 53), "0020000000000000")
    t.equal(murmur.hashstr(2 ^ 63), "8000000000000000")
    t.ok(murmur.hashstr "5" ~= murmur.hashstr(5), "a string of digits is a string")
  end,

  ["hashnum is the nearest number"] = function(t)
    t.equal(murmur.hashnum(5), 5)
    t.equal(murmur.hashnum(-1), 2 ^ 64)
    t.equal(murmur.hashnum "abc", 0x32d82bf8 * 2 ^ 32 + 0xed3dba39)
    t.equal(murmur.hashnum "", 0x553e9390 * 2 ^ 32 + 0x1e462a6e)
  end,

  ["one result each"] = function(t)
    t.equal(select("#", murmur.hashstr "a"), 1)
    t.equal(select("#", murmur.hashnum("a", "b")), 1)
  end,

  ["other values are refused"] = function(t)
    for _, name in ipairs { "hashstr", "hashnum" } do
      local message = "murmur." .. name .. ": argument 1 (value) must be "
      local f = murmur[name]
      t.raises(message .. "a string or a number, got nil", function() f() end)
      t.raises(message .. "a string or a number, got table", function() f {} end)
      t.raises(message .. "a string or a number, got boolean", function() f(true) end)
      for _, wrong in ipairs { 2 ^ 64, -2 ^ 63 - 2048, 0 / 0, 1 / 0, -1 / 0 } do
        t.raises(message .. "from -2^63 to below 2^64, got ", function() f(wrong) end)
      end
    end
    local err = t.raises("murmur.hashstr: ", function()
      murmur.hashstr()
      return 1
    end)
    t.ok(err:match "murmur%.lua:%d+: murmur%.hashstr: ", err)
  end,
}
