-- A market-data gateway: keeps the order books of an exchange, passes them on to whoever subscribes, takes orders, and
-- cancels those of a client that goes away. docs/fibers.md builds it up step by step.
local channel, condition_variable, future = require "channel", require "condition_variable", require "future"
local mutex, semaphore, time = require "mutex", require "semaphore", require "time"

local books = {} -- instrument -> book

-- The exchange, as far as we need one: what happens to one instrument, numbered. Event 16, 32, 48... gets lost on the way,
-- and five later comes the whole book.
local function exchange(events)
  local levels = {} -- price -> size
  for seq = 1, math.huge do
    time.sleep(0.05)
    local price, size = 100 + seq * 7 % 10, seq % 5
    levels[price] = size > 0 and size or nil
    local event = { seq = seq, price = price, size = size }
    if seq % 16 == 5 then
      event = { seq = seq, levels = {} }
      for at, much in pairs(levels) do event.levels[at] = much end
    end
    if seq % 16 ~= 0 and not events:send(event) then return end
  end
end

local function new_book(instrument)
  local promise, ended = future.new()
  return {
    instrument = instrument,
    events = channel.new(16),
    levels = {},      -- price -> size
    seq = 0,          -- the last event that is in it
    valid = false,    -- false until the first whole book, and after a gap
    mutex = mutex.new(),
    synced = condition_variable.new(),
    subscribers = {}, -- connection -> true
    promise = promise, ended = ended, -- that the feed has ended
  }
end

local function locked(m, f, ...)
  return scope(function(...)
    m:lock()
    scope_cleanup_push(function() m:unlock() end)
    return f(...)
  end, ...)
end

local function publish(book, text)
  for conn in pairs(book.subscribers) do conn:send(text) end
end

-- A book can be long: after each level others may run. The caller holds the mutex, so that nobody changes the book.
local function send_book(conn, book)
  local prices = {}
  for price in pairs(book.levels) do prices[#prices + 1] = price end
  table.sort(prices)
  conn:send(("book %s %d %d"):format(book.instrument, book.seq, #prices))
  for _, price in ipairs(prices) do
    if not book.subscribers[conn] then return end -- it has unsubscribed meanwhile
    conn:send(("level %s %d %d"):format(book.instrument, price, book.levels[price]))
    this_fiber.yield()
  end
end

local function apply(book, event)
  if event.levels then
    book.levels, book.seq, book.valid = event.levels, event.seq, true
    for conn in pairs(book.subscribers) do send_book(conn, book) end
    book.synced:notify_all()
  elseif book.valid and event.seq == book.seq + 1 then
    book.seq = event.seq
    book.levels[event.price] = event.size > 0 and event.size or nil
    publish(book, ("update %s %d %d %d"):format(book.instrument, event.seq, event.price, event.size))
  elseif book.valid then
    book.valid = false
    publish(book, "gap " .. book.instrument)
  end
end

local function feed(book)
  scope_cleanup_push(function() book.promise:set_value() end)
  for event in book.events:iter() do
    locked(book.mutex, apply, book, event)
  end
  locked(book.mutex, publish, book, "bye " .. book.instrument)
end

-- Lasts until it is interrupted: by "unsub", or by the end of the connection.
local function subscription(conn, book)
  scope_cleanup_push(function() book.subscribers[conn] = nil end)
  locked(book.mutex, function()
    while not book.valid do book.synced:wait(book.mutex) end
    book.subscribers[conn] = true
    send_book(conn, book)
  end)
  while true do time.sleep(3600) end
end

local requests = channel.new(64)
local open = {} -- order -> true

local function cancel(order)
  if open[order] then
    open[order] = nil
    print("order " .. order.id .. " cancelled")
  end
end

-- Places and cancels orders, one after the other.
local function engine()
  scope_cleanup_push(function()
    requests:close()
    for order in pairs(open) do cancel(order) end
  end)
  for request in requests:iter() do
    if request.place then
      time.sleep(0.01) -- the exchange takes its time
      open[request.place] = true
      request.place.placed:set_value()
    else
      cancel(request.cancel)
    end
  end
end

local archive = semaphore.new(2) -- which serves two readers at a time

local function read_history(book)
  archive:acquire()
  scope_cleanup_push(function() archive:release() end)
  time.sleep(book.instrument == "ETHUSD" and 60 or 0.02) -- some of it is on a slow disk
  return ("history %s low=100 high=109"):format(book.instrument)
end

local commands = {}

function commands.sub(conn, book)
  local subscriptions = conn.data.subscriptions
  if not subscriptions[book] then
    subscriptions[book] = conn:spawn(subscription, conn, book)
  end
end

function commands.unsub(conn, book)
  local subscriptions = conn.data.subscriptions
  local fiber = subscriptions[book]
  if fiber then
    subscriptions[book] = nil
    fiber:interrupt()
    fiber:join()
  end
  conn:send("unsubscribed " .. book.instrument)
end

function commands.order(conn, book, id)
  if not id then return conn:send("error an order needs a name") end
  if conn:closed() then return end
  local promise, placed = future.new()
  local order = { id = id, instrument = book.instrument, placed = promise }
  conn.data.orders[order] = true
  if requests:send { place = order } then
    placed:get()
    conn:send("placed " .. id)
  end
end

function commands.history(conn, book)
  local text, err = with_timeout(1, read_history, book)
  conn:send(text or "error history: " .. tostring(err))
end

-- Whatever the end of the connection is, its orders go with it.
local function cancel_on_disconnect(conn)
  scope_cleanup_push(function()
    for order in pairs(conn.data.orders) do requests:send { cancel = order } end
  end)
  while true do time.sleep(3600) end
end

local gateway = {}

function gateway.onStart()
  for _, instrument in ipairs { "BTCUSD", "ETHUSD" } do
    local book = new_book(instrument)
    books[instrument] = book
    spawn(exchange, book.events):detach()
    spawn(feed, book):detach()
  end
  spawn(engine):detach()
end

function gateway.onOpen(handler)
  local conn = ws.conn(handler)
  if not conn then return end -- it has gone already
  conn.data = { subscriptions = {}, orders = {} }
  conn:spawn(cancel_on_disconnect, conn):detach()
end

function gateway.onMessage(handler, opcode, message)
  local conn = ws.conn(handler)
  if not conn then return true end
  local name, instrument, rest = message:match("^(%a+) (%u+) ?(%w*)$")
  local command, book = commands[name], books[instrument]
  if command and book then
    command(conn, book, rest ~= "" and rest or nil)
  elseif command then
    conn:send("error unknown instrument " .. instrument)
  else
    conn:send("error unknown command")
  end
  return true
end

function gateway.onDisconnect(handler) end

function gateway.onShutdown()
  for _, book in pairs(books) do book.events:close() end
  for _, book in pairs(books) do book.ended:get() end
end

return gateway
