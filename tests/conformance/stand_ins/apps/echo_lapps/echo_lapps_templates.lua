-- Responses to be filled.
local templates = {}
templates.__index = templates

templates["ok"] = [[{
    "cid": 0,
    "status": 1,
    "result": []
}]]

templates["err"] = [[{
    "cid": 0,
    "status": 0,
    "error": { "code": 0, "message": "" }
}]]

return templates
