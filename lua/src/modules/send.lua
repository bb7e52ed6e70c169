-- `ws:send` in the form that LuaJIT compiles into the service's own traces. What is unusual is left to the C function.
local compiled, send = ...

local ffi = require("ffi")
local type = type
local door, native = ffi.cast("void *", compiled.door), ffi.cast(compiled.send_type, compiled.send)
local refusals = compiled.refusals

return function(ws, handler, opcode, message)
    if type(message) == "string" and type(handler) == "number" and type(opcode) == "number" and type(ws) == "table" then
        local answer = native(door, handler, opcode, message, #message)
        if answer == 0 then return true end
        if answer > 0 then return false, refusals[answer] end
    end
    return send(ws, handler, opcode, message)
end
