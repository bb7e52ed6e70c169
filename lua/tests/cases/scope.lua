-- scope(), its cleanup handlers, and what else is a scope.
local channel, time = require "channel", require "time"

local function fails(value) error(value, 0) end

return {
  ["scope calls its function with the arguments and gives its results"] = function(t)
    t.list(t.pack(scope(function(...) return select("#", ...), ... end, "a", nil)), { n = 3, 2, "a", nil })
    t.equal(select("#", scope(function() end)), 0)
  end,

  ["cleanup handlers run last first, when the scope returns"] = function(t)
    local log = t.order()
    scope(function()
      scope_cleanup_push(function() log "first" end)
      scope_cleanup_push(function() log "second" end)
      scope_cleanup_push(function() log "third" end)
      log "body"
    end)
    log "after"
    log:is "body third second first after"
  end,

  ["cleanup handlers run when the scope fails, and the error passes through unchanged"] = function(t)
    local log, value = t.order(), {}
    local ok, err = pcall(function()
      scope(function()
        scope_cleanup_push(function() log "cleanup" end)
        fails(value)
      end)
    end)
    t.equal(ok, false)
    t.ok(rawequal(err, value), "the same table")
    log:is "cleanup"
  end,

  ["an error that is nil passes through a scope"] = function(t)
    local log = t.order()
    local results = t.pack(pcall(scope, function()
      scope_cleanup_push(function() log "cleanup" end)
      fails(nil)
    end))
    t.list(results, { n = 2, false, nil })
    log:is "cleanup"
  end,

  ["cleanup handlers run once each, interrupted"] = function(t)
    local log = t.order()
    local fiber = t.waiting(function()
      scope(function()
        scope_cleanup_push(function() log "outer" end)
        scope(function()
          scope_cleanup_push(function() log "inner" end)
          time.sleep(10)
        end)
      end)
    end)
    fiber:interrupt()
    fiber:join()
    this_fiber.yield()
    log:is "inner outer"
  end,

  ["a scope's handlers do not run with the next scope again"] = function(t)
    local log = t.order()
    scope(function() scope_cleanup_push(function() log "first" end) end)
    scope(function() scope_cleanup_push(function() log "second" end) end)
    log:is "first second"
  end,

  ["scopes nest: a handler belongs to the innermost"] = function(t)
    local log = t.order()
    scope(function()
      scope_cleanup_push(function() log "outer" end)
      scope(function()
        scope_cleanup_push(function() log "inner" end)
        log "body"
      end)
      log "between"
    end)
    log:is "body inner between outer"
  end,

  ["the body of a fiber is a scope"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      scope_cleanup_push(function() log "cleanup" end)
      log "body"
      return "result"
    end)
    t.equal(fiber:join(), "result")
    log:is "body cleanup"
  end,

  ["the handlers of a fiber's body run before its joiner goes on"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      scope_cleanup_push(function()
        time.sleep(0.02)
        log "cleanup"
      end)
    end)
    fiber:join()
    log "joined"
    log:is "cleanup joined"
  end,

  ["the handlers of a fiber's body run when it fails"] = function(t)
    local log = t.order()
    local fiber = spawn(function()
      scope_cleanup_push(function() log "cleanup" end)
      fails "broken"
    end)
    t.raises("broken", fiber.join, fiber)
    log:is "cleanup"
  end,

  ["the handlers of a detached fiber run"] = function(t)
    local log = t.order()
    spawn(function() scope_cleanup_push(function() log "cleanup" end) end):detach()
    this_fiber.yield()
    log:is "cleanup"
  end,

  ["pcall is a scope, on return"] = function(t)
    local log = t.order()
    t.list(t.pack(pcall(function(a)
      scope_cleanup_push(function() log "cleanup" end)
      return a, nil
    end, "a")), { n = 3, true, "a", nil })
    log "after"
    log:is "cleanup after"
  end,

  ["pcall is a scope, on error"] = function(t)
    local log = t.order()
    t.list(t.pack(pcall(function()
      scope_cleanup_push(function() log "cleanup" end)
      fails "broken"
    end)), { n = 2, false, "broken" })
    log "after"
    log:is "cleanup after"
  end,

  ["xpcall is a scope: first its message handler, then the cleanup"] = function(t)
    local log = t.order()
    t.list(t.pack(xpcall(function()
      scope_cleanup_push(function() log "cleanup" end)
      fails "broken"
    end, function(err)
      log "message handler"
      return err .. "!"
    end)), { n = 2, false, "broken!" })
    log "after"
    log:is "message handler cleanup after"
  end,

  ["xpcall is a scope, on return"] = function(t)
    local log = t.order()
    t.list(t.pack(xpcall(function(...)
      scope_cleanup_push(function() log "cleanup" end)
      return ...
    end, print, 1, nil)), { n = 3, true, 1, nil })
    log:is "cleanup"
  end,

  ["a coroutine is a scope, when it returns"] = function(t)
    local log = t.order()
    local co = coroutine.create(function()
      scope_cleanup_push(function() log "cleanup" end)
      coroutine.yield()
      log "body"
    end)
    coroutine.resume(co)
    log "yielded"
    coroutine.resume(co)
    log "ended"
    log:is "yielded body cleanup ended"
  end,

  ["a coroutine is a scope, when it fails"] = function(t)
    local log = t.order()
    local co = coroutine.create(function()
      scope_cleanup_push(function() log "cleanup" end)
      fails "broken"
    end)
    t.list(t.pack(coroutine.resume(co)), { n = 2, false, "broken" })
    log:is "cleanup"
  end,

  ["a function of coroutine.wrap is a scope"] = function(t)
    local log = t.order()
    local f = coroutine.wrap(function()
      scope_cleanup_push(function() log "cleanup" end)
      return "result"
    end)
    t.equal(f(), "result")
    log:is "cleanup"
  end,

  ["a handler pushed in a coroutine does not belong to its resumer"] = function(t)
    local log = t.order()
    local co
    scope(function()
      scope_cleanup_push(function() log "resumer" end)
      co = coroutine.create(function()
        scope_cleanup_push(function() log "coroutine" end)
        coroutine.yield()
      end)
      coroutine.resume(co)
    end)
    log "between"
    coroutine.resume(co)
    log:is "resumer between coroutine"
  end,

  ["a handler pushed by the resumer does not belong to a coroutine that ends later"] = function(t)
    local log = t.order()
    scope(function()
      local co = coroutine.create(function()
        coroutine.yield()
        scope_cleanup_push(function() log "coroutine" end)
      end)
      coroutine.resume(co)
      scope_cleanup_push(function() log "resumer" end)
      coroutine.resume(co)
      log "still inside"
    end)
    log:is "coroutine still inside resumer"
  end,

  ["a yield inside a scope inside a coroutine leaves the scope open"] = function(t)
    local log = t.order()
    local co = coroutine.wrap(function()
      scope(function()
        scope_cleanup_push(function() log "cleanup" end)
        coroutine.yield()
        log "inside"
      end)
      log "outside"
    end)
    co()
    log "yielded"
    co()
    log:is "yielded inside cleanup outside"
  end,

  ["a coroutine that is dropped while suspended never runs its handlers"] = function(t)
    local ran
    local co = coroutine.create(function()
      scope_cleanup_push(function() ran = true end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    co = nil
    collectgarbage()
    collectgarbage()
    this_fiber.yield()
    t.equal(ran, nil)
  end,

  ["two fibers keep their scopes apart"] = function(t)
    local log = t.order()
    local function work(name)
      scope(function()
        scope_cleanup_push(function() log(name) end)
        this_fiber.yield()
      end)
      log(name .. "'")
    end
    local a, b = spawn(work, "a"), spawn(work, "b")
    a:join()
    b:join()
    log:is "a a' b b'"
  end,

  ["a handler may wait"] = function(t)
    local log, watch = t.order(), t.stopwatch()
    scope(function()
      scope_cleanup_push(function() log "second" end)
      scope_cleanup_push(function()
        time.sleep(0.02)
        log "first"
      end)
    end)
    log:is "first second"
    watch.took(0.02)
  end,

  ["a handler that waits does so after an error too"] = function(t)
    local log = t.order()
    t.raises("broken", scope, function()
      scope_cleanup_push(function()
        time.sleep(0.01)
        log "cleanup"
      end)
      fails "broken"
    end)
    log:is "cleanup"
  end,

  ["a handler may wait in an interrupted fiber"] = function(t)
    local log, watch = t.order(), t.stopwatch()
    local fiber = t.waiting(function()
      scope_cleanup_push(function()
        time.sleep(0.03)
        pcall(function() log "cleanup" end)
      end)
      time.sleep(10)
    end)
    fiber:interrupt()
    fiber:join()
    log:is "cleanup"
    t.equal(fiber.interruption_caught, true)
    watch.took(0.03)
  end,

  ["a handler that runs is not interrupted: the next point is"] = function(t)
    local log = t.order()
    local fiber = t.waiting(function()
      scope(function()
        scope_cleanup_push(function()
          time.sleep(0.03)
          log "cleanup"
        end)
      end)
      log "scope left"
      this_fiber.yield()
      log "not here"
    end)
    time.sleep(0.01)
    fiber:interrupt()
    fiber:join()
    log:is "cleanup scope left"
    t.equal(fiber.interruption_caught, true)
  end,

  ["interruption is enabled again after the handlers"] = function(t)
    scope(function() scope_cleanup_push(function() end) end)
    t.raises("restore_interruption", function() this_fiber.restore_interruption() end)
  end,

  ["pop runs the last handler now, and not again"] = function(t)
    local log = t.order()
    scope(function()
      scope_cleanup_push(function() log "first" end)
      scope_cleanup_push(function() log "second" end)
      scope_cleanup_pop()
      log "popped"
    end)
    log:is "second popped first"
  end,

  ["pop(true) runs it, pop(false) drops it"] = function(t)
    local log = t.order()
    scope(function()
      scope_cleanup_push(function() log "run" end)
      scope_cleanup_pop(true)
      scope_cleanup_push(function() log "dropped" end)
      scope_cleanup_pop(false)
    end)
    log:is "run"
  end,

  ["pop on an empty scope is a mistake"] = function(t)
    scope(function()
      scope_cleanup_push(function() end)
      scope_cleanup_pop(false)
      t.raises("scope_cleanup_pop", function() scope_cleanup_pop() end)
    end)
  end,

  ["pop does not reach the handlers of the scope outside"] = function(t)
    local log = t.order()
    scope(function()
      scope_cleanup_push(function() log "outer" end)
      scope(function() t.raises("scope_cleanup_pop", function() scope_cleanup_pop() end) end)
      log "inside"
    end)
    log:is "inside outer"
  end,

  ["a handler that pops does not reach the scope outside"] = function(t)
    local log = t.order()
    t.raises("scope_cleanup_pop", scope, function()
      scope_cleanup_push(function() log "outer" end)
      scope(function() scope_cleanup_push(function() scope_cleanup_pop() end) end)
      log "not here"
    end)
    log:is "outer"
  end,

  ["a popped handler may wait, undisturbed by an interruption"] = function(t)
    local log = t.order()
    local fiber = t.waiting(function()
      scope(function()
        scope_cleanup_push(function()
          time.sleep(0.02)
          log "popped"
        end)
        scope_cleanup_pop()
        log "after"
        this_fiber.yield()
        log "not here"
      end)
    end)
    fiber:interrupt()
    fiber:join()
    log:is "popped after"
  end,

  ["an error in a handler makes a scope fail that had ended well, after the other handlers"] = function(t)
    local log = t.order()
    local err = t.raises("error in a cleanup handler: ", scope, function()
      scope_cleanup_push(function() log "first" end)
      scope_cleanup_push(function() error "bad handler" end)
      scope_cleanup_push(function() log "third" end)
    end)
    t.has(err, "bad handler")
    log:is "third first"
  end,

  ["an error in a handler of a failing scope is logged, the first error stays"] = function(t)
    t.reports "bad handler"
    local log = t.order()
    local ok, err = pcall(scope, function()
      scope_cleanup_push(function() log "first" end)
      scope_cleanup_push(function() error "bad handler" end)
      fails "first error"
    end)
    t.equal(ok, false)
    t.equal(err, "first error")
    log:is "first"
  end,

  ["an error in a handler makes pcall return false and the message"] = function(t)
    local ok, err = pcall(function()
      scope_cleanup_push(function() error "bad handler" end)
      return "lost"
    end)
    t.equal(ok, false)
    t.has(err, "error in a cleanup handler: ")
    t.has(err, "bad handler")
  end,

  ["an error in a handler of a failing pcall is logged, the first error stays"] = function(t)
    t.reports "bad handler"
    local ok, err = pcall(function()
      scope_cleanup_push(function() error "bad handler" end)
      fails "first error"
    end)
    t.equal(ok, false)
    t.equal(err, "first error")
  end,

  ["an error in a handler of a coroutine makes resume return false"] = function(t)
    local co = coroutine.create(function()
      scope_cleanup_push(function() error "bad handler" end)
    end)
    local ok, err = coroutine.resume(co)
    t.equal(ok, false)
    t.has(err, "error in a cleanup handler: ")
    t.equal(coroutine.status(co), "dead")
  end,

  ["an error in a handler of a fiber's body makes the fiber fail"] = function(t)
    local fiber = spawn(function()
      scope_cleanup_push(function() error "bad handler" end)
      return "lost"
    end)
    t.has(t.raises("error in a cleanup handler: ", fiber.join, fiber), "bad handler")
  end,

  ["an error in a handler after an interruption is logged, the fiber was interrupted"] = function(t)
    t.reports "bad handler"
    local fiber = t.waiting(function()
      scope_cleanup_push(function() error "bad handler" end)
      time.sleep(10)
    end)
    fiber:interrupt()
    fiber:join()
    t.equal(fiber.interruption_caught, true)
  end,

  ["of two errors in handlers the first is raised, the other is logged"] = function(t)
    t.reports "second to run"
    local err = t.raises("error in a cleanup handler: ", scope, function()
      scope_cleanup_push(function() error "second to run" end)
      scope_cleanup_push(function() error "first to run" end)
    end)
    t.has(err, "first to run")
  end,

  ["an error value without a text in a handler is harmless"] = function(t)
    local log = t.order()
    t.raises("error in a cleanup handler: ", scope, function()
      scope_cleanup_push(function() log "other" end)
      scope_cleanup_push(function() error() end)
      scope_cleanup_pop(false)
      scope_cleanup_push(function() error {} end)
    end)
    log:is "other"
  end,

  ["a handler may open scopes of its own"] = function(t)
    local log = t.order()
    scope(function()
      scope_cleanup_push(function()
        scope(function()
          scope_cleanup_push(function() log "inner" end)
          log "body"
        end)
        log "outer"
      end)
    end)
    log:is "body inner outer"
  end,

  ["a handler may spawn, send and join"] = function(t)
    local c = channel.new(1)
    scope(function()
      scope_cleanup_push(function()
        local fiber = spawn(function() return "from a handler" end)
        c:send(fiber:join())
      end)
    end)
    t.equal(c:recv(), "from a handler")
  end,

  ["a thousand handlers run last first"] = function(t)
    local expected, in_order = 1000, true
    scope(function()
      for i = 1, 1000 do
        scope_cleanup_push(function()
          in_order = in_order and i == expected
          expected = expected - 1
        end)
      end
    end)
    t.equal(expected, 0)
    t.ok(in_order, "last first")
  end,

  ["push wants a function"] = function(t)
    scope(function()
      for _, wrong in ipairs { 42, "text", {}, true } do
        t.raises("scope_cleanup_push", function() scope_cleanup_push(wrong) end)
      end
      t.raises("scope_cleanup_push", function() scope_cleanup_push() end)
    end)
  end,

  ["scope wants a function"] = function(t)
    t.raises("scope", function() scope(42) end)
    t.raises("scope", function() scope() end)
  end,

  ["a scope that ends by exhausting the stack runs its handlers"] = function(t)
    local log = t.order()
    local function endless() return 1 + endless() end
    t.raises("stack overflow", scope, function()
      scope_cleanup_push(function() log "cleanup" end)
      endless()
    end)
    log:is "cleanup"
  end,
}
