-- Answers each message with the next document of the queue.
consumer = {}
consumer.__index = consumer

consumer["onStart"] = function()
    consumer.queue = mqr.create("work")
end

consumer["onDisconnect"] = function(handler) end
consumer["onShutdown"] = function() end

consumer["onMessage"] = function(handler, opcode, message)
    local document = consumer.queue:try_recv()
    if document == nil then
        document = consumer.queue:recv()
    end
    document.answered = message
    return ws:send(handler, opcode, tostring(document))
end

return consumer
