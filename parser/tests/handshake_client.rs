//! The client's side of the opening handshake (RFC 6455, 4.1), and both sides against each other.

mod heads;

use heads::scan_every_way;
use lapps_parser::handshake::{
    ResponseError, check_response, encode_key, read_upgrade, write_accept, write_request,
};
use lapps_parser::http::{HeadLimits, RequestHead, ResponseHead};
use proptest::prelude::*;

const KEY: &[u8; 24] = b"dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn check(text: &str) -> Result<(), ResponseError> {
    let limits = HeadLimits::default();
    assert_eq!(scan_every_way(text.as_bytes(), &limits), Ok(Some(text.len())));
    let head =
        ResponseHead::parse(text.as_bytes(), &limits).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    check_response(&head, KEY)
}

/// A good response with field `name` replaced by a line for each of `values`.
fn with(name: &str, values: &[&str]) -> String {
    let fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)];
    let kept = fields.iter().filter(|(other, _)| *other != name).copied();
    let lines: String = kept
        .chain(values.iter().map(|value| (name, *value)))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n")
}

#[test]
fn the_example_of_section_1_2() {
    let text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    assert_eq!(check(text), Ok(()));
}

#[test]
fn responses() {
    for (name, values, expected) in [
        ("Upgrade", &["WebSocket"][..], Ok(())),
        ("Upgrade", &[], Err(ResponseError::Upgrade)),
        ("Upgrade", &["h2c"], Err(ResponseError::Upgrade)),
        ("Upgrade", &["websocket, h2c"], Err(ResponseError::Upgrade)),
        ("Upgrade", &["websocket", "websocket"], Err(ResponseError::Upgrade)),
        ("Connection", &["keep-alive, upgrade"], Ok(())),
        ("Connection", &["keep-alive", "UPGRADE"], Ok(())),
        ("Connection", &[], Err(ResponseError::Connection)),
        ("Connection", &["close"], Err(ResponseError::Connection)),
        ("Sec-WebSocket-Accept", &["  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\t"], Ok(())),
        ("Sec-WebSocket-Accept", &[], Err(ResponseError::Accept)),
        ("Sec-WebSocket-Accept", &[""], Err(ResponseError::Accept)),
        ("Sec-WebSocket-Accept", &["S3pPLMBiTxaQ9kYGzzhZRbK+xOo="], Err(ResponseError::Accept)),
        ("Sec-WebSocket-Accept", &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo"], Err(ResponseError::Accept)),
        ("Sec-WebSocket-Accept", &["dGhlIHNhbXBsZSBub25jZQ=="], Err(ResponseError::Accept)),
        ("Sec-WebSocket-Accept", &[ACCEPT, ACCEPT], Err(ResponseError::Accept)),
        ("Sec-WebSocket-Extensions", &[""], Ok(())),
        ("Sec-WebSocket-Extensions", &["permessage-deflate"], Err(ResponseError::Extension)),
        ("Sec-WebSocket-Extensions", &["", "x"], Err(ResponseError::Extension)),
        ("Content-Length", &["0"], Ok(())),
    ] {
        assert_eq!(check(&with(name, values)), expected, "{name}: {values:?}");
    }
}

#[test]
fn other_statuses() {
    for (line, expected, text) in [
        ("HTTP/1.1 200 OK", ResponseError::Status(200), "the server answered 200 OK"),
        ("HTTP/1.1 403 Nope", ResponseError::Status(403), "the server answered 403 Forbidden"),
        ("HTTP/1.1 302 Found", ResponseError::Status(302), "the server answered 302"),
        ("HTTP/1.1 100 Continue", ResponseError::Status(100), "the server answered 100"),
        ("HTTP/1.0 101 x", ResponseError::Http10, "the server switched protocols in HTTP/1.0"),
    ] {
        let response = with("X", &["y"]).replace("HTTP/1.1 101 Switching Protocols", line);
        assert_eq!(check(&response), Err(expected));
        assert_eq!(expected.to_string(), text);
    }
}

#[test]
fn a_request_byte_for_byte() {
    let mut out = b"before".to_vec();
    write_request(
        &mut out,
        "a.example:5083",
        "/echo?x=1",
        KEY,
        &[("Origin", "http://b"), ("X", "y\r\nZ: z")],
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "beforeGET /echo?x=1 HTTP/1.1\r\nHost: a.example:5083\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://b\r\n\r\n"
    );
}

#[test]
fn nothing_in_a_uri_breaks_the_request_open() {
    let mut out = Vec::new();
    write_request(&mut out, "a\r\nX: y", "/a b\r\n\u{e9}#", KEY, &[]);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("GET /a%20b%0D%0A%C3%A9%23 HTTP/1.1\r\nHost: a%0D%0AX:%20y\r\nUpgrade"),
        "{text}"
    );
    let mut out = Vec::new();
    write_request(&mut out, "a", "", KEY, &[]);
    assert!(out.starts_with(b"GET / HTTP/1.1\r\n"));
}

fn fail(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

proptest! {
    #[test]
    fn both_sides_agree(
        random in any::<[u8; 16]>(),
        host in "[a-z][a-z0-9.-]{0,20}(:[0-9]{1,4})?",
        path in "/\\PC{0,20}",
        protocols in prop::collection::vec("[a-z.]{1,10}", 0..4),
    ) {
        let limits = HeadLimits::default();
        let key = encode_key(random);
        let offer = protocols.join(", ");
        let extra = [("Sec-WebSocket-Protocol", &offer[..])];
        let mut request = Vec::new();
        write_request(&mut request, &host, &path, &key, if protocols.is_empty() { &[] } else { &extra });
        prop_assert_eq!(scan_every_way(&request, &limits), Ok(Some(request.len())));
        let head = RequestHead::parse(&request, &limits).map_err(fail)?;
        prop_assert_eq!(head.fields.get("host"), Some(host.as_bytes()));
        let upgrade = read_upgrade(&head).map_err(fail)?;
        prop_assert_eq!(upgrade.protocols().collect::<Vec<_>>(), protocols);

        let mut response = Vec::new();
        write_accept(&mut response, &upgrade, "lapps", [("X", "y")].into_iter(), upgrade.protocols().next());
        prop_assert_eq!(scan_every_way(&response, &limits), Ok(Some(response.len())));
        let head = ResponseHead::parse(&response, &limits).map_err(fail)?;
        prop_assert_eq!(check_response(&head, &key), Ok(()));
        let other = encode_key(random.map(|b| !b));
        prop_assert_eq!(check_response(&head, &other), Err(ResponseError::Accept));
    }
}
