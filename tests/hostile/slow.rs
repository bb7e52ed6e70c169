//! A slow dedicated instance: its clients wait, lose nothing and keep their order; everybody else goes on.

use std::time::Duration;

use lapps_parser::frame::{OpCode, write_masked_frame};
use serde_json::json;

use super::echo;
use crate::common::client::{Client, Got, MASK};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::stream::{Stream, numbered};

/// Echoes; at the message `wait` it first waits for the file `go` beside its directory, without using the CPU.
const HELD: &str = r"
    local held = {}
    local directory = os.getenv('LAPPS_APPS_DIR')
    function held.onStart() end
    function held.onMessage(handler, opcode, message)
        while message == 'wait' do
            local file = io.open(directory .. '/go')
            if file then file:close(); break end
            os.execute('sleep 0.02')
        end
        return ws:send(handler, opcode, message)
    end
    function held.onDisconnect(handler) print('held lost ' .. handler) end
    function held.onShutdown() end
    return held";

fn home() -> Home {
    Home::new()
        .ws(json!({ "workers": { "workers": 1 }, "close_timeout_ms": 500 }))
        .service("held", HELD, json!({ "instances": 1 }))
        .on_both("echo", &echo(), json!({}))
}

fn let_go(home: &Home) {
    home.write("apps/go", "");
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_masked_frame(&mut bytes, true, OpCode::Binary, payload, MASK);
    bytes
}

#[test]
fn its_full_ring_reaches_the_socket_and_nothing_is_lost() {
    for len in [10, 20_000] {
        let home = home();
        let server = Lapps::start(&home);
        let mut first = Client::open(&server, "/held");
        first.text("wait");
        let mut second = Client::narrow(&server).upgraded("/held");
        let stream = Stream::new(len);
        let (count, rest) = second.stuff(|n| stream.part(n), Stream::MOST, Duration::from_millis(500));
        for target in ["/echo", "/echo-dedicated"] {
            Client::open(&server, target).echo("others are served");
        }
        let_go(&home);
        assert_eq!(first.get(), Got::Text("wait".into()));
        second.widen();
        stream.is_echoed(&mut second, count, &rest);
        first.echo("as if nothing had been");
        second.echo("as if nothing had been");
    }
}

#[test]
fn a_burst_of_its_answers_does_not_close_a_client_that_reads_late() {
    let home = home().service(
        "held",
        HELD,
        json!({
            "instances": 1, "max_inbound_message_size": 65_536, "outgoing_high_water": 65_536, "outgoing_limit": 262_144
        }),
    );
    let server = Lapps::start(&home);
    let mut first = Client::open(&server, "/held");
    first.text("wait");
    let mut late = Client::narrow(&server).upgraded("/held");
    let stream = Stream::new(16_384);
    let (count, rest) = late.stuff(|n| stream.part(n), Stream::MOST, Duration::from_millis(500));
    let_go(&home);
    assert_eq!(first.get(), Got::Text("wait".into()));
    // When the instance answers this, its answers to the other client have long been sent.
    for _ in 0..20 {
        first.echo("still here");
    }
    late.widen();
    stream.is_echoed(&mut late, count, &rest);
}

#[test]
fn a_client_that_waits_for_it_is_not_idle() {
    let home = home().ws(json!({ "ping_interval_ms": 100, "idle_timeout_ms": 300 }));
    let server = Lapps::start(&home);
    let mut client = Client::open(&server, "/held");
    client.text("wait");
    // More than the ring holds: the server does not read the rest of it, nor the answers to its pings.
    let count = 3000;
    let all: Vec<u8> = (0..count).flat_map(|n| frame(&numbered(n, 100))).collect();
    client.write(&all);
    // Three times the idle time, as another client's pings tell it.
    let mut clock = Client::open(&server, "/echo");
    for _ in 0..9 {
        assert_eq!(clock.get(), Got::Ping(Vec::new()));
        clock.send(true, OpCode::Pong, b"");
    }
    let_go(&home);
    let mut expected = (0..count).map(|n| Got::Binary(numbered(n, 100)));
    let mut next = Some(Got::Text("wait".into()));
    while let Some(wanted) = &next {
        match client.get() {
            Got::Ping(payload) => client.send(true, OpCode::Pong, &payload),
            got => {
                assert!(got == *wanted, "{got:?}");
                next = expected.next();
            }
        }
    }
}

#[test]
fn a_client_that_leaves_while_it_is_busy_gets_its_close_in_time_and_the_service_hears_of_it() {
    let home = home();
    let mut server = Lapps::start(&home);
    let mut first = Client::open(&server, "/held");
    first.text("wait");
    let mut polite = Client::open(&server, "/held");
    polite.text("never answered");
    polite.close(1000);
    // The instance is busy; after the close timeout the server answers for itself.
    assert_eq!((polite.get(), polite.get()), (Got::Close(1000, String::new()), Got::Eof));
    let mut violating = Client::open(&server, "/held");
    violating.write(b"\x83\x80\0\0\0\0");
    assert!(matches!(violating.get(), Got::Close(1002, _)));
    Client::open(&server, "/held").reset();
    let_go(&home);
    assert_eq!(first.get(), Got::Text("wait".into()));
    for _ in 0..3 {
        server.expect_log("held lost ");
    }
    first.echo("the service goes on");
}

#[test]
fn what_was_sent_before_a_close_is_answered_before_it_however_slow_the_instance_is() {
    let home = home();
    let server = Lapps::start(&home);
    let mut client = Client::open(&server, "/held");
    client.write(&[frame(b"one"), frame(b"two"), frame(b"three")].concat());
    client.close(1000);
    for word in ["one", "two", "three"] {
        assert_eq!(client.get(), Got::Binary(word.into()));
    }
    assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
}
