-- A standalone service that loads the echo service of its own server, and prints the messages per second each second.
local benchmark = {}

local TARGET = os.getenv("BENCHMARK_TARGET") or "ws://127.0.0.1:5083/echo"
local CONNECTIONS = 100
local MESSAGE = string.rep("x", 128)

local received, open = 0, 0

local handlers = {
    onopen = function(handler)
        open = open + 1
        cws:send(handler, MESSAGE, 2)
    end,
    onmessage = function(handler, message, opcode)
        received = received + 1
        cws:send(handler, message, opcode)
    end,
    onerror = function(handler, text)
        print("benchmark: " .. (text or "a connection failed"))
    end,
    onclose = function(handler)
        open = open - 1
    end,
}

function benchmark.init() end

function benchmark.run()
    -- The server listens when all services have started.
    nap:new():sleep(0.5)
    local clients = {}
    for n = 1, CONNECTIONS do
        local client, message = cws:new(TARGET, handlers)
        if not client then
            print("benchmark: " .. message)
            return
        end
        clients[n] = client
    end
    local since = time.now()
    while not must_stop() do
        cws:eventLoop()
        local now = time.now()
        if now - since >= 1000 then
            print(string.format("benchmark: %d connections, %.0f messages/s", open, received * 1000 / (now - since)))
            received, since = 0, now
        end
    end
    for _, client in ipairs(clients) do client:close() end
end

return benchmark
