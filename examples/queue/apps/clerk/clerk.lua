-- A standalone service: works off the orders, one after the other, away from the threads that serve clients.
local clerk = {}

local todo

function clerk.init()
    todo = mqr.create("orders")
end

function clerk.run()
    local number = 0
    while not must_stop() do
        -- Waits for work, and looks from time to time whether the server stops.
        local task = todo:recv(0.5)
        if task then
            number = number + 1
            local answer = nljson.decode('{"receipt": {}}')
            answer.client = task.client
            answer.receipt.number = number
            answer.receipt.order = task.order
            mqr.create(task.back):post(answer)
        end
    end
end

return clerk
