//! Handlers that wait: which events go on meanwhile, in what order, and what is told to the host.

use lapps_lua::{Concurrency, ConnId, FailureKind, Outcome, Progress, Reactive, Verdict};

use crate::stage::{Stage, conn};

const A: ConnId = conn(1);
const B: ConnId = conn(2);

/// Every handler logs its beginning and its end; a message is the milliseconds that its handler waits, after the name of
/// its sender.
const LOGGER: &str = "
    local time = require 'time'
    log = {}
    local function note(word) log[#log + 1] = word end
    local function wait(ms) if ms > 0 then time.sleep(ms / 1000) end end
    open_ms, gone_ms, stop_ms = 0, 0, 0
    demo.onOpen = function(h) note 'open(' wait(open_ms) note ')open' end
    demo.onMessage = function(h, op, msg)
        if msg == 'log' then local text = table.concat(log, ' ') log = {} return ws:send(h, 1, text) end
        local name, ms = msg:match '(%a+)(%d*)'
        if name == 'set' then open_ms, gone_ms, stop_ms = 20, 20, 20 return true end
        note(name .. '(')
        wait(tonumber(ms) or 0)
        note(')' .. name)
        if name == 'close' then ws:close(h, 1000) end
        if name == 'refuse' then return false end
        return true
    end
    demo.onDisconnect = function(h) note 'gone(' wait(gone_ms) note ')gone' end
    demo.onShutdown = function() note 'stop(' wait(stop_ms) note ')stop' end";

fn logger(concurrency: Concurrency) -> Stage<Reactive> {
    let mut stage = Stage::reactive(LOGGER, Some(concurrency));
    for conn in [A, B] {
        keep(stage.open(conn));
    }
    log(&mut stage);
    stage
}

/// What was logged since the last look; all events have to be over.
#[track_caller]
fn log(stage: &mut Stage<Reactive>) -> String {
    let reader = conn(99);
    stage.world.open.insert(reader);
    keep(stage.text(reader, "log"));
    stage.take_sent().pop().expect("a log")
}

#[track_caller]
fn keep(verdict: Verdict) {
    assert!(matches!(verdict, Verdict::Keep), "{verdict:?}");
}

#[track_caller]
fn waits(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Waits { weight } => weight,
        other => panic!("it should wait: {other:?}"),
    }
}

/// The weights of the messages that were handled since the last look, in order.
fn handled(stage: &mut Stage<Reactive>) -> Vec<(ConnId, usize)> {
    let mut handled = Vec::new();
    stage.outcomes.retain(|outcome| match outcome {
        Outcome::Handled { conn, weight } => {
            handled.push((*conn, *weight));
            false
        }
        _ => true,
    });
    handled
}

#[test]
fn serial_events_wait_for_the_one_that_waits_and_keep_their_order() {
    let mut stage = logger(Concurrency::Serial);
    for (conn, text) in [(A, "a30"), (B, "b10"), (A, "c"), (B, "d20")] {
        waits(stage.text(conn, text));
    }
    stage.run();
    assert_eq!(log(&mut stage), "a( )a b( )b c( )c d( )d");
}

#[test]
fn events_of_a_connection_keep_their_order_and_those_of_others_go_on() {
    let mut stage = logger(Concurrency::Connection);
    waits(stage.text(A, "a30"));
    waits(stage.text(B, "b10"));
    waits(stage.text(A, "c"));
    waits(stage.text(B, "d"));
    stage.run();
    assert_eq!(log(&mut stage), "a( b( )b d( )d )a c( )c");
}

#[test]
fn free_events_start_at_once() {
    let mut stage = logger(Concurrency::Free);
    waits(stage.text(A, "a30"));
    waits(stage.text(A, "b10"));
    keep(stage.text(A, "c"));
    waits(stage.text(B, "d20"));
    stage.run();
    assert_eq!(log(&mut stage), "a( b( c( )c d( )b )d )a");
}

