-- Posts a growing document into a queue.
producer = {}
producer.__index = producer

local queue = mqr.create("work")

producer["init"] = function()
end

producer["run"] = function()
    local n = nap:new()
    local document = nljson.decode([[{ "number": 0, "list": [] }]])
    local number = 0
    while not must_stop() do
        number = number + 1
        document.number = number
        document.list[number % 10 + 1] = { number = number, text = "item " .. number }
        if not queue:post(document) then
            n:usleep(1000)
            number = number - 1
        end
    end
end

return producer
