-- A standalone service: tells the time to whoever listens, once a second.
local server_time = {}

local CHANNEL = 200

function server_time.init()
    assert(bcast:create(CHANNEL))
end

function server_time.run()
    local timer = nap:new()
    local note = nljson.decode('{"cid": 200, "message": [0]}')
    while not must_stop() do
        note.message[1] = time.now()
        bcast:send(CHANNEL, note)
        timer:sleep(1)
    end
end

return server_time
