//! The table of handshakes: good ones and bad ones, by RFC and section.

use super::head::Head;
use super::lines;

/// One head and the status that answers it.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) section: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// 101, or why it is refused.
    pub(crate) status: u16,
}

impl Case {
    fn new(section: &'static str, name: &str, status: u16, head: &Head) -> Case {
        Case { section, name: name.into(), bytes: head.bytes(), status }
    }
}

/// All cases for a service at `target`.
pub(crate) fn all(target: &str) -> Vec<Case> {
    let mut cases = vec![Case::new("RFC 6455 4.2.1", "the good head", 101, &Head::good(target))];
    varied(target, &mut cases);
    whole(target, &mut cases);
    clients(target, &mut cases);
    ends_of_line(target, &mut cases);
    limits(target, &mut cases);
    strangers(&mut cases);
    cases
}

/// One line of the good head is changed: see [`lines`].
fn varied(target: &str, cases: &mut Vec<Case>) {
    for group in lines::GROUPS {
        for &(text, status) in group.rows {
            let text = with_target(text, target);
            let good = Head::good(target);
            let head = match group.replaces {
                "the first line" => good.line(&text),
                "nothing" => good.add(&text),
                field => good.set(field, &text),
            };
            cases.push(Case::new(group.section, &text.escape_ascii().to_string(), status, &head));
        }
    }
}

/// `text` with the target in place of the word `TARGET`.
fn with_target(text: &[u8], target: &str) -> Vec<u8> {
    match text.windows(6).position(|word| word == b"TARGET") {
        Some(at) => [&text[..at], target.as_bytes(), &text[at + 6..]].concat(),
        None => text.to_vec(),
    }
}

/// More than one line is changed.
fn whole(target: &str, cases: &mut Vec<Case>) {
    let good = || Head::good(target);
    let mut add = |section, name: &str, status, head: Head| {
        cases.push(Case::new(section, name, status, &head));
    };
    let rfc = "RFC 9110 5.1: names of fields ignore case";
    add(rfc, "lower-case names", 101, good().map(|field| with_name(field, <[u8]>::to_ascii_lowercase)));
    add(rfc, "upper-case names", 101, good().map(|field| with_name(field, <[u8]>::to_ascii_uppercase)));
    let rfc = "RFC 9110 5.3: the order of fields of different names does not matter";
    add(rfc, "Host last", 101, good().reversed());
    let rfc = "RFC 9112 5.1: white space around values does not count";
    add(rfc, "no space after the colons", 101, good().map(|field| replaced(field, b": ", b":")));
    add(
        rfc,
        "tabs and spaces",
        101,
        good().map(|field| [&replaced(field, b": ", b":\t  "), &b" \t "[..]].concat()),
    );
    let rfc = "RFC 9112 5.1: no white space before the colon";
    add(rfc, "before every colon", 400, good().map(|field| replaced(field, b":", b" :")));
    let rfc = "RFC 9112 5.2: a line that begins with white space";
    add(rfc, "the first of the fields", 400, good().add_first(" X: y"));

    let rfc = "RFC 6455 4.2.1: what must be there";
    for (field, status) in [
        ("Host", 400),
        ("Upgrade", 426),
        ("Connection", 400),
        ("Sec-WebSocket-Key", 400),
        ("Sec-WebSocket-Version", 426),
    ] {
        add(rfc, &format!("without {field}"), status, good().without(field));
    }
    let plain = || {
        ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]
            .into_iter()
            .fold(good(), Head::without)
    };
    let rfc = "RFC 9110 15.5.22: a plain request for a WebSocket";
    add(rfc, "GET", 426, plain());
    add(rfc, "GET with a query", 426, plain().line(format!("GET {target}?a=b HTTP/1.1")));
    add(
        rfc,
        "GET in HTTP/1.0 without Host",
        426,
        plain().line(format!("GET {target} HTTP/1.0")).without("Host"),
    );
    add(rfc, "HEAD", 405, plain().line(format!("HEAD {target} HTTP/1.1")));
    add(rfc, "POST", 405, plain().line(format!("POST {target} HTTP/1.1")).add("Content-Length: 5"));
    let rfc = "RFC 6455 4.2.1: HTTP/1.1 or higher";
    add(rfc, "HTTP/1.0 without Host", 400, good().line(format!("GET {target} HTTP/1.0")).without("Host"));

    let rfc = "RFC 9112 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing";
    add(
        rfc,
        "with an upgrade",
        400,
        good().line(format!("GET {target} HTTP/1.0")).add("Transfer-Encoding: chunked"),
    );
    let rfc = "RFC 9112 6.3: Content-Length together with Transfer-Encoding";
    let length = good().add("Content-Length: 5");
    add(rfc, "length first", 400, length.clone().add("Transfer-Encoding: chunked"));
    add(rfc, "encoding first", 400, good().add("Transfer-Encoding: chunked").add("Content-Length: 5"));
    add(rfc, "length 0", 400, good().add("Transfer-Encoding: chunked").add("Content-Length: 0"));
    add(rfc, "names in other cases", 400, length.clone().add("tRANSFER-eNCODING: chunked"));
    add(rfc, "POST", 400, length.line(format!("POST {target} HTTP/1.1")).add("Transfer-Encoding: chunked"));
    let rfc = "RFC 9112 6.3: one Content-Length";
    add(rfc, "twice, equal", 400, good().add("Content-Length: 0").add("Content-Length: 0"));
    add(rfc, "twice, different", 400, good().add("Content-Length: 0").add("Content-Length: 5"));
    add(rfc, "twice, in other cases", 400, good().add("content-length: 0").add("CONTENT-LENGTH: 0"));
}

