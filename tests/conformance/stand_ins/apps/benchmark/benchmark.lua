-- Keeps an echo server busy by outgoing connections, and prints how busy.
benchmark = {}
benchmark.__index = benchmark

benchmark["init"] = function()
    benchmark.uri = os.getenv("BENCHMARK_URI")
    benchmark.messages = 0
end

benchmark["run"] = function()
    if benchmark.uri == nil then
        return
    end
    local payload = string.rep("b", 64)
    local counter = 0
    local clients = {}
    local callbacks = {
        onopen = function(handler)
            local result, errmsg = cws:send(handler, payload, 2)
            if not result then
                print("benchmark: " .. errmsg)
            end
        end,
        onmessage = function(handler, message, opcode)
            counter = counter + 1
            cws:send(handler, message, opcode)
        end,
        onerror = function(handler, message)
            print("benchmark::onerror " .. handler .. " " .. tostring(message))
        end,
        onclose = function(handler)
            print("benchmark::onclose " .. handler)
        end,
    }
    for i = 1, 10 do
        local client, errmsg = cws:new(benchmark.uri, callbacks)
        if client == nil then
            print("benchmark: " .. errmsg)
        else
            clients[i] = client
        end
    end
    local start = time.now()
    while not must_stop() do
        cws:eventLoop()
        if time.now() - start >= 250 then
            print("benchmark " .. #clients .. " " .. counter)
            counter, start = 0, time.now()
        end
    end
    for i = 1, #clients do
        clients[i]:close()
    end
end

return benchmark
