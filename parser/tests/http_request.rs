//! Request heads, valid and invalid, section by section of RFC 9112 and RFC 9110: same answer however they
//! are cut.

mod heads;

use heads::scan_every_way;
use lapps_parser::http::{HeadError, HeadLimits, RequestHead, Version};

/// Scans and parses; an `Err` of either is the answer to the client.
fn read(bytes: &[u8], limits: &HeadLimits) -> Result<(), HeadError> {
    let end = scan_every_way(bytes, limits)?.unwrap_or_else(|| panic!("no end: {}", bytes.escape_ascii()));
    RequestHead::parse(&bytes[..end], limits).map(|_| ())
}

#[track_caller]
fn valid(heads: &[&str]) {
    for head in heads {
        assert_eq!(read(head.as_bytes(), &HeadLimits::default()), Ok(()), "{head:?}");
    }
}

#[track_caller]
fn invalid(status: u16, error: HeadError, heads: &[&str]) {
    for head in heads {
        invalid_bytes(status, error, head.as_bytes());
    }
}

#[track_caller]
fn invalid_bytes(status: u16, error: HeadError, head: &[u8]) {
    let found = read(head, &HeadLimits::default());
    assert_eq!(found, Err(error), "{}", head.escape_ascii());
    assert_eq!(error.status(), status);
}

/// A head around these field lines.
fn with_fields(fields: &str) -> String {
    format!("GET /echo HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n\r\n")
}

#[track_caller]
fn valid_fields(fields: &[&str]) {
    for field in fields {
        valid(&[&with_fields(field)]);
    }
}

#[track_caller]
fn invalid_fields(error: HeadError, fields: &[&str]) {
    for field in fields {
        invalid(400, error, &[&with_fields(field)]);
    }
}

