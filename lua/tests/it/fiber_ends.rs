//! How fibers end: with their connection, by an error, without memory, under a broken port.

use lapps_lua::{Concurrency, ConnId, Outcome, Verdict};

use crate::stage::{Stage, conn};

const A: ConnId = conn(1);
const B: ConnId = conn(2);

#[track_caller]
pub(crate) fn has(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is missing in:\n{text}");
}

/// Failures among the outcomes, as texts.
fn failures(outcomes: &[Outcome]) -> Vec<String> {
    let text = |outcome: &Outcome| match outcome {
        Outcome::Failed(failure) => Some(failure.to_string()),
        _ => None,
    };
    outcomes.iter().filter_map(text).collect()
}

// Connections and the fibers bound to them.

pub(crate) const BOUND: &str = "
    local time = require 'time'
    cleanups, finished = 0, 0
    demo.onOpen = function(h)
        local c = ws.conn(h)
        for _ = 1, 3 do
            c:spawn(function()
                scope_cleanup_push(function()
                    time.sleep(0.01)
                    cleanups = cleanups + 1
                end)
                time.sleep(100)
                finished = finished + 1
            end)
        end
    end
    demo.onMessage = function(h, op, msg)
        if msg == 'wait' then time.sleep(0.02) end
        return ws:send(h, 1, cleanups .. ' ' .. finished)
    end";

pub(crate) fn cleanups(stage: &mut Stage<lapps_lua::Reactive>) -> String {
    let reader = conn(99);
    stage.world.open.insert(reader);
    let _ = stage.text(reader, "count");
    stage.take_sent().pop().unwrap()
}

#[test]
fn fibers_of_a_connection_are_interrupted_when_it_ends_and_clean_up_once() {
    let mut stage = Stage::reactive(BOUND, None);
    for conn in [A, B] {
        let _ = stage.open(conn);
    }
    stage.pass(10);
    assert_eq!(stage.instance.fibers(), 6);
    let _ = stage.end(A);
    stage.pass(20);
    assert_eq!(cleanups(&mut stage), "3 0");
    assert_eq!(stage.instance.fibers(), 3, "those of the other connection wait on");
    stage.wind_down();
    stage.run();
    assert_eq!(cleanups(&mut stage), "6 0");
    assert_eq!(stage.instance.fibers(), 0);
    assert_eq!(stage.take_reports(), [""; 0]);
}

#[test]
fn fibers_of_a_connection_that_ends_while_its_handler_waits_are_interrupted_at_once() {
    let mut stage = Stage::reactive(BOUND, None);
    let _ = stage.open(A);
    stage.pass(10);
    let _ = stage.text(A, "wait");
    let _ = stage.end(A);
    stage.pass(15);
    assert_eq!(cleanups(&mut stage), "3 0", "the handler still waits");
    assert!(stage.instance.is_waiting(A));
    stage.run();
    assert_eq!(stage.instance.fibers(), 0);
}

#[test]
fn a_handler_is_not_interrupted_when_its_connection_ends() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h)
            require('time').sleep(0.02)
            answer = { ws:send(h, 1, 'x') }
            return true
         end
         demo.onDisconnect = function() ws:send(2097153 + 2097152, 1, tostring(answer[1]) .. ' ' .. answer[2]) end",
        None,
    );
    let _ = stage.open(A);
    stage.world.open.insert(B);
    let _ = stage.text(A, "x");
    let _ = stage.end(A);
    stage.run();
    assert_eq!(stage.world.sent, [(B, "false connection closed".to_owned())]);
    assert_eq!(failures(&stage.outcomes), [""; 0]);
}

#[test]
fn a_bound_fiber_that_has_ended_is_not_kept_by_its_connection() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h)
            local weak = setmetatable({}, { __mode = 'v' })
            weak[1] = ws.conn(h):spawn(function() return {} end)
            this_fiber.yield()
            collectgarbage() collectgarbage()
            return ws:send(h, 1, tostring(weak[1]))
         end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    stage.run();
    assert_eq!(stage.take_sent(), ["nil"]);
}

