//! Handshakes that take too long.

use std::time::{Duration, Instant};

use serde_json::json;

use super::check_refusal;
use super::head::Head;
use crate::common::client::{Client, Got};
use crate::common::home::Home;
use crate::common::process::Lapps;
use crate::common::table;

const LIMIT: Duration = Duration::from_millis(700);

fn impatient(home: Home) -> Home {
    home.ws(json!({ "handshake_timeout_ms": LIMIT.as_millis() as u64 }))
}

#[test]
fn a_head_that_has_begun_and_does_not_end_is_answered_with_408() {
    for home in [Home::with_echo(), Home::with_echo().tls()] {
        let server = Lapps::start(&impatient(home));
        let good = Head::good("/echo").bytes();
        let cuts = [1, 3, 16, 40, good.len() - 2, good.len() - 1];
        table::run(
            &cuts,
            |cut| format!("cut at {cut}"),
            |&cut| {
                let start = Instant::now();
                let mut client = Client::connect(&server);
                client.write(&good[..cut]);
                let response = client.read_response();
                assert_eq!(response.status, 408);
                check_refusal(&response, false);
                assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
            },
        );
    }
}

#[test]
fn who_says_nothing_gets_nothing() {
    let server = Lapps::start(&impatient(Home::with_echo()));
    let start = Instant::now();
    let mut client = Client::connect(&server);
    assert_eq!(client.get(), Got::Eof);
    assert!(start.elapsed() >= LIMIT);
}

#[test]
fn the_time_counts_from_the_accept_and_not_from_the_last_byte() {
    let server = Lapps::start(&impatient(Home::with_echo()));
    let mut client = Client::connect(&server);
    let start = Instant::now();
    client.write(b"GET /echo HTTP/1.1\r\nX: ");
    // A byte now and then until the server has had enough; with a time for each read it would never have.
    while client.is_quiet_for(Duration::from_millis(50)) {
        assert!(start.elapsed() < crate::common::PATIENCE, "a drip of bytes keeps the server waiting");
        client.write(b"x");
    }
    assert_eq!(client.read_response().status, 408);
}

#[test]
fn a_connection_that_was_opened_in_time_stays() {
    let server = Lapps::start(&impatient(Home::with_echo()));
    let mut open = Client::open(&server, "/echo");
    let mut silent = Client::connect(&server);
    // The silent one came later; when it is gone, the time of the open one has passed too.
    assert_eq!(silent.get(), Got::Eof);
    open.text("still here");
    assert_eq!(open.get(), Got::Text("still here".into()));
}
