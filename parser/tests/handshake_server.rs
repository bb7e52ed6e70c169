//! The server's side of the opening handshake (RFC 6455, 4.2), requirement by requirement.

mod heads;

use heads::scan_every_way;
use lapps_parser::handshake::{Refusal, Upgrade, read_upgrade, write_accept};
use lapps_parser::http::{HeadLimits, RequestHead, ResponseHead, write_response};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The fields of a good request, each to be left out or replaced.
const FIELDS: [(&str, &str); 5] = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
];

fn request(line: &str, fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{line}\r\n{fields}\r\n")
}

/// A good request with field `name` replaced by a line for each of `values`.
fn with(name: &str, values: &[&str]) -> String {
    let mut fields: Vec<_> = FIELDS.into_iter().filter(|(other, _)| *other != name).collect();
    fields.extend(values.iter().map(|value| (name, *value)));
    request("GET /chat HTTP/1.1", &fields)
}

fn read(text: &str) -> Result<Upgrade<'_>, Refusal> {
    let limits = HeadLimits::default();
    let end = scan_every_way(text.as_bytes(), &limits).unwrap().unwrap();
    assert_eq!(end, text.len());
    let head =
        RequestHead::parse(text.as_bytes(), &limits).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    read_upgrade(&head)
}

#[track_caller]
fn accepted(text: &str) {
    assert_eq!(read(text).map(|_| ()), Ok(()), "{text:?}");
}

#[track_caller]
fn refused(status: u16, refusal: Refusal, text: &str) {
    assert_eq!(read(text).map(|_| ()), Err(refusal), "{text:?}");
    assert_eq!(refusal.status(), status);
}

#[test]
fn the_example_of_section_1_2() {
    let text = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n\
                Upgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
                Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let upgrade = read(text).unwrap();
    assert_eq!(&upgrade.accept, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!((upgrade.path, upgrade.query), ("/chat", None));
    assert_eq!(upgrade.origin, Some(&b"http://example.com"[..]));
    assert_eq!(upgrade.protocols().collect::<Vec<_>>(), ["chat", "superchat"]);
}

#[test]
fn method() {
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "get", "Get", "GETX"] {
        refused(405, Refusal::Method, &request(&format!("{method} /chat HTTP/1.1"), &FIELDS));
        refused(405, Refusal::Method, &request(&format!("{method} /chat HTTP/1.1"), &FIELDS[..1]));
    }
}

#[test]
fn target() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/chat?room=1", "/chat", Some("room=1")),
        ("http://server.example.com/chat?x", "/chat", Some("x")),
        ("ws://server.example.com", "/", None),
    ] {
        let text = request(&format!("GET {target} HTTP/1.1"), &FIELDS);
        let upgrade = read(&text).unwrap();
        assert_eq!((upgrade.path, upgrade.query), (path, query), "{target}");
    }
}

#[test]
fn body() {
    for value in ["1", "5", "007", "18446744073709551615"] {
        refused(400, Refusal::Body, &with("Content-Length", &[value]));
    }
    for value in ["0", "000"] {
        accepted(&with("Content-Length", &[value]));
    }
    refused(400, Refusal::Body, &with("Transfer-Encoding", &["chunked"]));
    refused(400, Refusal::Body, &with("transfer-encoding", &["gzip, chunked"]));
}

#[test]
fn upgrade() {
    for values in [
        &["websocket"][..],
        &["WebSocket"],
        &["WEBSOCKET"],
        &["h2c, websocket"],
        &["websocket,h2c"],
        &[" ,, websocket\t, "],
        &["h2c", "websocket"],
        &["", "websocket"],
        &["websocket", "websocket"],
    ] {
        accepted(&with("Upgrade", values));
        accepted(&with("uPGRADE", values).replace("Upgrade: websocket\r\n", ""));
    }
    for values in [
        &[][..],
        &[""],
        &[","],
        &["h2c"],
        &["websockets"],
        &["web socket"],
        &["websocket/13"],
        &["websocket/1"],
        &["websocket;q=1"],
        &["\"websocket\""],
        &["websocket h2c"],
        &["h2c", "http/2"],
    ] {
        refused(426, Refusal::NotWebSocket, &with("Upgrade", values));
    }
    refused(426, Refusal::NotWebSocket, &request("GET / HTTP/1.1", &FIELDS[..1]));
}

