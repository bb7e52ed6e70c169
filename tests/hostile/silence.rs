//! Connections on which nothing happens: a ping, and an end if there is no answer.

use std::time::{Duration, Instant};

use lapps_parser::frame::OpCode;
use serde_json::json;

use super::echo;
use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::table;

const PING: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_millis(700);

/// A client that is to be in time has so long, on a machine that has other things to do.
const TIME: Duration = Duration::from_millis(1000);

fn home() -> Home {
    home_with(PING, IDLE)
}

fn home_with(ping: Duration, idle: Duration) -> Home {
    let times =
        json!({ "ping_interval_ms": ping.as_millis() as u64, "idle_timeout_ms": idle.as_millis() as u64 });
    Home::new().ws(times).on_both("echo", &echo(), json!({}))
}

/// Runs `check` for both targets at the same time.
fn at_both(check: impl Fn(&str) + Sync) {
    table::run(&["/echo", "/echo-dedicated"], |target| target.to_string(), |target| check(target));
}

#[test]
fn after_silence_comes_a_ping_and_without_an_answer_close_1001() {
    for home in [home(), home().tls()] {
        let server = Lapps::start(&home);
        at_both(|target| {
            let start = Instant::now();
            let mut silent = Client::open(&server, target);
            assert_eq!(silent.get(), Got::Ping(Vec::new()));
            assert!(start.elapsed() >= PING, "{:?}", start.elapsed());
            assert!(matches!(silent.get(), Got::Close(1001, _)));
            assert!(start.elapsed() >= IDLE, "{:?}", start.elapsed());
            assert_eq!(silent.get(), Got::Eof);
        });
    }
}

#[test]
fn who_answers_pings_stays() {
    let idle = PING + TIME;
    let server = Lapps::start(&home_with(PING, idle));
    at_both(|target| {
        let mut client = Client::open(&server, target);
        let start = Instant::now();
        while start.elapsed() < 2 * idle {
            let Got::Ping(payload) = client.get() else { panic!("a ping, and nothing else") };
            client.send(true, OpCode::Pong, &payload);
        }
        client.echo("still here");
    });
}

#[test]
fn a_message_that_comes_slowly_is_no_silence() {
    let idle = TIME + PING;
    let server = Lapps::start(&home_with(TIME, idle));
    at_both(|target| {
        let mut client = Client::open(&server, target);
        let mut frame = Vec::new();
        lapps_parser::frame::write_masked_frame(&mut frame, true, OpCode::Text, &[b'x'; 30], [0; 4]);
        let (last, most) = frame.split_last().unwrap();
        let start = Instant::now();
        for byte in most {
            client.write(&[*byte]);
            assert!(client.is_quiet_for(TIME / 10), "not even a ping");
        }
        assert!(start.elapsed() > 2 * idle);
        client.write(&[*last]);
        assert_eq!(client.get(), Got::Text("x".repeat(30)));
    });
}
