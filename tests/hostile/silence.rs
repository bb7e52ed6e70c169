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

fn home() -> Home {
    let times =
        json!({ "ping_interval_ms": PING.as_millis() as u64, "idle_timeout_ms": IDLE.as_millis() as u64 });
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
    let server = Lapps::start(&home());
    at_both(|target| {
        let mut client = Client::open(&server, target);
        let start = Instant::now();
        while start.elapsed() < 2 * IDLE {
            let Got::Ping(payload) = client.get() else { panic!("a ping, and nothing else") };
            client.send(true, OpCode::Pong, &payload);
        }
        client.echo("still here");
    });
}

#[test]
fn a_message_that_comes_slowly_is_no_silence() {
    let server = Lapps::start(&home());
    at_both(|target| {
        let mut client = Client::open(&server, target);
        let mut frame = Vec::new();
        lapps_parser::frame::write_masked_frame(&mut frame, true, OpCode::Text, &[b'x'; 30], [0; 4]);
        let (last, most) = frame.split_last().unwrap();
        let start = Instant::now();
        for byte in most {
            client.write(&[*byte]);
            assert!(client.is_quiet_for(PING / 4), "not even a ping");
        }
        assert!(start.elapsed() > 2 * IDLE);
        client.write(&[*last]);
        assert_eq!(client.get(), Got::Text("x".repeat(30)));
    });
}