#[test]
fn bound_fibers_are_joined_detached_and_interrupted_as_others() {
    let mut stage = Stage::reactive(
        "local time = require 'time'
         demo.onMessage = function(h)
            local c = ws.conn(h)
            local a = c:spawn(function(...) return select('#', ...), ... end, 1, nil)
            local n, first = a:join()
            local b = c:spawn(time.sleep, 10)
            this_fiber.yield()
            b:interrupt()
            b:join()
            local d = c:spawn(function() time.sleep(0.01) ws:send(h, 1, 'detached') end)
            d:detach()
            return ws:send(h, 1, n .. first .. tostring(b.interruption_caught))
         end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    stage.run();
    assert_eq!(stage.take_sent(), ["21true", "detached"]);
    assert_eq!(stage.instance.fibers(), 0);
}

#[test]
fn a_detached_bound_fiber_is_interrupted_when_its_connection_ends() {
    let mut stage = Stage::reactive(
        "cleaned = 0
         demo.onMessage = function(h, op, msg)
            if msg == 'count' then return ws:send(h, 1, tostring(cleaned)) end
            ws.conn(h):spawn(function()
                scope_cleanup_push(function() cleaned = cleaned + 1 end)
                require('time').sleep(100)
            end):detach()
            return true
         end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    stage.pass(10);
    let _ = stage.end(A);
    stage.run();
    stage.world.open.insert(B);
    let _ = stage.text(B, "count");
    assert_eq!(stage.take_sent(), ["1"]);
    assert_eq!(stage.take_reports(), [""; 0], "an interruption is no failure");
}

#[test]
fn an_interrupted_bound_fiber_that_fails_otherwise_is_logged() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h)
            ws.conn(h):spawn(function() pcall(require('time').sleep, 100) error 'in the tidying' end):detach()
            return true
         end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    stage.pass(10);
    let _ = stage.end(A);
    stage.run();
    let reports = stage.take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    has(&reports[0], "in the tidying");
}

#[test]
fn a_connection_object_is_the_same_as_long_as_it_lives_and_keeps_its_data() {
    let mut stage = Stage::reactive(
        "local first
         demo.onOpen = function(h) first = ws.conn(h) first.data.name = 'a' end
         demo.onMessage = function(h, op, msg)
            local c = ws.conn(h)
            if msg == 'replace' then c.data = { name = 'b' } return true end
            collectgarbage()
            local same = c == first and ws.conn(h) == c and c.handler == h and c.id == h
            return c:send(tostring(same) .. ' ' .. c.data.name .. ' ' .. tostring(c:closed())) == 'ok'
         end",
        None,
    );
    let _ = stage.open(A);
    for text in ["x", "replace", "y"] {
        assert!(matches!(stage.text(A, text), Verdict::Keep), "{text}");
    }
    assert_eq!(stage.take_sent(), ["true a false", "true b false"]);
}

#[test]
fn a_connection_that_is_not_ours_is_none() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h, op, msg)
            local c, err = ws.conn(tonumber(msg))
            return ws:send(h, 1, tostring(c) .. ' ' .. err.code .. ' ' .. err.category)
         end",
        None,
    );
    let _ = stage.open(A);
    for number in ["12345", "-1", "0.5", "1e300", "nan", "inf"] {
        let verdict = stage.text(A, number);
        assert!(matches!(verdict, Verdict::Keep), "{number}: {verdict:?}");
    }
    assert_eq!(stage.take_sent(), ["nil closed connection"; 6]);
}

