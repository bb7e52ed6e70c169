-- `pam_auth`: asks the system whether a user's password is right.
local core, raw = ...

local rawequal, type = rawequal, type
local yield, ask, answer = core.raw.yield, raw.ask, raw.answer
local WAIT, TOKEN, STRUCK = core.host.wait, core.TOKEN, core.STRUCK

local pam_auth = {}

local function check(value, index, what)
    if type(value) ~= "string" then
        core.mistake("pam_auth:login", "argument " .. index .. " (" .. what .. ") must be a string, got " .. type(value), 2)
    end
end

function pam_auth.login(self, service, user, password)
    if not rawequal(self, pam_auth) then
        core.mistake("pam_auth:login", "must be called with a colon: pam_auth:login(service, user, password)")
    end
    check(service, 1, "service")
    check(user, 2, "user")
    check(password, 3, "password")
    local fiber = core.enter("pam_auth:login")
    local ticket = core.expect(fiber, true)
    if not ask(ticket, service, user, password) then
        core.unexpect(ticket, true)
        local _, message = answer()
        return false, message
    end
    fiber.why = false
    local fine = rawequal(yield(WAIT), TOKEN)
    core.unexpect(ticket, true)
    local ok, message, delay = answer(ticket)
    if not fine then core.intruded(fiber) end
    if ok == nil then
        if fiber.why == STRUCK then core.raise(fiber) end
        return false, "nobody has answered"
    end
    -- Who guesses waits, as the system has it; the others do not wait with him.
    if delay > 0 then core.modules.time.sleep(delay) end
    if ok then return true end
    return false, message
end

core.modules.pam_auth = pam_auth
