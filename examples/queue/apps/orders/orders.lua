-- Takes orders of clients and hands them to the clerk, who answers through a queue of its own.
local orders = {}

local todo, done

function orders.onStart()
    todo = mqr.create("orders")
    -- Each instance has its own way back.
    done = mqr.create("done " .. instance_id)
    spawn(function()
        while true do
            local result = done:recv()
            -- The client may have gone meanwhile: then this answers false, and nothing happens.
            ws:send(result.client, 1, nljson.encode(result.receipt))
        end
    end):detach()
end

function orders.onMessage(handler, opcode, message)
    local ok, order = pcall(nljson.decode, message)
    if not ok or nljson.typename(order) ~= "object" then
        return ws:send(handler, 1, '{"error": "an order is a JSON object"}')
    end
    local task = nljson.decode("{}")
    task.client = handler
    task.back = "done " .. instance_id
    task.order = order
    if not todo:post(task) then
        return ws:send(handler, 1, '{"error": "too much to do, try again later"}')
    end
    return true
end

function orders.onDisconnect(handler) end

function orders.onShutdown() end

return orders
