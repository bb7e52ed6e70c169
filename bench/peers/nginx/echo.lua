-- A WebSocket echo for nginx's Lua module: whole binary frames, no fragments, no extensions.
local bit, ffi = require "bit", require "ffi"
local band, bor, bxor, char = bit.band, bit.bor, bit.bxor, string.char
local copy, text = ffi.copy, ffi.string

local echo = {}

-- One process serves all connections on one thread, and nothing waits between filling this and reading it.
local words = ffi.new("uint32_t[?]", 2 ^ 22)
local bytes = ffi.cast("uint8_t *", words)
local key = ffi.new("uint32_t[1]")

-- The payload behind the four bytes of its key, unmasked.
local function unmask(masked, length)
    copy(key, masked, 4)
    copy(words, ffi.cast("const char *", masked) + 4, length)
    local k = key[0]
    for n = 0, math.ceil(length / 4) - 1 do words[n] = bxor(words[n], k) end
    return text(bytes, length)
end

local function header(opcode, length)
    if length < 126 then return char(bor(0x80, opcode), length) end
    if length < 65536 then return char(bor(0x80, opcode), 126, bit.rshift(length, 8), band(length, 255)) end
    return char(bor(0x80, opcode), 127, 0, 0, 0, 0, bit.rshift(length, 24), band(bit.rshift(length, 16), 255),
        band(bit.rshift(length, 8), 255), band(length, 255))
end

local function number(digits)
    local sum = 0
    for n = 1, #digits do sum = sum * 256 + digits:byte(n) end
    return sum
end

-- Opcode and payload of the next frame; nil at the end.
local function receive(socket)
    local head = socket:receive(2)
    if not head then return nil end
    local first, second = head:byte(1, 2)
    local length = band(second, 127)
    if length > 125 then
        local more = socket:receive(length == 126 and 2 or 8)
        if not more then return nil end
        length = number(more)
    end
    local masked = socket:receive(4 + length)
    if not masked then return nil end
    return band(first, 15), unmask(masked, length)
end

function echo.serve()
    local asked = ngx.var.http_sec_websocket_key
    if not asked then return ngx.exit(400) end
    ngx.header["Upgrade"] = "websocket"
    ngx.header["Content-Type"] = nil
    ngx.header["Sec-WebSocket-Accept"] =
        ngx.encode_base64(ngx.sha1_bin(asked .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
    ngx.status = 101
    ngx.send_headers()
    ngx.flush(true)
    local socket = ngx.req.socket(true)
    if not socket then return end
    socket:settimeouts(600000, 600000, 600000)
    while true do
        local opcode, payload = receive(socket)
        if not opcode then return end
        local sent = socket:send({ header(opcode, #payload), payload })
        if opcode == 8 or not sent then return end
    end
end

return echo