#[test]
fn a_service_with_the_original_handlers_only_is_serial_and_one_with_on_open_is_not() {
    let body = "demo.onMessage = function(h, op, msg)
            log = (log or '') .. msg
            if msg == 'a' then require('time').sleep(0.01) end
            log = log .. msg
            return ws:send(h, 1, log)
        end";
    for (more, expected) in [("", "aabb"), (" demo.onOpen = function() end", "abba")] {
        let mut stage = Stage::reactive(&format!("{body}{more}"), None);
        for conn in [A, B] {
            keep(stage.open(conn));
        }
        waits(stage.text(A, "a"));
        let _ = stage.text(B, "b");
        stage.run();
        assert_eq!(stage.take_sent().pop().unwrap(), expected, "{more}");
    }
}

#[test]
fn messages_wait_for_on_open_and_on_disconnect_for_messages() {
    for concurrency in [Concurrency::Serial, Concurrency::Connection] {
        let mut stage = logger(concurrency);
        keep(stage.text(A, "set"));
        let c = conn(3);
        waits(stage.open(c));
        waits(stage.text(c, "m10"));
        waits(stage.text(c, "n"));
        waits(stage.end(c));
        stage.run();
        assert_eq!(log(&mut stage), "open( )open m( )m n( )n gone( )gone", "{concurrency:?}");
        assert!(stage.instance.is_idle());
        assert!(!stage.instance.is_waiting(c));
    }
}

#[test]
fn what_came_before_the_end_is_delivered_and_then_the_end() {
    let mut stage = logger(Concurrency::Connection);
    waits(stage.text(A, "a20"));
    waits(stage.text(A, "b"));
    waits(stage.end(A));
    assert!(stage.instance.is_waiting(A));
    stage.run();
    assert_eq!(log(&mut stage), "a( )a b( )b gone( )gone");
}

#[test]
fn an_end_without_anything_before_it_is_told_at_once() {
    let mut stage = logger(Concurrency::Connection);
    waits(stage.text(B, "b20"));
    keep(stage.end(A));
    stage.run();
    assert_eq!(log(&mut stage), "b( gone( )gone )b");
}

#[test]
fn messages_of_a_connection_that_the_service_closed_are_dropped_but_not_its_end() {
    for concurrency in [Concurrency::Serial, Concurrency::Connection] {
        let mut stage = logger(concurrency);
        waits(stage.text(A, "close20"));
        for text in ["dropped", "too"] {
            waits(stage.text(A, text));
        }
        stage.pass(25);
        keep(stage.end(A));
        assert_eq!(log(&mut stage), "close( )close gone( )gone", "{concurrency:?}");
        assert_eq!(handled(&mut stage).len(), 3, "the dropped ones count as handled too");
        assert_eq!(stage.world.closed, [A]);
    }
}

#[test]
fn what_other_connections_sent_is_not_dropped_when_one_is_closed() {
    let mut stage = logger(Concurrency::Serial);
    waits(stage.text(A, "close20"));
    waits(stage.text(B, "b"));
    waits(stage.text(A, "dropped"));
    waits(stage.text(B, "c"));
    stage.run();
    assert_eq!(log(&mut stage), "close( )close b( )b c( )c");
}

#[test]
fn a_stop_waits_in_its_line_where_events_are_serial_and_begins_at_once_elsewhere() {
    for (concurrency, expected) in [
        (Concurrency::Serial, "a( )a stop( )stop"),
        (Concurrency::Connection, "a( stop( )a )stop"),
        (Concurrency::Free, "a( stop( )a )stop"),
    ] {
        let mut stage = logger(concurrency);
        keep(stage.text(A, "set"));
        waits(stage.text(A, "a10"));
        waits(stage.stop());
        stage.run();
        assert_eq!(log(&mut stage), expected, "{concurrency:?}");
        assert!(stage.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Stopped)));
    }
}