/// A head with this target.
fn with_target(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

#[test]
fn lends_out_the_parts_of_a_head() {
    let text = "GET /chat/room?name=a&name=b?c HTTP/1.1\r\nHost: a.example:5083\r\nX-One:1\r\nX-Two: \t two words \t\r\n\
                x-one: 3\r\nX-Empty:\r\nX-Bytes: \u{e9}\r\n\r\n";
    let head = RequestHead::parse(text.as_bytes(), &HeadLimits::default()).unwrap();
    assert_eq!(head.method, "GET");
    assert_eq!(head.target, "/chat/room?name=a&name=b?c");
    assert_eq!(head.path, "/chat/room");
    assert_eq!(head.query, Some("name=a&name=b?c"));
    assert_eq!(head.version, Version::Http11);
    let fields: Vec<_> = head.fields.iter().collect();
    assert_eq!(
        fields,
        [
            ("Host", &b"a.example:5083"[..]),
            ("X-One", b"1"),
            ("X-Two", b"two words"),
            ("x-one", b"3"),
            ("X-Empty", b""),
            ("X-Bytes", "\u{e9}".as_bytes()),
        ]
    );
    assert_eq!(head.fields.get("x-ONE"), Some(&b"1"[..]));
    assert_eq!(head.fields.all("X-One").collect::<Vec<_>>(), [b"1", b"3"]);
    assert_eq!(head.fields.count("x-one"), 2);
    assert_eq!(head.fields.get("X-Three"), None);
    assert_eq!(head.fields.get("X-On"), None, "a prefix is another name");
}

#[test]
fn finds_tokens_in_lists_over_several_lines() {
    let text = with_fields("Connection: keep-alive , Upgrade\r\nConnection:\tTE,, x\r\nConnection: close y");
    let head = RequestHead::parse(text.as_bytes(), &HeadLimits::default()).unwrap();
    for token in ["keep-alive", "upgrade", "UPGRADE", "te", "x"] {
        assert!(head.fields.has_token("connection", token), "{token}");
    }
    for token in ["", "close", "y", "keep", "alive", "Upgrade,"] {
        assert!(!head.fields.has_token("connection", token), "{token}");
    }
    assert!(!head.fields.has_token("upgrade", "x"));
}

#[test]
fn rfc9112_2_2_message_parsing() {
    valid(&[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]);
    invalid(
        400,
        HeadError::BareLf,
        &[
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA: b\nC: d\r\n\r\n",
            "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    invalid(
        400,
        HeadError::BareCr,
        &[
            "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            "GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nA: b\rTransfer-Encoding: chunked\r\n\r\n",
            "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    // White space between the start line and the first field (a MUST of this section).
    invalid(
        400,
        HeadError::Fold,
        &["GET / HTTP/1.1\r\n Host: a\r\n\r\n", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"],
    );
}

#[test]
fn rfc9112_2_3_version() {
    valid(&[
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.9\r\nHost: a\r\n\r\n",
    ]);
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"] {
        let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
        invalid(505, HeadError::VersionNotSupported, &[&head]);
    }
    invalid(505, HeadError::VersionNotSupported, &["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]);
    for version in [
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.10",
        "HTTP/11.1",
        "HTTP/01.1",
        "HTTP/1,1",
        "http/1.1",
        "Http/1.1",
        "HTTP/ 1.1x",
        "HTTP/x.1",
        "HTTP/1.x",
        "HTTP/-1.1",
        "HTTP1.1",
        "HTTPS/1.1",
        "WS/1.1",
        "HTTP/2",
        "XHTTP/1.1",
        "",
    ] {
        let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
        let error = if version.contains(' ') { HeadError::RequestLine } else { HeadError::VersionSyntax };
        invalid(400, error, &[&head]);
    }
}

#[test]
fn rfc9112_3_request_line() {
    invalid(
        400,
        HeadError::RequestLine,
        &[
            "GET\r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 x\r\nHost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / \tHTTP/1.1 \r\nHost: a\r\n\r\n",
        ],
    );
    invalid(
        400,
        HeadError::Method,
        &[
            " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\tGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET\t/ HTTP/1.1 x\r\nHost: a\r\n\r\n",
            "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET: / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n",
            "G\u{c9}T / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    invalid(400, HeadError::Target, &["GET  HTTP/1.1\r\nHost: a\r\n\r\n"]);
    invalid(400, HeadError::VersionSyntax, &["GET / \tHTTP/1.1\r\nHost: a\r\n\r\n"]);
}

#[test]
fn any_token_is_a_method() {
    for method in ["get", "POST", "OPTIONS", "PROPFIND", "M-SEARCH", "!#$%&'*+-.^_`|~09az"] {
        let head = with_target(method, "/");
        valid(&[&head]);
        assert_eq!(RequestHead::parse(head.as_bytes(), &HeadLimits::default()).unwrap().method, method);
    }
}

#[test]
fn rfc9112_3_2_request_target() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/echo", "/echo", None),
        ("//echo", "//echo", None),
        ("/a/../b/./c", "/a/../b/./c", None),
        ("/echo?", "/echo", Some("")),
        ("/echo?x=1?y", "/echo", Some("x=1?y")),
        ("/?http://a/", "/", Some("http://a/")),
        ("/%41%zz%", "/%41%zz%", None),
        ("/a|b{c}^\"<>\\`", "/a|b{c}^\"<>\\`", None),
        ("/*", "/*", None),
        ("http://b.example", "/", None),
        ("http://b.example/", "/", None),
        ("http://b.example/echo?x", "/echo", Some("x")),
        ("http://b.example?x=/y", "/", Some("x=/y")),
        ("HTTP://b.example:80/echo", "/echo", None),
        ("https://[::1]:5083/echo", "/echo", None),
        ("ws://b.example/echo", "/echo", None),
        ("wss://b.example:/echo", "/echo", None),
    ] {
        let text = with_target("GET", target);
        valid(&[&text]);
        let head = RequestHead::parse(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert_eq!((head.target, head.path, head.query), (target, path, query));
    }
    for target in [
        "*",
        "echo",
        "?x=1",
        "a.example",
        "a.example:80",
        "a.example/echo",
        "http:/a/echo",
        "http:echo",
        "http://",
        "http:///echo",
        "http://?x",
        "http://:80/echo",
        "http://user@a/echo",
        "http://user:pw@a/echo",
        "http://a:x/echo",
        "http://a b/echo",
        "http://[::1/echo",
        "http://[:::1]/echo",
        "ftp://a/echo",
        "file:///etc/passwd",
        "://a/echo",
        "/echo#x",
        "#",
        "/#",
        "http://a/#x",
        "http://a#x",
        "\\echo",
        "%2fecho",
        "javascript://a/echo",
    ] {
        let error = if target.contains(' ') { HeadError::RequestLine } else { HeadError::Target };
        invalid(400, error, &[&with_target("GET", target)]);
    }
    for b in (0..=u8::MAX).filter(|b| !matches!(b, b'\r' | b'\n')) {
        let mut head = b"GET /a".to_vec();
        head.push(b);
        head.extend_from_slice(b"b HTTP/1.1\r\nHost: a\r\n\r\n");
        match b {
            b' ' => invalid_bytes(400, HeadError::RequestLine, &head),
            0 => invalid_bytes(400, HeadError::Nul, &head),
            b'\t' | b'#' | 0x80.. => invalid_bytes(400, HeadError::Target, &head),
            1..0x20 | 0x7f => invalid_bytes(400, HeadError::Control, &head),
            _ => assert_eq!(read(&head, &HeadLimits::default()), Ok(()), "byte {b:#x}"),
        }
    }
    // UTF-8 in the target is no better than any other byte above ASCII.
    invalid(400, HeadError::Target, &[&with_target("GET", "/\u{e9}")]);
}

#[test]
fn rfc9112_3_2_forms_of_other_methods() {
    for (method, target) in [("OPTIONS", "*"), ("CONNECT", "a.example:443"), ("CONNECT", "[::1]:443")] {
        let text = with_target(method, target);
        valid(&[&text]);
        let head = RequestHead::parse(text.as_bytes(), &HeadLimits::default()).unwrap();
        assert_eq!((head.path, head.query), (target, None));
    }
    for (method, target) in [
        ("GET", "*"),
        ("options", "*"),
        ("OPTIONS", "**"),
        ("CONNECT", "/echo"),
        ("CONNECT", "a.example"),
        ("CONNECT", "a.example:"),
        ("CONNECT", ":443"),
        ("CONNECT", "[::1]"),
        ("CONNECT", "http://a.example:443"),
        ("CONNECT", "*"),
    ] {
        invalid(400, HeadError::Target, &[&with_target(method, target)]);
    }
}

#[test]
fn rfc9112_3_2_host() {
    invalid(
        400,
        HeadError::HostMissing,
        &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nX-Host: a\r\n\r\n",
            "GET http://a.example/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.7\r\n\r\n",
        ],
    );
    for second in ["Host: a.example", "host: b.example", "HOST:"] {
        invalid_fields(HeadError::HostTwice, &[second]);
        invalid(400, HeadError::HostTwice, &[&format!("GET / HTTP/1.0\r\nHost: a\r\n{second}\r\n\r\n")]);
    }
    for host in [
        "",
        "a",
        "a.example",
        "A.Example.",
        "a.example:80",
        "a.example:",
        "a.example:65535",
        "127.0.0.1",
        "127.0.0.1:5083",
        "[::1]",
        "[::1]:80",
        "[2001:db8::1]:5083",
        "[::ffff:127.0.0.1]",
        "[v1.x:y]",
        "a_b",
        "xn--bcher-kva.example",
        "%41.example",
        "a~!$&'()*+,;=b",
    ] {
        valid(&[&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")]);
        valid(&[&format!("GET / HTTP/1.0\r\nHost:{host} \r\n\r\n")]);
    }
    for host in [
        "a b",
        "a,b c",
        "a/b",
        "/",
        "http://a",
        "a?b",
        "a#b",
        "user@a",
        "a:b",
        "a:80:80",
        "a:-1",
        "a:65536",
        "a:99999999999",
        ":80",
        ":",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "[]:80",
        "[::1]a",
        "[::1]80",
        "[::1]:x",
        "[1.2.3.4]",
        "[fe80::1%25eth0]",
        "[g::1]",
        "[v.x]",
        "[v1.]",
        "[vx.1]",
        "a\\b",
        "a\"b",
        "<a>",
        "a|b",
        "a^b",
        "a`b",
        "{a}",
        "%4",
        "%",
        "%zz",
        "a\tb",
        "b\u{fc}cher",
    ] {
        invalid(400, HeadError::HostInvalid, &[&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")]);
    }
    invalid(400, HeadError::HostInvalid, &["GET / HTTP/1.0\r\nHost: a b\r\n\r\n"]);
}

#[test]
fn rfc9112_5_field_syntax() {
    valid_fields(&[
        "A:b",
        "A:  b",
        "A:\tb\t ",
        "A:",
        "A: ",
        "A: :",
        "A: b:c",
        "!#$%&'*+-.^_`|~09az: x",
        "A: a\tb",
    ]);
    invalid_fields(
        HeadError::SpaceBeforeColon,
        &["A : b", "A\t: b", "Content-Length : 5", "Transfer-Encoding : chunked"],
    );
    invalid_fields(
        HeadError::Fold,
        &["A: b\r\n c", "A: b\r\n\tc", "A: b\r\n : c", "A: b\r\n \r\nC: d", " A: b"],
    );
    invalid_fields(HeadError::SpaceBeforeColon, &["A b: c", "A b"]);
    invalid_fields(
        HeadError::FieldName,
        &[
            ": b",
            ":",
            "A",
            "A\u{e9}: b",
            "A(: b",
            "A@b: c",
            "A\"b\": c",
            "A/b: c",
            "A[0]: b",
            "{A}: b",
            "A;b: c",
            "A,B: c",
            "=: c",
        ],
    );
}

#[test]
fn rfc9110_5_5_field_values() {
    for b in (0..=u8::MAX).filter(|&b| b != b'\n') {
        for (before, after) in
            [("", ""), ("x", "y"), ("0123456789", "0123456789"), ("", "012345678901234567890")]
        {
            let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
            head.extend_from_slice(before.as_bytes());
            head.push(b);
            head.extend_from_slice(after.as_bytes());
            head.extend_from_slice(b"\r\n\r\n");
            match b {
                0 => invalid_bytes(400, HeadError::Nul, &head),
                b'\r' => invalid_bytes(400, HeadError::BareCr, &head),
                b'\t' | 0x20..=0x7e | 0x80.. => {
                    assert_eq!(read(&head, &HeadLimits::default()), Ok(()), "byte {b:#x}")
                }
                _ => invalid_bytes(400, HeadError::Control, &head),
            }
        }
    }
}

#[test]
fn control_bytes_in_names_are_no_names() {
    for b in (0..=u8::MAX).filter(|b| !matches!(b, b'\n' | 0)) {
        if !lapps_parser::http::is_token(&char::from(b & 0x7f).to_string()) || b >= 0x80 {
            let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX".to_vec();
            head.push(b);
            head.extend_from_slice(b"y: z\r\n\r\n");
            let found = read(&head, &HeadLimits::default());
            if b == b':' {
                assert_eq!(found, Ok(()));
            } else {
                assert_eq!(found.map_err(HeadError::status), Err(400), "byte {b:#x}");
            }
        }
    }
}

#[test]
fn rfc9112_6_content_length() {
    valid_fields(&["Content-Length: 0", "content-length:18446744073709551615", "Content-Length: 007"]);
    invalid_fields(
        HeadError::ContentLength,
        &[
            "Content-Length:",
            "Content-Length: ,",
            "Content-Length: +5",
            "Content-Length: -5",
            "Content-Length: 5, 5",
            "Content-Length: 5,6",
            "Content-Length: 0x5",
            "Content-Length: 5 5",
            "Content-Length: 5.0",
            "Content-Length: 1e3",
            "Content-Length: five",
            "Content-Length: 18446744073709551616",
            "Content-Length: 99999999999999999999999",
            "Content-Length: \"5\"",
            "Content-Length: 5;",
            "Content-Length: \u{665}",
        ],
    );
    invalid_fields(
        HeadError::ContentLengthTwice,
        &[
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 0\r\nX: y\r\ncontent-length: 0",
            "Content-Length: 0\r\nContent-Length:",
        ],
    );
}

#[test]
fn rfc9112_6_transfer_encoding() {
    valid_fields(&[
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: Chunked",
        "transfer-encoding: gzip , chunked",
        "TE: trailers",
    ]);
    invalid_fields(
        HeadError::LengthWithEncoding,
        &[
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "Transfer-Encoding: identity\r\nContent-Length: 5",
        ],
    );
    invalid_fields(
        HeadError::TransferEncoding,
        &[
            "Transfer-Encoding:",
            "Transfer-Encoding: ,",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunkedx",
            "Transfer-Encoding: chunked;q=1",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ],
    );
    invalid(400, HeadError::TransferEncoding, &["GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"]);
}

#[test]
fn what_follows_the_head_is_not_looked_at() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for after in [&b"\0\n\r\n\r\n\xff"[..], b"\n", b"\r\n\r\n", b"GET"] {
        let bytes = [head.as_bytes(), after].concat();
        assert_eq!(scan_every_way(&bytes, &HeadLimits::default()), Ok(Some(head.len())));
    }
}

#[test]
fn a_cut_or_continued_head_is_refused() {
    let whole = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    for n in 0..whole.len() {
        let found = RequestHead::parse(&whole[..n], &HeadLimits::default()).map(|_| ());
        assert_eq!(found.map_err(HeadError::status), Err(400), "{n} bytes");
    }
    for after in ["\r\n", "x", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\0"] {
        let bytes = [whole, after.as_bytes()].concat();
        let found = RequestHead::parse(&bytes, &HeadLimits::default()).map(|_| ());
        assert_eq!(found, Err(HeadError::NotWhole), "{after:?}");
    }
}

#[test]
fn limit_of_fields() {
    let limits = HeadLimits { fields: 3, ..HeadLimits::default() };
    let head = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(n - 1));
    assert_eq!(read(head(3).as_bytes(), &limits), Ok(()));
    assert_eq!(read(head(4).as_bytes(), &limits), Err(HeadError::TooManyFields));
    assert_eq!(HeadError::TooManyFields.status(), 431);
    // Not a shorter list of fields: no list at all, so nothing behind the limit can be missed.
    let hidden = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(read(hidden.as_bytes(), &limits), Err(HeadError::TooManyFields));
    let default = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X:\r\n".repeat(n - 1));
    let parse = |head: String| RequestHead::parse(head.as_bytes(), &HeadLimits::default()).map(|_| ());
    assert_eq!(parse(default(100)), Ok(()));
    assert_eq!(parse(default(101)), Err(HeadError::TooManyFields));
}

#[test]
fn limit_of_the_head() {
    let head = "\r\nGET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n\r\n";
    let limit = |n| HeadLimits { head: n, ..HeadLimits::default() };
    assert_eq!(read(head.as_bytes(), &limit(head.len())), Ok(()));
    for n in 0..head.len() {
        assert_eq!(read(head.as_bytes(), &limit(n)), Err(HeadError::HeadTooLong), "{n}");
        assert_eq!(
            RequestHead::parse(head.as_bytes(), &limit(n)).map(|_| ()),
            Err(HeadError::HeadTooLong),
            "{n}"
        );
        // The limit is met when its last byte is there, not when the head ends at last.
        assert_eq!(scan_every_way(&head.as_bytes()[..n], &limit(n)), Err(HeadError::HeadTooLong), "{n}");
    }
    assert_eq!(HeadError::HeadTooLong.status(), 431);
}

#[test]
fn limit_of_the_target() {
    let limits = HeadLimits { target: 20, ..HeadLimits::default() };
    let target = |n: usize| with_target("GET", &format!("/{}", "x".repeat(n - 1)));
    assert_eq!(read(target(20).as_bytes(), &limits), Ok(()));
    assert_eq!(read(target(21).as_bytes(), &limits), Err(HeadError::TargetTooLong));
    assert_eq!(read(target(2000).as_bytes(), &limits), Err(HeadError::TargetTooLong));
    assert_eq!(HeadError::TargetTooLong.status(), 414);
    // Found long before the line ends.
    let endless = format!("GET /{}", "x".repeat(100));
    assert_eq!(scan_every_way(endless.as_bytes(), &limits), Err(HeadError::TargetTooLong));
    let default = HeadLimits::default();
    assert_eq!(RequestHead::parse(target(8192).as_bytes(), &default).map(|_| ()), Ok(()));
    assert_eq!(
        RequestHead::parse(target(8193).as_bytes(), &default).map(|_| ()),
        Err(HeadError::TargetTooLong)
    );
    // Other lines may be longer than a target.
    let long_field = with_fields(&format!("X: {}", "y".repeat(500)));
    assert_eq!(RequestHead::parse(long_field.as_bytes(), &limits).map(|_| ()), Ok(()));
    assert_eq!(scan_every_way(long_field.as_bytes(), &limits), Ok(Some(long_field.len())));
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(HeadError::SpaceBeforeColon.to_string(), "white space before the colon of a header field");
    assert_eq!(HeadError::HostMissing.to_string(), "the Host field is missing");
}
