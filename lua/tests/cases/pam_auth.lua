-- require "pam_auth": its arguments, and what it says without anybody to ask or of what no system has.
local pam_auth = require "pam_auth"

-- Refused before anybody is asked, or by nobody at all: false and a text, in either world.
local function refused(t, part, ...)
  local ok, message = pam_auth:login(...)
  t.equal(ok, false)
  t.equal(type(message), "string")
  t.ok(message:find(part, 1, true) or message == "nobody can check passwords here", message)
end

return {
  ["names and passwords that cannot be are refused in words"] = function(t)
    refused(t, "the name of the service must have 1 to 64 bytes, and no slash", "", "alice", "x")
    refused(t, "the name of the service must have 1 to 64 bytes, and no slash", "../x", "alice", "x")
    refused(t, "the name of the user must have 1 to 511 bytes", "web", "", "x")
    refused(t, "the password must have at most 511 bytes", "web", "alice", ("x"):rep(512))
    refused(t, "a zero byte cannot be part of a name or password", "web", "alice", "x\0y")
  end,

  ["wrong arguments are named, at the line of the caller"] = function(t)
    t.raises("pam_auth:login: argument 1 (service) must be a string, got nil", function() pam_auth:login() end)
    t.raises("pam_auth:login: argument 2 (user) must be a string, got number",
      function() pam_auth:login("web", 5, "x") end)
    t.raises("pam_auth:login: argument 3 (password) must be a string, got nil",
      function() pam_auth:login("web", "alice") end)
    t.raises("pam_auth:login: must be called with a colon",
      function() pam_auth.login("web", "alice", "secret") end)
    local err = t.raises("pam_auth:login: ", function()
      pam_auth:login("web", "alice", nil)
      return 1
    end)
    t.ok(err:match "pam_auth%.lua:%d+: pam_auth:login: ", err)
  end,

  ["it is an interruption point"] = function(t)
    local fiber = spawn(function() pam_auth:login("", "", "") end)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
  end,
}