#[test]
fn version_of_http() {
    refused(400, Refusal::Http10, &request("GET /chat HTTP/1.0", &FIELDS));
    refused(400, Refusal::Http10, &request("GET /chat HTTP/1.0", &FIELDS[1..]));
    refused(426, Refusal::NotWebSocket, &request("GET / HTTP/1.0", &[]));
    accepted(&request("GET /chat HTTP/1.2", &FIELDS));
}

#[test]
fn connection() {
    for values in [
        &["Upgrade"][..],
        &["upgrade"],
        &["UPGRADE"],
        &["keep-alive, Upgrade"],
        &["Upgrade,keep-alive"],
        &["keep-alive", "Upgrade"],
        &["keep-alive ,\t, upgrade ,"],
        &["Upgrade", "close"],
    ] {
        accepted(&with("Connection", values));
    }
    for values in [
        &[][..],
        &[""],
        &["keep-alive"],
        &["close"],
        &["Upgraded"],
        &["keep-alive Upgrade"],
        &["Upgrade;x"],
        &["\"Upgrade\""],
    ] {
        refused(400, Refusal::Connection, &with("Connection", values));
    }
}

#[test]
fn version_of_the_protocol() {
    accepted(&with("sec-websocket-version", &["13"]).replace("Sec-WebSocket-Version: 13\r\n", ""));
    accepted(&with("Sec-WebSocket-Version", &["\t13  "]));
    for values in [
        &[][..],
        &[""],
        &["8"],
        &["12"],
        &["14"],
        &["0"],
        &["013"],
        &["13.0"],
        &["+13"],
        &["13, 8"],
        &["13,13"],
        &["13", "13"],
        &["13", "8"],
        &["8", "13"],
        &["13;x"],
        &["thirteen"],
    ] {
        refused(426, Refusal::Version, &with("Sec-WebSocket-Version", values));
    }
}

#[test]
fn key() {
    for values in [
        &[][..],
        &[""],
        &["dGhlIHNhbXBsZSBub25jZQ"],
        &["dGhlIHNhbXBsZSBub25jZQ="],
        &["dGhlIHNhbXBsZSBub25jZR=="],
        &["dGhlIHNhbXBsZSBub25j"],
        &["dGhlIHNhbXBsZSBub25jZQAA"],
        &["dGhlIHNhbXBsZSBub25jZXM="],
        &["dGhlIHNhbXBsZSBub25jZXNz"],
        &["dGhlIHNhbXBsZSBub25jZXNzZQ=="],
        &["dGhlIHNhbXBsZSBub25j-Q=="],
        &["dGhlIHNhbXBsZSBub25j_Q=="],
        &["dGhlIHNhbXBsZSBub2 jZQ=="],
        &["dGhlIHNhbXBsZSBub25jZ==="],
        &["=Ghl=HNhbXBsZSBub25jZQ=="],
        &["abc"],
        &["++++++++++++++++++++++=="],
        &["\u{e9}GhlIHNhbXBsZSBub25jZQ="],
        &["dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="],
        &[KEY, KEY],
        &[KEY, "AAAAAAAAAAAAAAAAAAAAAA=="],
        &[KEY, ""],
    ] {
        refused(400, Refusal::Key, &with("Sec-WebSocket-Key", values));
    }
    for key in [
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "/////////////////////w==",
        "+++++++++++++++++++++Q==",
        "0123456789abcdefABCDEg==",
    ] {
        accepted(&with("Sec-WebSocket-Key", &[key]));
    }
}

#[test]
fn extensions_are_not_looked_at() {
    for value in [
        "permessage-deflate; client_max_window_bits",
        "",
        "x-unknown;;;",
        "permessage-deflate; server_max_window_bits=99",
    ] {
        accepted(&with("Sec-WebSocket-Extensions", &[value]));
        accepted(&with("Sec-WebSocket-Extensions", &[value, value]));
    }
}

