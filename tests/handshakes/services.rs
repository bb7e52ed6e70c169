//! What a handshake meets beside the RFCs: services in every state, access lists, origins, fields of the answer.

use serde_json::{Value, json};

use super::head::Head;
use super::{accept_of, check_refusal};
use crate::common::client::{Client, Got, Response};
use crate::common::home::{ECHO, Home};
use crate::common::process::Lapps;

/// The beginning of every 101 of a service without fields of its own.
pub(crate) const OPEN: &str = concat!(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nServer: LAppS/",
    env!("CARGO_PKG_VERSION"),
    "\r\n"
);

fn ask(server: &Lapps, head: &Head) -> Response {
    let mut client = Client::connect(server);
    client.write(&head.bytes());
    let response = client.read_response();
    if response.status != 101 {
        check_refusal(&response, false);
    }
    response
}

fn status(server: &Lapps, target: &str) -> u16 {
    ask(server, &Head::good(target)).status
}

/// An echo service at both placements with these keys.
fn with(home: Home, name: &str, keys: Value) -> Home {
    home.on_both(name, &ECHO.replace("echo", "NAME"), keys)
}

#[test]
fn the_answer_has_the_services_own_fields_in_key_order_and_its_subprotocol_before_the_accept_key() {
    let home = with(
        Home::new(),
        "dressed",
        json!({ "extra_headers": { "X-b": "2", "X-A": "1", "Cache-Control": "no-store" }, "proto_alias": "chat.v1" }),
    );
    let home = with(home, "bare", json!({}));
    let server = Lapps::start(&home);
    for placement in ["", "-dedicated"] {
        for (service, own) in [
            ("dressed", "Cache-Control: no-store\r\nX-A: 1\r\nX-b: 2\r\nSec-WebSocket-Protocol: chat.v1\r\n"),
            ("bare", ""),
        ] {
            let head = Head::good(&format!("/{service}{placement}")).add("Sec-WebSocket-Protocol: chat.v1");
            let accept = accept_of(&head.bytes());
            let expected = format!("{OPEN}{own}Sec-WebSocket-Accept: {accept}\r\n\r\n");
            assert_eq!(ask(&server, &head).head, expected);
        }
    }
}

#[test]
fn a_target_is_found_by_its_whole_path() {
    let home = with(Home::new(), "deep", json!({ "request_target": "/a/b.c/%7Ed" }));
    // Two services cannot have one target: the dedicated one keeps its own.
    let home = home.service("root", &ECHO.replace("echo", "root"), json!({ "request_target": "/" }));
    let server = Lapps::start(&home);
    for (target, expected) in [
        ("/a/b.c/%7Ed", 101),
        ("/a/b.c/%7Ed?/", 101),
        ("/a/b.c/~d", 404),
        ("/a/b.c", 404),
        ("/a", 404),
        ("/", 101),
        ("/?x", 101),
        ("http://localhost", 101),
        ("http://localhost?x", 101),
        ("//", 404),
    ] {
        assert_eq!(status(&server, target), expected, "{target}");
    }
}

#[test]
fn services_that_do_not_run_answer_503_and_nobody_else_suffers() {
    let home = Home::new().on_both("broken", "return {", json!({})).on_both(
        "late",
        &ECHO.replace("echo", "NAME"),
        json!({ "auto_start": false }),
    );
    let server = Lapps::start(&with(home, "fine", json!({})));
    for placement in ["", "-dedicated"] {
        assert_eq!(status(&server, &format!("/broken{placement}")), 503);
        assert_eq!(status(&server, &format!("/late{placement}")), 503);
        let mut client = Client::open(&server, &format!("/fine{placement}"));
        client.text("hello");
        assert_eq!(client.get(), Got::Text("hello".into()));
    }
}

#[test]
fn a_services_access_list_is_answered_with_403_and_not_with_101() {
    let mut home = Home::new();
    for (name, acl) in [
        ("open", json!({ "policy": "allow", "exclude": ["10.0.0.0/8", "127.0.0.2", "::1"] })),
        ("shut", json!({ "policy": "allow", "exclude": ["127.0.0.0/8"] })),
        ("exact", json!({ "policy": "allow", "exclude": ["127.0.0.1"] })),
        ("chosen", json!({ "policy": "deny", "exclude": ["127.0.0.1/32"] })),
        ("others", json!({ "policy": "deny", "exclude": ["127.0.0.2", "192.0.2.0/24"] })),
        ("nobody", json!({ "policy": "deny" })),
    ] {
        home = with(home, name, json!({ "acl": acl }));
    }
    let server = Lapps::start(&home);
    for placement in ["", "-dedicated"] {
        for (name, expected) in
            [("open", 101), ("shut", 403), ("exact", 403), ("chosen", 101), ("others", 403), ("nobody", 403)]
        {
            assert_eq!(status(&server, &format!("/{name}{placement}")), expected, "{name}{placement}");
        }
    }
}

#[test]
fn the_servers_access_list_closes_without_a_byte() {
    let home = with(Home::new(), "echo", json!({}));
    let server = Lapps::start(&home.ws(json!({ "acl": { "policy": "allow", "exclude": ["127.0.0.0/8"] } })));
    for _ in 0..20 {
        let mut client = Client::connect(&server);
        assert!(matches!(client.get(), Got::Eof | Got::Reset));
    }
    server.stop();
    let home = with(Home::new(), "echo", json!({}));
    let server = Lapps::start(&home.ws(json!({ "acl": { "policy": "deny", "exclude": ["127.0.0.1"] } })));
    assert_eq!(status(&server, "/echo"), 101);
}

#[test]
fn only_the_listed_origins_may_connect() {
    let origins = json!(["https://example.org", "http://localhost:8080", "null"]);
    let home = with(with(Home::new(), "listed", json!({ "origins": origins })), "any", json!({}));
    let server = Lapps::start(&home);
    for (origin, expected) in [
        ("Origin: https://example.org", 101),
        ("origin: https://example.org", 101),
        ("Origin: HTTPS://EXAMPLE.ORG", 101),
        ("Origin: http://localhost:8080", 101),
        ("Origin: null", 101),
        ("Origin: http://example.org", 403),
        ("Origin: https://example.org:8443", 403),
        ("Origin: https://example.org.evil.example", 403),
        ("Origin: https://sub.example.org", 403),
        ("Origin: https://example.org/", 403),
        ("Origin: http://localhost", 403),
        ("Origin: https://evil.example, https://example.org", 403),
        ("Origin:", 403),
        ("X-Origin: null", 403),
    ] {
        for placement in ["", "-dedicated"] {
            let head = Head::good(&format!("/listed{placement}")).add(origin);
            assert_eq!(ask(&server, &head).status, expected, "{origin}");
            let head = Head::good(&format!("/any{placement}")).add(origin);
            assert_eq!(ask(&server, &head).status, 101, "{origin}");
        }
    }
}