#[test]
fn a_stop_that_does_not_wait_is_over_at_once() {
    let mut stage = logger(Concurrency::Connection);
    keep(stage.stop());
    assert_eq!(log(&mut stage), "stop( )stop");
}

#[test]
fn weights_come_back_as_they_were_told() {
    for concurrency in [Concurrency::Serial, Concurrency::Connection, Concurrency::Free] {
        let mut stage = logger(concurrency);
        let mut expected = Vec::new();
        for round in 0..50 {
            for (conn, text) in [(A, format!("a{}", round % 7)), (B, format!("b{}", round % 3))] {
                let text = format!("{text}{}", " ".repeat(round));
                if let Verdict::Waits { weight } = stage.text(conn, &text) {
                    assert!(weight >= text.len(), "{weight} for {} bytes", text.len());
                    expected.push((conn, weight));
                }
            }
            if round % 10 == 0 {
                stage.pass(3);
            }
        }
        stage.run();
        let mut actual = handled(&mut stage);
        assert!(!expected.is_empty());
        expected.sort_by_key(|(conn, weight)| (conn.get(), *weight));
        actual.sort_by_key(|(conn, weight)| (conn.get(), *weight));
        assert_eq!(actual, expected, "{concurrency:?}");
        assert!(stage.instance.is_idle());
        assert_eq!(stage.instance.fibers(), 0);
    }
}

#[test]
fn a_handler_that_fails_after_waiting_says_who_where_and_for_whom() {
    let mut stage = Stage::reactive(
        "local function deep() require('time').sleep(0.01) local x = nil; x.y = 1 end
         demo.onMessage = function(h, op, msg) if msg == 'fail' then deep() end return true end",
        None,
    );
    keep(stage.open(A));
    let weight = waits(stage.text(A, "fail"));
    stage.run();
    let [Outcome::Failed(failure), Outcome::Handled { conn, weight: handled }] = &stage.outcomes[..] else {
        panic!("{:#?}", stage.outcomes);
    };
    assert_eq!((failure.service(), failure.handler(), failure.conn()), ("demo", "onMessage", Some(A)));
    assert_eq!((*conn, *handled), (A, weight));
    let text = failure.to_string();
    for part in [
        "attempt to index local 'x' (a nil value)",
        "\nstack traceback:\n",
        "in function 'deep'",
        "demo.lua:1",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert!(!text.contains("lapps/fiber"), "the library's own lines tell nobody anything:\n{text}");
    keep(stage.text(A, "fine"));
}

#[test]
fn a_message_that_is_refused_after_waiting_fails() {
    let mut stage = logger(Concurrency::Connection);
    waits(stage.text(A, "refuse10"));
    waits(stage.text(A, "next"));
    stage.run();
    let refused = stage.outcomes.iter().any(|outcome| {
        matches!(outcome, Outcome::Failed(failure)
            if *failure.kind() == FailureKind::Refused { returned: "false" } && failure.conn() == Some(A))
    });
    assert!(refused, "{:#?}", stage.outcomes);
}

#[test]
fn a_failure_of_one_connection_leaves_another_in_the_middle_of_its_wait() {
    let mut stage = Stage::reactive(
        "demo.onOpen = function() end
         demo.onMessage = function(h, op, msg)
            require('time').sleep(0.02)
            if msg == 'fail' then error 'its own affair' end
            return ws:send(h, 1, msg)
         end",
        None,
    );
    for conn in [A, B] {
        keep(stage.open(conn));
    }
    waits(stage.text(A, "fail"));
    waits(stage.text(B, "fine"));
    stage.run();
    assert_eq!(stage.take_sent(), ["fine"]);
    let failures = stage.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count();
    assert_eq!(failures, 1);
}

#[test]
fn on_open_on_disconnect_and_on_shutdown_fail_with_their_names_after_waiting() {
    let mut stage = Stage::reactive(
        "local function fail() require('time').sleep(0.01) error 'late' end
         demo.onOpen, demo.onDisconnect, demo.onShutdown = fail, fail, fail",
        None,
    );
    waits(stage.open(A));
    stage.run();
    waits(stage.end(A));
    stage.run();
    waits(stage.stop());
    stage.run();
    let names: Vec<_> = stage
        .outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Failed(failure) => Some((failure.handler(), failure.conn())),
            _ => None,
        })
        .collect();
    assert_eq!(names, [("onOpen", Some(A)), ("onDisconnect", Some(A)), ("onShutdown", None)]);
    let stopped = stage.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Stopped)).count();
    assert_eq!(stopped, 1, "a stop that failed is a stop");
}