#[test]
fn offered_protocols() {
    for (values, offered) in [
        (&[][..], &[][..]),
        (&[""], &[]),
        (&["chat"], &["chat"]),
        (&["chat,superchat"], &["chat", "superchat"]),
        (&[" , chat ,,\tv2.chat ,"], &["chat", "v2.chat"]),
        (&["chat", "superchat"], &["chat", "superchat"]),
        (&["Chat, chat, chat"], &["Chat", "chat", "chat"]),
        (&["a b, c/d, \"e\", \u{e9}, f"], &["f"]),
    ] {
        let text = with("Sec-WebSocket-Protocol", values);
        assert_eq!(read(&text).unwrap().protocols().collect::<Vec<_>>(), offered, "{values:?}");
    }
}

#[test]
fn origin() {
    assert_eq!(read(&with("Origin", &[])).unwrap().origin, None);
    assert_eq!(read(&with("Origin", &["null"])).unwrap().origin, Some(&b"null"[..]));
    assert_eq!(
        read(&with("origin", &["https://a:1", "https://b"])).unwrap().origin,
        Some(&b"https://a:1"[..])
    );
}

#[test]
fn the_first_fault_in_order_is_told() {
    let mut fields = vec![
        ("Host", "a"),
        ("Content-Length", "5"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Key", "x"),
    ];
    let mut line = "POST / HTTP/1.0";
    refused(405, Refusal::Method, &request(line, &fields));
    line = "GET / HTTP/1.0";
    refused(400, Refusal::Body, &request(line, &fields));
    fields[1].1 = "0";
    refused(426, Refusal::NotWebSocket, &request(line, &fields));
    fields.push(("Upgrade", "websocket"));
    refused(400, Refusal::Http10, &request(line, &fields));
    line = "GET / HTTP/1.1";
    refused(400, Refusal::Connection, &request(line, &fields));
    fields.push(("Connection", "upgrade"));
    refused(426, Refusal::Version, &request(line, &fields));
    fields[2].1 = "13";
    refused(400, Refusal::Key, &request(line, &fields));
    fields[3].1 = KEY;
    accepted(&request(line, &fields));
}

#[test]
fn fields_behind_ninety_others_count() {
    let mut fields = vec![("X", "y"); 90];
    fields.extend(FIELDS);
    accepted(&request("GET /chat HTTP/1.1", &fields));
}

#[test]
fn refusals_carry_what_their_status_asks_for() {
    assert_eq!(Refusal::Method.fields(), [("Allow", "GET")]);
    for refusal in [Refusal::NotWebSocket, Refusal::Version] {
        assert_eq!(refusal.fields(), [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]);
        let mut out = Vec::new();
        write_response(&mut out, refusal.status(), "lapps", refusal.fields(), "text/plain", b"", false);
        let head = ResponseHead::parse(&out, &HeadLimits::default()).unwrap();
        assert!(head.fields.has_token("connection", "close"));
        assert!(head.fields.has_token("connection", "upgrade"));
        assert_eq!(head.fields.get("sec-websocket-version"), Some(&b"13"[..]));
    }
    for refusal in [Refusal::Body, Refusal::Http10, Refusal::Connection, Refusal::Key] {
        assert_eq!(refusal.fields(), []);
    }
    assert_eq!(Refusal::Key.to_string(), "Sec-WebSocket-Key must be the base64 of 16 bytes, once");
}

#[test]
fn accepting_byte_for_byte() {
    let text = request("GET /chat HTTP/1.1", &FIELDS);
    let upgrade = read(&text).unwrap();
    let written = |server, extra: &[(&'static str, &'static str)], protocol| {
        let mut out = b"before".to_vec();
        write_accept(&mut out, &upgrade, server, extra.iter().copied(), protocol);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        written("lapps/0.1", &[("A-One", "1"), ("B-Two", "")], Some("chat")),
        "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Server: lapps/0.1\r\nA-One: 1\r\nB-Two: \r\nSec-WebSocket-Protocol: chat\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    let plain = "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(written("", &[], None), plain);
    let evil = [("X", "y\r\nZ: z"), ("X\r\nZ", "z"), ("", "x"), ("X Y", "z")];
    assert_eq!(written("a\r\nb", &evil, Some("a, b")), plain);
}
