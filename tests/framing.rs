//! Frames as an examiner with RFC 6455 in hand would try them: good and bad, whole and cut, on both placements, plain and TLS.

mod common;

#[path = "framing/case.rs"]
mod case;
#[path = "framing/endings.rs"]
mod endings;
#[path = "framing/farewell.rs"]
mod farewell;
#[path = "framing/headers.rs"]
mod headers;
#[path = "framing/messages.rs"]
mod messages;
#[path = "framing/texts.rs"]
mod texts;
#[path = "framing/wire.rs"]
mod wire;

use case::Case;
use common::client::Client;
use common::home::{ECHO, Home};
use common::process::Lapps;
use common::table;
use serde_json::json;

/// The endings of targets: in the workers, and on a thread of its own.
const PLACEMENTS: [&str; 2] = ["", "-dedicated"];

fn home() -> Home {
    let echo = ECHO.replace("echo", "NAME");
    Home::new()
        .on_both("echo", &echo, json!({ "max_inbound_message_size": 16 << 20 }))
        .on_both("small", &echo, json!({ "max_inbound_message_size": 1000, "max_fragments": 4 }))
        .on_both("usual", &echo, json!({}))
}

fn all_cases() -> Vec<Case> {
    let all = [headers::cases(), messages::cases(), endings::cases(), texts::cases()].concat();
    assert!(all.len() >= 500, "{} cases", all.len());
    all
}

/// Runs every case on a connection of its own, on both placements.
fn run(home: &Home, cases: &[Case]) {
    let server = Lapps::start(home);
    for placement in PLACEMENTS {
        table::run(cases, Case::title, |case| {
            let mut client = Client::open(&server, &format!("/{}{placement}", case.service));
            case.check(&mut client, placement.is_empty());
        });
    }
    server.stop();
}

#[test]
fn every_case_in_one_segment() {
    run(&home(), &all_cases());
}

#[test]
fn every_case_through_tls() {
    run(&home().tls(), &all_cases());
}

#[test]
fn every_case_byte_by_byte() {
    let cases: Vec<Case> = all_cases().iter().filter_map(Case::byte_by_byte).collect();
    run(&home(), &cases);
}
