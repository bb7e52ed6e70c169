//! RFC 6455 5.5.1, 7.1 and 7.4: close frames, and what follows them.

use super::case::{Case, Expect, fragments, frame, unfinished, unmasked};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    codes(&mut cases);
    reasons(&mut cases);
    afterwards(&mut cases);
    cases
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

fn codes(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 7.4: codes that may be sent come back";
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001,
        4999,
    ] {
        cases.push(Case::new(rfc, code.to_string(), close(code, b""), vec![Expect::Close(code)]));
    }
    cases.push(Case::new(rfc, "none", frame(CLOSE, b""), vec![Expect::Close(0)]));

    let rfc = "RFC 6455 7.4: codes that may not be sent";
    for code in [
        0, 1, 255, 256, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 0x7fff,
        0x8000, 0xffff,
    ] {
        cases.push(Case::new(rfc, code.to_string(), close(code, b""), vec![Expect::Close(1002)]));
        let name = format!("{code} with a reason");
        cases.push(Case::new(rfc, name, close(code, b"why"), vec![Expect::Close(1002)]));
    }
    let rfc = "RFC 6455 5.5.1: half a code";
    cases.push(Case::new(rfc, "one byte", frame(CLOSE, &[3]), vec![Expect::Close(1002)]));
    cases.push(Case::new(rfc, "announced", unfinished(CLOSE, 1, b""), vec![Expect::Close(1002)]));
}

fn reasons(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 5.5.1: the reason is text";
    for (name, reason) in [
        ("a byte", &b"r"[..]),
        ("a sentence", b"Goodbye, and thanks."),
        ("122 bytes", &[b'r'; 122]),
        ("123 bytes", &[b'r'; 123]),
        ("not ASCII", "käse, 日本, \u{1f600}".as_bytes()),
        ("61 characters of two bytes", "é".repeat(61).as_bytes()),
        ("41 characters of three bytes", "€".repeat(41).as_bytes()),
        ("a NUL", b"\0"),
    ] {
        cases.push(Case::new(rfc, name, close(1000, reason), vec![Expect::Close(1000)]));
    }
    cases.push(Case::new(rfc, "124 bytes", close(1000, &[b'r'; 124]), vec![Expect::Close(1002)]));
    for (name, reason) in [
        ("a continuation byte", &b"\x80"[..]),
        ("Latin-1", b"k\xe4se"),
        ("overlong", b"\xc0\xaf"),
        ("a surrogate", b"abc\xed\xa0\x80"),
        ("too large", b"\xf4\x90\x80\x80"),
        ("cut off", b"abc\xe2\x82"),
        ("0xff", b"\xff"),
        ("the last of 123 bytes", &[&[b'r'; 122][..], b"\xc3"].concat()),
    ] {
        cases.push(Case::new(rfc, name, close(1000, reason), vec![Expect::Close(1007)]));
    }
}

fn afterwards(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 5.5.1: nothing follows a close frame";
    let bye = close(1001, b"leaving");
    let mut add = |name: &str, after: Vec<u8>| {
        let case = Case::new(rfc, name, [&bye[..], &after].concat(), vec![Expect::Close(1001)]);
        cases.push(case.clone());
        // The same in segments of their own.
        let name = format!("{name}, later");
        cases.push(Case { name, ..case.segments(vec![bye.clone(), after]) });
    };
    add("text", frame(TEXT, b"ignored"));
    add("a ping", frame(PING, b"ignored"));
    add("another close", close(1000, b""));
    add("a close that may not be", close(1005, b""));
    add("a violation", frame(0xff, b""));
    add("an unmasked frame", unmasked(TEXT, b"ignored"));
    add("half a frame", unfinished(TEXT, 100, b"ignored"));
    add("noise", (0..4000u32).map(|n| ((n * 7919) >> 3) as u8).collect());
    add("a good deal of noise", vec![0xa5; 60_000]);

    let rfc = "RFC 6455 7.1.7: nothing follows a violation";
    let bad = frame(0x83, b"");
    for (name, after) in [
        ("text", frame(TEXT, b"ignored")),
        ("a ping", frame(PING, b"ignored")),
        ("a close", close(1000, b"")),
        ("another violation", frame(0x84, b"")),
        ("noise", vec![0x5a; 60_000]),
    ] {
        let case = Case::new(rfc, name, [&bad[..], &after].concat(), vec![Expect::Close(1002)]);
        cases.push(case.clone());
        let name = format!("{name}, later");
        cases.push(Case { name, ..case.segments(vec![bad.clone(), after]) });
    }

    let rfc = "RFC 6455 5.5.1: what came before a close is answered before it";
    let sent: Vec<u8> = (0..100u8).flat_map(|n| frame(0x82, &[n])).chain(close(1000, b"")).collect();
    let expected: Vec<Expect> =
        (0..100u8).map(|n| Expect::Binary(vec![n])).chain([Expect::Close(1000)]).collect();
    cases.push(Case::new(rfc, "a hundred messages and a close", sent, expected));
    let sent: Vec<u8> = (0..100u8).flat_map(|n| frame(0x82, &[n])).chain(frame(0x83, b"")).collect();
    let expected = (0..100u8).map(|n| Expect::Binary(vec![n])).chain([Expect::Close(1002)]).collect();
    cases.push(Case::new(rfc, "a hundred messages and a violation", sent, expected));
    let large = vec![7; 300_000];
    let sent = [frame(0x82, &large), frame(PING, b"p"), close(3333, b"")].concat();
    let expected = vec![Expect::Binary(large), Expect::Pong(b"p".into()), Expect::Close(3333)];
    cases.push(Case::new(rfc, "a large message, a ping and a close", sent, expected));
    let sent = [fragments(1, &[b"a", b"b"]), frame(0x01, b"unfinished"), close(1000, b"")].concat();
    let expected = vec![Expect::Text(b"ab".into()), Expect::Close(1000)];
    cases.push(Case::new(rfc, "and what is unfinished is dropped", sent, expected));
}
