//! Outgoing connections as services see them: `cws` under a port that only records.

use std::time::Duration;

use lapps_lua::{ClientEvent, Concurrency, Outcome, Reactive, Standalone, Verdict};
use lapps_parser::frame::OpCode;

use crate::stage::{Stage, client, conn};

/// What a service says goes out to this connection.
const SAY: &str = "
    local cws, time = require 'cws', require 'time'
    local function say(...)
        local words = {}
        for n = 1, select('#', ...) do words[n] = tostring((select(n, ...))) end
        ws:send(HERE, 1, table.concat(words, ' '))
    end
    local function talking(more)
        local all = {
            onopen = function(h, ...) say('open', ...) end,
            onmessage = function(h, message, opcode) say('message', message, opcode) end,
            onerror = function(h, ...) say('error', ...) end,
            onclose = function(h, payload, ...) say('close', (payload:gsub('[^%w]', '?')), ...) end,
        }
        for key, f in pairs(more or {}) do all[key] = f end
        return all
    end\n";

/// A service whose `onMessage` has this body, with one client; it has got one message.
fn stage(body: &str, concurrency: Option<Concurrency>) -> Stage<Reactive> {
    let say = SAY.replace("HERE", &conn(1).to_string());
    let lines = format!("{say} demo.onMessage = function(h, op, msg) {body} return true end");
    let mut stage = Stage::reactive(&lines, concurrency);
    let _ = stage.open(conn(1));
    assert!(!matches!(stage.text(conn(1), "go"), Verdict::Fail(_)));
    stage
}

fn message(payload: &[u8]) -> ClientEvent<'_> {
    ClientEvent::Message { opcode: OpCode::Text, payload }
}

#[track_caller]
fn kept(verdict: Verdict) {
    assert!(matches!(verdict, Verdict::Keep), "{verdict:?}");
}

#[track_caller]
fn waits(verdict: Verdict) {
    assert!(matches!(verdict, Verdict::Waits { .. }), "{verdict:?}");
}

#[test]
fn cws_new_waits_for_the_connection_and_then_its_handlers_are_called() {
    let mut stage = stage(
        "local o = cws:new('ws://x', talking(), { headers = { B = 2, A = 'x' }, protocol = 'p', ca = '/c' })
        say('made', o.handler) say(cws:send(o.handler, 'hello', 2))",
        None,
    );
    assert_eq!(
        stage.world.wanted,
        [("ws://x".to_owned(), r#"[("A", "x"), ("B", "2")] ["p"] Some("/c")"#.to_owned())]
    );
    assert!(stage.take_sent().is_empty() && stage.world.begun.is_empty(), "it waits");
    stage.connected(client(1), Ok(()));
    assert_eq!(stage.take_sent(), [format!("made {}", client(1)), "hello".into(), "true".into()]);
    assert_eq!(stage.world.begun, [client(1)]);
    kept(stage.client(client(1), ClientEvent::Opened { protocol: Some("p") }));
    kept(stage.client(client(1), message(b"one")));
    kept(stage.client(client(1), ClientEvent::Closed { code: 3000, reason: "why" }));
    assert_eq!(stage.take_sent(), ["open p", "message one 1", "close ??why 3000 why"]);
    for event in
        [message(b"late"), ClientEvent::Failed("late"), ClientEvent::Closed { code: 1006, reason: "" }]
    {
        kept(stage.client(client(1), event));
    }
    assert!(stage.take_sent().is_empty(), "nothing after the end");
}

#[test]
fn what_cannot_be_connected_is_nil_and_a_text() {
    let mut stage = stage("say(cws:new('bad', talking())) say(cws:new('ws://x', talking())) say('on')", None);
    assert_eq!(stage.take_sent(), ["nil a bad URI"]);
    stage.connected(client(1), Err("refused"));
    assert_eq!(stage.take_sent(), ["nil refused", "on"]);
    assert!(stage.world.begun.is_empty());
}

#[test]
fn what_is_interrupted_while_it_connects_is_abandoned() {
    let mut stage = stage("say(with_timeout(1, function() cws:new('ws://x', talking()) end))", None);
    stage.pass(1000);
    assert_eq!(stage.take_sent(), ["nil the time is over"]);
    assert_eq!(stage.world.abandoned, [client(1)]);
    stage.connected(client(1), Ok(()));
    assert!(stage.world.begun.is_empty() && stage.take_sent().is_empty(), "too late");
}

#[test]
fn while_the_file_is_loaded_nothing_can_be_connected() {
    let lines = format!(
        "{} local ok, err = pcall(cws.new, cws, 'ws://x', talking())
        demo.onMessage = function() say(ok, err) return true end",
        SAY.replace("HERE", &conn(1).to_string())
    );
    let mut stage = Stage::reactive(&lines, None);
    let _ = stage.open(conn(1));
    kept(stage.text(conn(1), "go"));
    let sent = stage.take_sent();
    assert!(
        sent[0].starts_with("false ") && sent[0].contains("cws:new: can only be called in a fiber"),
        "{sent:?}"
    );
}

/// Two connections; in the first a message is handled for a second.
fn two(concurrency: Option<Concurrency>) -> Stage<Reactive> {
    let mut stage = stage(
        "if msg ~= 'go' then say('client', msg) return true end
        object = cws:new('ws://a', talking { onmessage = function(h, message)
            say('begin', message) time.sleep(1) say('end', message)
            if message == 'close' then say(object:close(1000)) end
            if message == 'raise' then error('a mistake') end
        end })
        cws:new('ws://b', talking())",
        concurrency,
    );
    stage.connected(client(1), Ok(()));
    stage.connected(client(2), Ok(()));
    stage.take_sent();
    stage
}

#[test]
fn events_of_one_connection_come_in_order_and_hold_up_nobody_else() {
    for concurrency in [None, Some(Concurrency::Connection), Some(Concurrency::Free)] {
        let mut stage = two(concurrency);
        for payload in ["1", "2"] {
            waits(stage.client(client(1), message(payload.as_bytes())));
        }
        waits(stage.client(client(1), ClientEvent::Closed { code: 1005, reason: "" }));
        kept(stage.client(client(2), message(b"other")));
        kept(stage.text(conn(1), "serial"));
        assert_eq!(stage.take_sent(), ["begin 1", "message other 1", "client serial"], "{concurrency:?}");
        stage.pass(3000);
        assert_eq!(stage.take_sent(), ["end 1", "begin 2", "end 2", "close  1005 "]);
        let handled = stage
            .outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Handled { conn, .. } if conn.is_client()))
            .count();
        assert_eq!(handled, 2);
        assert!(stage.instance.is_idle());
    }
}

