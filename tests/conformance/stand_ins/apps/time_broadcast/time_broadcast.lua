-- Tells the time once a second to who listens to channel 1000.
time_broadcast = {}
time_broadcast.__index = time_broadcast

time_broadcast["init"] = function()
    bcast:create(1000)
end

time_broadcast["run"] = function()
    local n = nap:new()
    local count = 0
    while not must_stop() do
        local message = nljson.decode([[{ "cid": 3, "message": [] }]])
        message.message[1] = time.now()
        message.message[2] = instance_id
        message.message[3] = count
        bcast:send(1000, message)
        count = count + 1
        -- One second, in two ways.
        n:usleep(500000)
        nap:nsleep(250000000)
        nap:sleep(0.25)
    end
    print("time_broadcast::run has ended")
end

return time_broadcast