#[test]
fn on_start_may_wait_and_events_come_after_it_where_they_are_serial() {
    let mut stage = Stage::loaded(
        "demo.onStart = function() require('time').sleep(0.02) started = true end
         demo.onMessage = function(h) return ws:send(h, 1, tostring(started)) end",
        Some(Concurrency::Serial),
        0,
    );
    assert_eq!(stage.start(), Progress::Waits);
    stage.run();
    assert!(matches!(stage.outcomes[..], [Outcome::Started(Ok(()))]), "{:?}", stage.outcomes);
    stage.world.open.insert(A);
    keep(stage.text(A, ""));
    assert_eq!(stage.take_sent(), ["true"]);
}

#[test]
fn on_start_that_fails_after_waiting_tells_so() {
    let mut stage =
        Stage::loaded("demo.onStart = function() require('time').sleep(0.02) error 'no luck' end", None, 0);
    assert_eq!(stage.start(), Progress::Waits);
    stage.run();
    match &stage.outcomes[..] {
        [Outcome::Started(Err(failure))] => {
            assert_eq!(failure.handler(), "onStart");
            assert!(failure.to_string().contains("no luck"), "{failure}");
        }
        other => panic!("{other:#?}"),
    }
}

#[test]
fn spawned_fibers_run_while_a_serial_handler_waits() {
    let mut stage = Stage::reactive(
        "local time = require 'time'
         demo.onMessage = function(h, op, msg)
            spawn(function() time.sleep(0.01) ws:send(h, 1, 'spawned') end):detach()
            time.sleep(0.02)
            return ws:send(h, 1, 'handler')
         end",
        Some(Concurrency::Serial),
    );
    keep(stage.open(A));
    waits(stage.text(A, "x"));
    stage.run();
    assert_eq!(stage.take_sent(), ["spawned", "handler"]);
}

#[test]
fn fibers_that_a_handler_spawns_run_after_it() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h)
            spawn(function() ws:send(h, 1, 'spawned') end):detach()
            return ws:send(h, 1, 'handler')
         end",
        None,
    );
    keep(stage.open(A));
    keep(stage.text(A, "x"));
    assert!(stage.instance.is_ready(), "there is a fiber to run");
    stage.run();
    assert_eq!(stage.take_sent(), ["handler", "spawned"]);
    assert!(!stage.instance.is_ready());
}

#[test]
fn fibers_spawned_while_the_file_is_loaded_run_and_waits_there_are_refused() {
    let mut stage = Stage::reactive(
        "local time = require 'time'
         local ok, err = pcall(time.sleep, 0.01)
         local yielded, why = pcall(this_fiber.yield)
         spawn(function() time.sleep(0.01) loaded = true end)
         demo.onMessage = function(h)
            return ws:send(h, 1, table.concat({ tostring(ok), err, tostring(yielded), why, tostring(loaded) }, '|'))
         end",
        None,
    );
    stage.run();
    keep(stage.open(A));
    keep(stage.text(A, ""));
    let sent = stage.take_sent().pop().unwrap();
    for name in ["time.sleep", "this_fiber.yield"] {
        let text =
            format!("{name}: can only be called in a fiber: in a handler, in run() or in what they spawn");
        assert!(sent.contains(&text), "{sent}");
    }
    assert!(sent.ends_with("|true"), "{sent}");
}

