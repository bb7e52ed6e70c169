//! Opening handshakes as an examiner with the RFCs in hand would try them: good and bad heads, whole and cut, plain and TLS.

mod common;

#[path = "handshakes/cases.rs"]
mod cases;
#[path = "handshakes/head.rs"]
mod head;
#[path = "handshakes/lines.rs"]
mod lines;
#[path = "handshakes/services.rs"]
mod services;
#[path = "handshakes/time.rs"]
mod time;

use cases::Case;
use common::client::{Client, Got, Response};
use common::home::Home;
use common::process::Lapps;
use common::table;
use lapps_parser::frame::OpCode;

const TARGETS: [&str; 2] = ["/echo", "/echo-dedicated"];

/// What a client may have sent behind a head that is refused.
const MORE: [&[u8]; 3] = [b"", b"hello", b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"];

fn all_cases() -> Vec<Case> {
    TARGETS.into_iter().flat_map(cases::all).collect()
}

fn name(case: &Case) -> String {
    format!("{}: {}", case.section, case.name)
}

#[test]
fn every_handshake_gets_its_answer() {
    let server = Lapps::start(&Home::with_echo());
    let cases = all_cases();
    assert!(cases.len() >= 400, "{} cases", cases.len());
    table::run(&cases, name, |case| {
        for more in MORE {
            if case.status == 101 && !more.is_empty() {
                continue;
            }
            let mut client = Client::connect(&server);
            client.write(&[&case.bytes, more].concat());
            check(case, &mut client);
        }
    });
    server.stop();
}

#[test]
fn every_handshake_gets_its_answer_through_tls() {
    let server = Lapps::start(&Home::with_echo().tls());
    table::run(&all_cases(), name, |case| {
        let mut client = Client::connect(&server);
        // A server that refuses before the end may have closed before all is sent.
        let _ = client.try_write(&case.bytes);
        if case.status != 101 {
            let _ = client.try_write(b"hello");
        }
        check(case, &mut client);
    });
    server.stop();
}

#[test]
fn every_handshake_gets_its_answer_byte_by_byte() {
    let server = Lapps::start(&Home::with_echo());
    let mut cases = all_cases();
    // The long ones, which are about limits, are cut often enough by TCP itself.
    cases.retain(|case| case.bytes.len() < 1000);
    table::run(&cases, name, |case| {
        let mut client = Client::connect(&server);
        for byte in &case.bytes {
            if client.try_write(&[*byte]).is_err() {
                break;
            }
        }
        check(case, &mut client);
    });
    server.stop();
}

#[test]
fn a_head_may_be_cut_anywhere() {
    let server = Lapps::start(&Home::with_echo());
    for target in TARGETS {
        let wanted = [
            "the good head",
            "GET with a query",
            "length first",
            "before every colon",
            "2 CRLF",
            "LF after a field",
            "a proxy",
        ];
        for case in cases::all(target).into_iter().filter(|case| wanted.contains(&case.name.as_str())) {
            let cuts: Vec<usize> = (1..case.bytes.len()).collect();
            table::run(
                &cuts,
                |cut| format!("{} cut at {cut}", name(&case)),
                |&cut| {
                    let mut client = Client::connect(&server);
                    let (first, second) = case.bytes.split_at(cut);
                    client.write(first);
                    let _ = client.try_write(second);
                    check(&case, &mut client);
                },
            );
        }
    }
}

/// The answer to `case`, which was sent, is the right one, and complete.
fn check(case: &Case, client: &mut Client) {
    let response = client.read_response();
    assert_eq!(response.status, case.status, "{}{}", response.head, response.body);
    if case.status == 101 {
        let head = format!("{}Sec-WebSocket-Accept: {}\r\n\r\n", services::OPEN, accept_of(&case.bytes));
        assert_eq!(response.head, head);
        client.text("hello");
        assert_eq!(client.get(), Got::Text("hello".into()));
        client.close(1000);
        assert_eq!((client.get(), client.get()), (Got::Close(1000, String::new()), Got::Eof));
    } else {
        check_refusal(&response, case.bytes.starts_with(b"HEAD"));
    }
}

/// A response that is complete and says all that its status demands. That the stream ended in FIN was seen when it was read.
fn check_refusal(response: &Response, head_only: bool) {
    let line = response.head.lines().next().unwrap();
    let reason = match response.status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        other => panic!("{other} is no status of a refusal"),
    };
    assert_eq!(line, format!("HTTP/1.1 {} {reason}", response.status));
    let field = |name: &str| response.field(name);
    let length: usize = field("Content-Length").expect("a Content-Length").parse().unwrap();
    assert!(length > 1, "a body that says why");
    if head_only {
        assert_eq!(response.body, "", "an answer to HEAD has no body");
    } else {
        assert_eq!(response.body.len(), length, "{response:?}");
    }
    let connection: Vec<&str> = field("Connection").expect("Connection").split(", ").collect();
    assert!(connection.contains(&"close"), "{response:?}");
    assert_eq!(field("Server"), Some(concat!("LAppS/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(field("Allow"), (response.status == 405).then_some("GET"));
    let upgrade = response.status == 426;
    assert_eq!(field("Upgrade"), upgrade.then_some("websocket"));
    assert_eq!(connection.contains(&"Upgrade"), upgrade);
    assert_eq!(field("Sec-WebSocket-Version"), upgrade.then_some("13"));
}

/// The value of `Sec-WebSocket-Accept` that answers this head, by another implementation than ours.
fn accept_of(head: &[u8]) -> String {
    let name = b"sec-websocket-key:";
    let at = head.windows(name.len()).position(|part| part.eq_ignore_ascii_case(name)).expect("a key")
        + name.len();
    let end = at + head[at..].iter().position(|&byte| byte == b'\r').unwrap();
    tungstenite::handshake::derive_accept_key(head[at..end].trim_ascii())
}

#[test]
fn frames_that_come_with_the_head_are_served_and_heads_that_follow_are_not() {
    for home in [Home::with_echo(), Home::with_echo().tls()] {
        let server = Lapps::start(&home);
        for target in TARGETS {
            let head = head::Head::good(target).bytes();
            let mut frame = Vec::new();
            lapps_parser::frame::write_masked_frame(&mut frame, true, OpCode::Text, b"early", [1, 2, 3, 4]);
            let mut client = Client::connect(&server);
            client.write(&[&head[..], &frame].concat());
            assert_eq!(client.read_response().status, 101);
            assert_eq!(client.get(), Got::Text("early".into()));

            let mut smuggler = Client::connect(&server);
            smuggler.write(&[&head[..], &head].concat());
            assert_eq!(smuggler.read_response().status, 101);
            // `G` has a reserved bit set.
            assert!(matches!(smuggler.get(), Got::Close(1002, _)));
            assert_eq!(smuggler.get(), Got::Eof);
        }
    }
}