#[test]
fn a_kept_object_of_an_ended_connection_answers_closed_and_touches_nobody() {
    let mut stage = Stage::reactive(
        "local kept
         demo.onOpen = function(h) kept = kept or ws.conn(h) end
         demo.onMessage = function(h)
            local words = { tostring(kept:closed()) }
            for _, f in ipairs { function() return kept:send 'x' end, function() return kept:close(1000) end,
                                 function() return kept:spawn(function() error 'must not run' end) end } do
                local value, err = f()
                words[#words + 1] = tostring(value) .. ':' .. err.code .. ':' .. err.category
            end
            return ws:send(h, 1, table.concat(words, ' '))
         end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.end(A);
    // The same slot, later.
    let next = ConnId::new(0, 1, 2);
    let _ = stage.open(next);
    let _ = stage.text(next, "x");
    stage.run();
    let closed = "nil:closed:connection";
    assert_eq!(stage.world.sent, [(next, format!("true {closed} {closed} {closed}"))]);
    assert_eq!(stage.world.closed, []);
}

#[test]
fn in_on_disconnect_the_object_is_still_there_and_closed() {
    let mut stage = Stage::reactive(
        "demo.onOpen = function(h) if h == 2097153 then ws.conn(h).data.name = 'kept' end end
         local function tell(text) ws:send(3 * 2097152 + 1, 1, text) end
         demo.onDisconnect = function(h)
            local c, err = ws.conn(h)
            tell(c and c.data.name .. ' ' .. tostring(c:closed()) or 'none ' .. err.code)
            if c then spawn(function() tell(tostring(ws.conn(h))) end):detach() end
         end",
        None,
    );
    let observer = conn(3);
    for conn in [A, B, observer] {
        let _ = stage.open(conn);
    }
    let _ = stage.end(A);
    stage.run();
    let _ = stage.end(B);
    stage.run();
    assert_eq!(stage.take_sent(), ["kept true", "nil", "none closed"]);
}

#[test]
fn wrong_use_of_a_connection_object_raises() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h, op, msg)
            local c = ws.conn(h)
            local wrong = {
                function() c:send() end, function() c:send({}) end, function() c:send('x', 5) end,
                function() c:close() end, function() c:close 'x' end, function() c:close(1005) end,
                function() c:close(999) end, function() c:spawn(5) end, function() c.spawn(print) end,
                function() c.send('x') end, function() ws.conn() end, function() ws.conn 'x' end,
            }
            for i, f in ipairs(wrong) do
                local ok, err = pcall(f)
                assert(not ok, i)
                assert(err:find('demo.lua:%d+: ') and err:find 'conn', i .. ' ' .. err)
            end
            return c:send('fine', { binary = true }) == 'ok'
         end",
        None,
    );
    let _ = stage.open(A);
    let verdict = stage.text(A, "x");
    assert!(matches!(verdict, Verdict::Keep), "{verdict:?}");
    assert_eq!(stage.take_sent(), ["fine"]);
    assert_eq!(stage.world.closed, []);
}

#[test]
fn a_thousand_connections_that_end_clean_up_a_thousand_times() {
    let mut stage = Stage::reactive(BOUND, Some(Concurrency::Connection));
    for slot in 1..=1000 {
        let _ = stage.open(conn(slot));
    }
    stage.pass(1);
    for slot in 1..=1000 {
        let _ = stage.end(conn(slot));
        if slot % 100 == 0 {
            stage.pass(3);
        }
    }
    stage.run();
    stage.world.open.insert(B);
    let _ = stage.text(B, "count");
    assert_eq!(stage.take_sent(), ["3000 0"]);
    assert_eq!(stage.instance.fibers(), 0);
}

// Errors that nobody catches.

#[test]
fn a_detached_fiber_that_fails_is_reported_once_with_its_traceback() {
    for wait in ["", "require('time').sleep(0.01)"] {
        let mut stage = Stage::reactive(
            &format!(
                "local function culprit() {wait} error 'nobody hears me' end
                 demo.onMessage = function() spawn(function() culprit() end):detach() return true end"
            ),
            None,
        );
        let _ = stage.open(A);
        let _ = stage.text(A, "x");
        stage.run();
        let reports = stage.take_reports();
        assert_eq!(reports.len(), 1, "{reports:#?}");
        for part in ["service 'demo'", "fiber ", "demo.lua:1: nobody hears me", "stack traceback:", "culprit"]
        {
            has(&reports[0], part);
        }
        assert!(!reports[0].contains("lapps/fiber"), "{}", reports[0]);
        let verdict = stage.text(A, "y");
        assert!(matches!(verdict, Verdict::Keep));
    }
}