#[test]
fn a_client_that_waits_holds_up_no_event_of_an_outgoing_connection() {
    let mut stage = stage(
        "if msg == 'go' then cws:new('ws://a', talking()) else time.sleep(1) say('slept') end",
        Some(Concurrency::Serial),
    );
    stage.connected(client(1), Ok(()));
    waits(stage.text(conn(1), "sleep"));
    kept(stage.client(client(1), message(b"at once")));
    assert_eq!(stage.take_sent(), ["message at once 1"]);
    stage.pass(1000);
    assert_eq!(stage.take_sent(), ["slept"]);
}

#[test]
fn what_waits_behind_a_close_is_dropped_and_the_end_is_told() {
    let mut stage = two(None);
    waits(stage.client(client(1), message(b"close")));
    waits(stage.client(client(1), message(b"dropped")));
    stage.pass(1000);
    assert_eq!(stage.take_sent(), ["begin close", "end close", "true"]);
    assert_eq!(stage.world.closed, [client(1)]);
    kept(stage.client(client(1), ClientEvent::Closed { code: 1000, reason: "" }));
    assert_eq!(stage.take_sent(), ["close ?? 1000 "]);
    assert!(stage.instance.is_idle());
}

#[test]
fn an_error_names_the_handler_and_the_connection_and_the_instance_lives() {
    let mut stage = two(None);
    waits(stage.client(client(1), message(b"raise")));
    waits(stage.client(client(1), message(b"dropped")));
    stage.pass(1000);
    let failure = stage
        .outcomes
        .iter()
        .find_map(|outcome| if let Outcome::Failed(failure) = outcome { Some(failure) } else { None })
        .expect("a failure");
    assert_eq!((failure.conn(), failure.handler()), (Some(client(1)), "onmessage"));
    assert!(failure.to_string().contains("a mistake"), "{failure}");
    stage.world.sent.clear();
    // One that does not wait.
    let Verdict::Fail(failure) = stage.client(client(2), ClientEvent::Opened { protocol: Some("\0") }) else {
        kept(stage.client(client(2), message(b"alive")));
        assert_eq!(stage.take_sent(), ["open \0", "message alive 1"]);
        return;
    };
    panic!("{failure}");
}

