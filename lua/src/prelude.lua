-- What is different in Lua's own functions for a service: runs in every state before the service's code.

-- Lines of `print` leave as they are written, also into a pipe, and whole: Lua's own writes a line in pieces, between which
-- those of other instances come.
io.stdout:setvbuf("line")
local stdout, concat, select = io.stdout, table.concat, select

function print(...)
    local texts, count = { ... }, select("#", ...)
    for n = 1, count do
        local text = tostring(texts[n])
        if type(text) ~= "string" then error("'tostring' must return a string to 'print'", 2) end
        texts[n] = text
    end
    stdout:write(concat(texts, "\t", 1, count) .. "\n")
end

function os.exit()
    error("os.exit: a service cannot end the server; return from the handler, or raise an error", 2)
end
