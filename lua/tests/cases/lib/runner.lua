-- Runs one named case. `runner.run(cases, name, virtual)` -> "pass" or "fail", text: what has to be in the log (one line
-- each), or what failed and where.
local check = require "lib.check"
local runner = {}

local function failure(err)
  local text = type(err) == "string" and err or type(err) .. " " .. tostring(err)
  return debug.traceback(text, 2)
end

function runner.names(cases)
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  return names
end

function runner.run(cases, name, virtual)
  local case = cases[name]
  if not case then return "fail", "there is no such case" end
  local t = check.new(virtual)
  local ok, text = xpcall(case, failure, t)
  if not ok then return "fail", text end
  return "pass", table.concat(t.reported, "\n")
end

return runner