#[test]
fn a_handler_that_fails_at_once_is_the_verdict() {
    let mut stage = stage("cws:new('ws://a', talking { onopen = function() error('at once') end })", None);
    stage.connected(client(1), Ok(()));
    match stage.client(client(1), ClientEvent::Opened { protocol: None }) {
        Verdict::Fail(failure) => {
            assert_eq!((failure.conn(), failure.handler()), (Some(client(1)), "onopen"));
            assert!(failure.to_string().contains("stack traceback"), "{failure}");
        }
        verdict => panic!("{verdict:?}"),
    }
    kept(stage.client(client(1), ClientEvent::Failed("over")));
    assert_eq!(stage.take_sent(), ["error over"]);
}

#[test]
fn the_calls_for_clients_and_those_for_servers_do_not_mix() {
    let mut stage = stage(
        "if msg == 'go' then o = cws:new('ws://a', talking()) return true end
        say('ws', ws:send(o.handler, 1, 'x')) say('ws close', ws:close(o.handler, 1000))
        say('cws', cws:send(h, 'x', 1)) say('conn', ws.conn(o.handler) ~= nil)",
        None,
    );
    stage.connected(client(1), Ok(()));
    kept(stage.text(conn(1), "mix"));
    let sent = stage.take_sent();
    assert_eq!(
        sent[..3],
        ["ws false connection closed", "ws close false connection closed", "cws false connection closed"]
    );
}

/// A standalone service whose `run` has this body, and says what it says in errors that nobody joins.
fn alone(run: &str) -> Stage<Standalone> {
    let say = "
        local cws, time = require 'cws', require 'time'
        local function say(...)
            local words = { ... }
            for n = 1, select('#', ...) do words[n] = tostring(words[n]) end
            spawn(error, table.concat(words, ' '), 0):detach()
        end\n";
    Stage::standalone(&format!("{say} demo.run = function() {run} end"))
}

/// What it has said.
fn said(stage: &mut Stage<Standalone>) -> Vec<String> {
    let reports = stage.take_reports();
    reports
        .iter()
        .map(|text| text.split(": ").nth(2).unwrap().lines().next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn event_loop_returns_when_an_event_was_handled_or_after_ten_milliseconds() {
    let mut stage = alone(
        "local from = time.monotonic()
        local function loop() cws:eventLoop() say('looped', math.floor((time.monotonic() - from) * 1000 + 0.5)) end
        loop()
        cws:new('ws://a', { onmessage = function() say('message') end })
        loop() loop() time.sleep(100)",
    );
    stage.pass(9);
    assert!(said(&mut stage).is_empty());
    stage.pass(1);
    assert_eq!(said(&mut stage), ["looped 10"]);
    stage.connected(client(1), Ok(()));
    stage.pass(3);
    kept(stage.client(client(1), message(b"x")));
    stage.pass(0);
    assert_eq!(said(&mut stage), ["message", "looped 13"]);
    stage.pass(9);
    assert!(said(&mut stage).is_empty());
    stage.pass(1);
    assert_eq!(said(&mut stage), ["looped 23"]);
}

#[test]
fn who_waits_for_an_outgoing_connection_is_no_deadlock() {
    let mut stage = alone(
        "local channel = require('channel').new()
        cws:new('ws://a', { onmessage = function(h, message) channel:send(message) end, onclose = function() end })
        say('got', channel:recv()) channel:recv()",
    );
    stage.run_to(Duration::from_secs(10));
    assert!(stage.take_reports().is_empty(), "it connects");
    stage.connected(client(1), Ok(()));
    stage.run_to(Duration::from_secs(20));
    assert!(stage.take_reports().is_empty(), "it is connected");
    assert!(stage.instance.is_owed());
    let _ = stage.client(client(1), message(b"x"));
    stage.run_to(Duration::from_secs(30));
    assert_eq!(said(&mut stage), ["got x"]);
    kept(stage.client(client(1), ClientEvent::Closed { code: 1000, reason: "" }));
    stage.instance.turn(&mut stage.world);
    assert!(!stage.instance.is_owed());
    while let Some(outcome) = stage.instance.next_outcome() {
        stage.outcomes.push(outcome);
    }
    assert!(stage.take_reports()[0].contains("deadlock"), "now nobody can send");
}

#[test]
fn a_thousand_events_that_wait_are_all_handled() {
    let mut stage = stage(
        "cws:new('ws://a', talking { onmessage = function(h, m) if m == '0' then time.sleep(1) end n = (n or 0) + 1
            if n == 3000 then say('all', n) end end })",
        None,
    );
    stage.connected(client(1), Ok(()));
    for n in 0..3000 {
        waits(stage.client(client(1), message(n.to_string().as_bytes())));
    }
    stage.pass(1000);
    assert_eq!(stage.take_sent(), ["all 3000"]);
}