#[test]
fn a_joinable_fiber_that_failed_is_reported_at_the_latest_with_the_instance() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function() kept = spawn(function() error 'never joined' end) return true end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    stage.run();
    assert_eq!(stage.take_reports(), [""; 0], "somebody may join it yet");
    stage.wind_down();
    stage.run();
    let reports = stage.take_reports();
    assert_eq!(reports.len(), 1, "{reports:#?}");
    has(&reports[0], "never joined");
}

#[test]
fn a_handler_that_ends_with_a_mutex_locked_is_told_and_others_go_on() {
    for wait in ["", "require('time').sleep(0.01)"] {
        let mut stage = Stage::reactive(
            &format!(
                "local m = require('mutex').new()
                 demo.onMessage = function(h, op, msg)
                    if msg == 'lock' then m:lock() {wait} return true end
                    return ws:send(h, 1, tostring(m:try_lock()))
                 end"
            ),
            Some(Concurrency::Free),
        );
        let _ = stage.open(A);
        let first = stage.text(A, "lock");
        stage.run();
        let mut told = stage.take_reports();
        told.extend(failures(&stage.outcomes));
        if let Verdict::Fail(failure) = first {
            told.push(failure.to_string());
        }
        assert_eq!(told.len(), 1, "{told:#?}");
        has(&told[0], "held a mutex");
        let _ = stage.text(A, "try");
        assert_eq!(stage.take_sent(), ["false"]);
    }
}

// The limits of what the host gives.

#[test]
fn a_port_that_panics_in_a_fiber_that_has_waited_costs_that_event() {
    let mut stage = Stage::reactive(
        "demo.onOpen = function() end
         demo.onMessage = function(h, op, msg)
            require('time').sleep(0.01)
            return ws:send(h, 1, msg)
         end",
        None,
    );
    for conn in [A, B] {
        let _ = stage.open(conn);
    }
    let _ = stage.text(A, "into the panic");
    stage.pass(5);
    let _ = stage.text(B, "later");
    stage.world.panics = true;
    stage.pass(6);
    stage.world.panics = false;
    stage.run();
    let mut told = failures(&stage.outcomes);
    told.extend(stage.take_reports());
    assert!(told.iter().any(|text| text.contains("the port is broken")), "{told:#?}");
    assert!(!failures(&stage.outcomes).is_empty(), "the event itself fails");
    assert_eq!(stage.take_sent(), ["later"]);
    assert_eq!(stage.instance.fibers(), 0);
}

#[test]
fn a_foreign_resume_of_a_waiting_fiber_is_an_error_and_no_crash() {
    // `debug.sethook` and C functions aside, the raw functions are reached through a coroutine kept from before.
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h, op, msg)
            local own
            local fiber = spawn(function()
                own = coroutine.running()
                require('time').sleep(0.01)
                return 'went on'
            end)
            this_fiber.yield()
            for _ = 1, 3 do
                assert(coroutine.resume(own) == false)
                assert(pcall(coroutine.wrap(function() return coroutine.resume(own) end)))
                table.sort({ 1, 2 }, function(a, b) coroutine.resume(own) return a < b end)
                string.gsub('x', 'x', function() coroutine.resume(own) end)
            end
            return ws:send(h, 1, fiber:join())
         end",
        None,
    );
    let _ = stage.open(A);
    let _ = stage.text(A, "x");
    stage.run();
    assert_eq!(stage.take_sent(), ["went on"], "{:#?}", stage.outcomes);
}