/// Heads as well-known clients send them.
fn clients(target: &str, cases: &mut Vec<Case>) {
    let section = "heads of well-known clients";
    let key = crate::common::client::KEY;
    let chromium = [
        "Host: 127.0.0.1:5083",
        "Connection: Upgrade",
        "Pragma: no-cache",
        "Cache-Control: no-cache",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        "Upgrade: websocket",
        "Origin: http://127.0.0.1:5083",
        "Sec-WebSocket-Version: 13",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: de-DE,de;q=0.9,en;q=0.8",
        "Cookie: a=b; c=\"d e\"",
        "Sec-WebSocket-Key: KEY",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    ];
    let firefox = [
        "Host: localhost:5083",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Accept: */*",
        "Accept-Language: en-US,en;q=0.5",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Sec-WebSocket-Version: 13",
        "Origin: null",
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Key: KEY",
        "Connection: keep-alive, Upgrade",
        "Sec-Fetch-Dest: empty",
        "Sec-Fetch-Mode: websocket",
        "Sec-Fetch-Site: same-origin",
        "Pragma: no-cache",
        "Cache-Control: no-cache",
        "Upgrade: websocket",
    ];
    let python = [
        "Host: 127.0.0.1:5083",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: KEY",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        "User-Agent: Python/3.13 websockets/15.0",
    ];
    let curl = [
        "Host: 127.0.0.1:5083",
        "User-Agent: curl/8.14.1",
        "Accept: */*",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: KEY",
        "Connection: Upgrade",
    ];
    let proxy = [
        "Host: lapps.example",
        "X-Forwarded-For: 192.0.2.7, 2001:db8::1",
        "X-Forwarded-Proto: https",
        "Via: 1.1 proxy.example",
        "Upgrade: WebSocket",
        "Connection: upgrade",
        "Sec-WebSocket-Key: KEY",
        "Sec-WebSocket-Version: 13",
        "Content-Length: 0",
    ];
    let heads: [(&str, &[&str]); 5] = [
        ("Chromium", &chromium),
        ("Firefox", &firefox),
        ("websockets for Python", &python),
        ("curl", &curl),
        ("a proxy", &proxy),
    ];
    for (name, fields) in heads {
        let text = format!("GET {target} HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n")).replace("KEY", key);
        cases.push(Case { section, name: name.into(), bytes: text.into_bytes(), status: 101 });
    }
}

