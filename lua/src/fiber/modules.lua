-- Lets `require` find the modules of this library, after all files: a service's own module of the same name wins.
local core = ...

local modules = core.modules
local loaders = package.loaders
loaders[#loaders + 1] = function(name)
    local module = modules[name]
    if module then return function() return module end end
    return "\n\tno module '" .. name .. "' of the server"
end
