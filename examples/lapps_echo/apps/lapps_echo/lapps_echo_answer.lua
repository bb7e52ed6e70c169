-- The shapes of responses.
local answer = {}

-- A response whose result is empty, to be filled.
function answer.result()
    return nljson.decode('{"cid": 0, "status": 1, "result": []}')
end

function answer.error(code, message)
    local response = nljson.decode('{"cid": 0, "status": 0, "error": {}}')
    response.error.code = code
    response.error.message = message
    return response
end

return answer
