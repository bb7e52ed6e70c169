//! Response heads, valid and invalid (RFC 9112, 4): same answer however they are cut.

mod heads;

use heads::scan_every_way;
use lapps_parser::http::{HeadError, HeadLimits, ResponseHead, Version, reason, write_response};

fn read(bytes: &[u8]) -> Result<ResponseHead<'_>, HeadError> {
    let limits = HeadLimits::default();
    let end = scan_every_way(bytes, &limits)?.unwrap_or_else(|| panic!("no end: {}", bytes.escape_ascii()));
    ResponseHead::parse(&bytes[..end], &limits)
}

#[test]
fn status_lines() {
    for (line, version, status, reason) in [
        ("HTTP/1.1 101 Switching Protocols", Version::Http11, 101, "Switching Protocols"),
        ("HTTP/1.1 200 ", Version::Http11, 200, ""),
        ("HTTP/1.1 200", Version::Http11, 200, ""),
        ("HTTP/1.0 404 Not  Found\t", Version::Http10, 404, "Not  Found\t"),
        ("HTTP/1.1 503  x", Version::Http11, 503, " x"),
        ("HTTP/1.1 599 gr\u{fc}n", Version::Http11, 599, "gr\u{fc}n"),
    ] {
        let text = format!("{line}\r\nServer: x\r\n\r\n");
        let head = read(text.as_bytes()).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(
            (head.version, head.status, head.reason),
            (version, status, reason.as_bytes()),
            "{line:?}"
        );
        assert_eq!(head.fields.get("server"), Some(&b"x"[..]));
    }
    for (line, error) in [
        ("HTTP/1.1", HeadError::StatusLine),
        ("HTTP/1.1 ", HeadError::StatusLine),
        ("HTTP/1.1 20", HeadError::StatusLine),
        ("HTTP/1.1 2000", HeadError::StatusLine),
        ("HTTP/1.1 20x OK", HeadError::StatusLine),
        ("HTTP/1.1 099 OK", HeadError::StatusLine),
        ("HTTP/1.1 600 OK", HeadError::StatusLine),
        ("HTTP/1.1  200 OK", HeadError::StatusLine),
        ("HTTP/1.1\t200 OK", HeadError::StatusLine),
        ("HTTP/1.1 200\tOK", HeadError::StatusLine),
        ("200 OK", HeadError::StatusLine),
        ("HTTP/1.1x200 OK", HeadError::StatusLine),
        ("http/1.1 200 OK", HeadError::VersionSyntax),
        (" HTTP/1.1 200 OK", HeadError::VersionSyntax),
        ("ICY 200 OK", HeadError::VersionSyntax),
        ("HTTP/2.0 200 OK", HeadError::VersionNotSupported),
        ("HTTP/1.1 200 O\rK", HeadError::BareCr),
        ("HTTP/1.1 200 O\0K", HeadError::Nul),
        ("HTTP/1.1 200 O\x1bK", HeadError::Control),
    ] {
        let text = format!("{line}\r\nServer: x\r\n\r\n");
        assert_eq!(read(text.as_bytes()).map(|_| ()), Err(error), "{line:?}");
    }
    assert_eq!(read(b"\r\nHTTP/1.1 200 OK\r\n\r\n").map(|_| ()), Err(HeadError::StatusLine));
}

#[test]
fn fields_are_checked_as_in_requests() {
    for (field, error) in [
        ("A : b", HeadError::SpaceBeforeColon),
        ("A: b\r\n c", HeadError::Fold),
        (": b", HeadError::FieldName),
        ("Content-Length: x", HeadError::ContentLength),
        ("Content-Length: 1\r\nContent-Length: 1", HeadError::ContentLengthTwice),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", HeadError::LengthWithEncoding),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
        assert_eq!(read(text.as_bytes()).map(|_| ()), Err(error), "{field:?}");
    }
    assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\n").map(|head| head.status), Ok(200));
}

#[test]
fn a_cut_head_is_refused() {
    let whole = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n";
    for n in 0..whole.len() {
        assert!(ResponseHead::parse(&whole[..n], &HeadLimits::default()).is_err(), "{n} bytes");
    }
}

#[test]
fn written_responses_are_read_back() {
    for status in [101, 200, 400, 403, 404, 405, 408, 414, 426, 431, 500, 503, 505] {
        let mut out = Vec::new();
        write_response(&mut out, status, "lapps/1", &[("Allow", "GET")], "text/plain", b"no\n", false);
        let end = scan_every_way(&out, &HeadLimits::default()).unwrap().unwrap();
        assert_eq!(&out[end..], b"no\n");
        let head = ResponseHead::parse(&out[..end], &HeadLimits::default()).unwrap();
        assert_eq!(head.status, status);
        assert_eq!(head.reason, reason(status).as_bytes());
        assert!(!head.reason.is_empty());
        assert_eq!(head.fields.get("content-length"), Some(&b"3"[..]));
        assert_eq!(head.fields.get("allow"), Some(&b"GET"[..]));
    }
}

#[test]
fn a_response_byte_for_byte() {
    let mut out = b"before".to_vec();
    let extra = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
    write_response(&mut out, 426, "lapps", &extra, "text/plain; charset=utf-8", "f\u{fc}r".as_bytes(), true);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "beforeHTTP/1.1 426 Upgrade Required\r\nServer: lapps\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 4\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    let mut out = Vec::new();
    write_response(&mut out, 404, "", &[], "", b"", false);
    assert_eq!(out, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

#[test]
fn no_field_can_be_broken_open() {
    let mut out = Vec::new();
    let extra = [
        ("A", "b\r\nX: y"),
        ("A\r\nX: y", "b"),
        ("A", "b\nX: y"),
        ("A:", "b"),
        ("", "b"),
        ("A", " b"),
        ("A", "b\0"),
    ];
    write_response(&mut out, 200, "x\r\nX: y", &extra, "a\rb", b"", false);
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
