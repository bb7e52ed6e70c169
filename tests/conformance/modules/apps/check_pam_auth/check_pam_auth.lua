-- `pam_auth`: what is refused without a PAM service of our own; who is let in is tested where there is one.
check_pam_auth = {}
check_pam_auth.__index = check_pam_auth

local checks = require("checks")
local all = checks.new()

all:add("names that cannot be", function()
    local service = "the name of the service must have 1 to 64 bytes, and no slash"
    local user = "the name of the user must have 1 to 511 bytes"
    local zero = "a zero byte cannot be part of a name or password"
    checks.refused(service, pam_auth:login("", "u", "p"))
    checks.refused(service, pam_auth:login("../login", "u", "p"))
    checks.refused(service, pam_auth:login(("s"):rep(65), "u", "p"))
    checks.refused(user, pam_auth:login("login", "", "p"))
    checks.refused(user, pam_auth:login("login", ("u"):rep(512), "p"))
    checks.refused("the password must have at most 511 bytes", pam_auth:login("login", "u", ("p"):rep(512)))
    checks.refused(zero, pam_auth:login("lo\0gin", "u", "p"))
    checks.refused(zero, pam_auth:login("login", "u\0", "p"))
    checks.refused(zero, pam_auth:login("login", "u", "\0"))
end)

all:add("who is nobody is not let in", function()
    local ok, message = pam_auth:login("no service of that name", "no such user here", "no password")
    checks.equal(ok, false)
    checks.equal(type(message), "string")
end)

all:add("wrong arguments raise", function()
    checks.raises("pam_auth:login: must be called with a colon", pam_auth.login, "login", "u", "p")
    checks.raises("pam_auth:login: argument 1 (service) must be a string, got nil", pam_auth.login, pam_auth)
    checks.raises("pam_auth:login: argument 2 (user) must be a string, got number", pam_auth.login, pam_auth, "s", 5, "p")
    checks.raises("pam_auth:login: argument 3 (password) must be a string, got nil", pam_auth.login, pam_auth, "s", "u")
    checks.raises("pam_auth:login: argument 3 (password) must be a string, got table", pam_auth.login, pam_auth, "s", "u", {})
end)

all:serve(check_pam_auth)

return check_pam_auth