#[test]
fn local_and_identity_are_new_for_every_event() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h, op, msg)
            local seen = this_fiber.local_.seen
            this_fiber.local_.seen = msg
            if msg == 'w' then require('time').sleep(0.01) end
            return ws:send(h, 1, tostring(seen) .. ' ' .. tostring(this_fiber.is_main))
         end",
        Some(Concurrency::Free),
    );
    keep(stage.open(A));
    for text in ["a", "w", "b", "w", "c"] {
        let _ = stage.text(A, text);
        stage.run();
    }
    assert_eq!(stage.take_sent(), ["nil false"; 5]);
}

#[test]
fn a_handler_that_was_interrupted_by_itself_does_not_hurt_the_next_event() {
    let mut stage = Stage::reactive(
        "demo.onMessage = function(h, op, msg)
            if msg == 'odd' then
                this_fiber.disable_interruption()
                this_fiber.forbid_suspend()
                return true
            end
            require('time').sleep(0.01)
            return ws:send(h, 1, 'waited')
         end",
        None,
    );
    keep(stage.open(A));
    keep(stage.text(A, "odd"));
    waits(stage.text(A, "x"));
    stage.run();
    assert_eq!(stage.take_sent(), ["waited"]);
}

#[test]
fn a_cleanup_handler_that_fails_makes_the_event_fail() {
    for wait in ["", "require('time').sleep(0.01)"] {
        let mut stage = Stage::reactive(
            &format!(
                "demo.onMessage = function(h)
                    scope_cleanup_push(function() error 'bad handler' end)
                    {wait}
                    return true
                 end"
            ),
            None,
        );
        keep(stage.open(A));
        let failure = match stage.text(A, "x") {
            Verdict::Fail(failure) => failure.to_string(),
            verdict => {
                waits(verdict);
                stage.run();
                match &stage.outcomes[0] {
                    Outcome::Failed(failure) => failure.to_string(),
                    other => panic!("{other:?}"),
                }
            }
        };
        assert!(
            failure.contains("error in a cleanup handler: ") && failure.contains("bad handler"),
            "{failure}"
        );
    }
}

#[test]
fn cleanup_handlers_of_a_handler_run_once_before_its_result_is_told() {
    for (how, text) in
        [("return true", "returned"), ("error 'x'", "failed"), ("sleep(0.01) error 'x'", "late")]
    {
        let mut stage = Stage::reactive(
            &format!(
                "local sleep = require('time').sleep
                 demo.onMessage = function(h)
                    scope_cleanup_push(function() ws:send(h, 1, 'first pushed') end)
                    scope_cleanup_push(function() ws:send(h, 1, 'last pushed') end)
                    {how}
                 end"
            ),
            None,
        );
        keep(stage.open(A));
        let _ = stage.text(A, "x");
        stage.run();
        assert_eq!(stage.take_sent(), ["last pushed", "first pushed"], "{text}");
        assert_eq!(stage.instance.fibers(), 0);
        assert!(stage.instance.is_idle());
    }
}

#[test]
fn ten_thousand_events_that_wait_are_handled_in_order() {
    for concurrency in [Concurrency::Serial, Concurrency::Connection] {
        let mut stage = Stage::reactive(
            "local next, sleep = 1, require('time').sleep
             demo.onMessage = function(h, op, msg)
                sleep(0.001)
                assert(tonumber(msg) == next, msg)
                next = next + 1
                return true
             end",
            Some(concurrency),
        );
        keep(stage.open(A));
        for number in 1..=10_000 {
            waits(stage.text(A, &number.to_string()));
        }
        stage.run();
        assert_eq!(handled(&mut stage).len(), 10_000);
        assert!(stage.outcomes.is_empty(), "{:?}", stage.outcomes.first());
        assert_eq!(stage.instance.fibers(), 0);
    }
}