/// What lines end with, and what may stand in no line.
fn ends_of_line(target: &str, cases: &mut Vec<Case>) {
    let good = Head::good(target).bytes();
    let mut add = |section, name: &str, status, bytes: Vec<u8>| {
        cases.push(Case { section, name: name.into(), bytes, status });
    };
    let rfc = "RFC 9112 2.2: empty lines before the request line";
    for count in [1, 2, 20] {
        add(rfc, &format!("{count} CRLF"), 101, ["\r\n".repeat(count).as_bytes(), &good].concat());
    }
    add(rfc, "LF", 400, [b"\n", &good[..]].concat());
    add(rfc, "CR", 400, [b"\r", &good[..]].concat());
    add(rfc, "a space and CRLF", 400, [b" \r\n", &good[..]].concat());
    let rfc = "RFC 9112 2.2: lines end in CRLF";
    add(rfc, "LF everywhere", 400, replaced(&good, b"\r\n", b"\n"));
    add(rfc, "LF after the request line", 400, replaced_first(&good, b"\r\n", b"\n"));
    add(rfc, "LF after a field", 400, replaced_first(&good, b"localhost\r\n", b"localhost\n"));
    add(rfc, "LF as the last end of line", 400, replaced(&good, b"\r\n\r\n", b"\r\n\n"));
    add(rfc, "LF LF at the end", 400, replaced(&good, b"\r\n\r\n", b"\n\n"));
    add(rfc, "CR everywhere", 400, [replaced(&good, b"\r\n", b"\r"), b"\r\n\r\n".to_vec()].concat());
    add(rfc, "CR after the request line", 400, replaced_first(&good, b"\r\n", b"\r"));
    add(rfc, "CR CR LF after a field", 400, replaced_first(&good, b"localhost\r\n", b"localhost\r\r\n"));
    let rfc = "RFC 9112 3: not a request at all";
    add(rfc, "a word", 400, b"hello\r\n\r\n".to_vec());
    add(rfc, "a TLS ClientHello", 400, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec());
    add(rfc, "a response", 400, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec());
    add(rfc, "bytes of all kinds", 400, (0..=255).collect());
    add(
        "RFC 9113 3.4: the preface of HTTP/2",
        "prior knowledge",
        505,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
    );
}

/// Lengths at their limits and one over: 16 KiB of head, 100 fields, 8 KiB of target.
fn limits(target: &str, cases: &mut Vec<Case>) {
    let good = || Head::good(target);
    let section = "limits of the head";
    let mut add = |name: &str, status, bytes: Vec<u8>| {
        cases.push(Case { section, name: name.into(), bytes, status });
    };
    let aim = |len: usize| {
        let start = format!("{target}?");
        good().line(format!("GET {start}{} HTTP/1.1", "q".repeat(len - start.len()))).bytes()
    };
    add("a target of 8192 bytes", 101, aim(8192));
    add("a target of 8193 bytes", 414, aim(8193));
    add("a target of 15000 bytes", 414, aim(15_000));
    add("a target without end", 414, format!("GET {target}?{}", "q".repeat(20_000)).into_bytes());
    add("100 fields", 101, good().with_fields(100).bytes());
    add("101 fields", 431, good().with_fields(101).bytes());
    add("1000 fields", 431, good().with_fields(1000).bytes());
    add("16384 bytes", 101, good().with_len(16_384).bytes());
    add("16385 bytes", 431, good().with_len(16_385).bytes());
    add(
        "16384 bytes with empty lines before",
        101,
        [b"\r\n\r\n", &good().with_len(16_380).bytes()[..]].concat(),
    );
    add("one field of 15 KiB", 101, good().add(format!("X: {}", "x".repeat(15 * 1024))).bytes());
    add("one field of 20 KiB", 431, good().add(format!("X: {}", "x".repeat(20 * 1024))).bytes());
    let endless = [good().bytes(), b"X: y\r\n".repeat(5000)].concat();
    add("fields without end", 431, replaced_first(&endless, b"13\r\n\r\n", b"13\r\n"));
    add("empty lines without end", 431, b"\r\n".repeat(10_000));
    add("a method without end", 414, vec![b'G'; 20_000]);
}

/// Targets that no service has.
fn strangers(cases: &mut Vec<Case>) {
    let section = "RFC 6455 4.2.2: no such resource";
    for target in [
        "/",
        "/nowhere",
        "/Echo",
        "/ECHO",
        "/echo/",
        "/echo/x",
        "//echo",
        "/./echo",
        "/x/../echo",
        "/ech",
        "/echoo",
        "/%65cho",
        "/echo;a=b",
        "/nowhere?/echo",
        "/?/echo",
        "http://localhost",
        "http://localhost?/echo",
    ] {
        cases.push(Case::new(section, target, 404, &Head::good(target)));
    }
    let plain = Head::good("/nowhere").without("Upgrade");
    cases.push(Case::new(section, "a plain request", 404, &plain));
    cases.push(Case::new(section, "a plain request for /", 404, &Head::good("/").without("Upgrade")));
    let head = Head::good("/nowhere").line("HEAD /nowhere HTTP/1.1");
    cases.push(Case::new(section, "HEAD", 404, &head));
    let post = Head::good("/nowhere").line("POST /nowhere HTTP/1.1");
    cases.push(Case::new(section, "POST", 404, &post));
}

fn with_name(field: &[u8], change: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let colon = field.iter().position(|&byte| byte == b':').expect("a colon");
    [&change(&field[..colon])[..], &field[colon..]].concat()
}

fn replaced_first(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = text.windows(from.len()).position(|part| part == from).expect("what is to be replaced");
    [&text[..at], to, &text[at + from.len()..]].concat()
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}
