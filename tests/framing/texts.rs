//! RFC 6455 5.6, 8.1 and RFC 3629: text is UTF-8, and the first wrong byte ends the connection.

use super::case::{Case, Expect, fragments, frame, unfinished};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// Bytes that are text: the first and last of each length, and what is often refused by mistake.
const GOOD: &[(&str, &[u8])] = &[
    ("nothing", b""),
    ("U+0000", b"\0"),
    ("U+007F", b"\x7f"),
    ("U+0080", b"\xc2\x80"),
    ("U+07FF", b"\xdf\xbf"),
    ("U+0800", b"\xe0\xa0\x80"),
    ("U+0FFF", b"\xe0\xbf\xbf"),
    ("U+1000", b"\xe1\x80\x80"),
    ("U+CFFF", b"\xec\xbf\xbf"),
    ("U+D7FF", b"\xed\x9f\xbf"),
    ("U+E000", b"\xee\x80\x80"),
    ("U+FEFF", b"\xef\xbb\xbf"),
    ("U+FFFD", b"\xef\xbf\xbd"),
    ("U+FFFE", b"\xef\xbf\xbe"),
    ("U+FFFF", b"\xef\xbf\xbf"),
    ("U+10000", b"\xf0\x90\x80\x80"),
    ("U+1FFFF", b"\xf0\x9f\xbf\xbf"),
    ("U+3FFFF", b"\xf0\xbf\xbf\xbf"),
    ("U+40000", b"\xf1\x80\x80\x80"),
    ("U+FFFFF", b"\xf3\xbf\xbf\xbf"),
    ("U+100000", b"\xf4\x80\x80\x80"),
    ("U+10FFFF", b"\xf4\x8f\xbf\xbf"),
    ("Greek", "κόσμε".as_bytes()),
    ("of all lengths", "a¢€\u{10348}z\u{10348}€¢a".as_bytes()),
];

/// Bytes that are not text, whatever follows. The last byte is the first wrong one.
const BAD: &[(&str, &[u8])] = &[
    ("a continuation byte", b"\x80"),
    ("the last continuation byte", b"\xbf"),
    ("0xc0", b"\xc0"),
    ("0xc1", b"\xc1"),
    ("0xf5", b"\xf5"),
    ("0xf8", b"\xf8"),
    ("0xfc", b"\xfc"),
    ("0xfe", b"\xfe"),
    ("0xff", b"\xff"),
    ("two bytes, then a letter", b"\xc2a"),
    ("two bytes, then two", b"\xc2\xc2"),
    ("three bytes overlong", b"\xe0\x80"),
    ("three bytes overlong, the last", b"\xe0\x9f"),
    ("three bytes, then a letter", b"\xe2("),
    ("three bytes, a letter in the third place", b"\xe2\x82("),
    ("the first surrogate", b"\xed\xa0"),
    ("the last surrogate", b"\xed\xbf"),
    ("four bytes overlong", b"\xf0\x80"),
    ("four bytes overlong, the last", b"\xf0\x8f"),
    ("four bytes, then a letter", b"\xf1a"),
    ("four bytes, a letter in the third place", b"\xf1\x80a"),
    ("four bytes, a letter in the fourth place", b"\xf1\x80\x80a"),
    ("above U+10FFFF", b"\xf4\x90"),
    ("a character and one too many", b"\xc3\xa9\xa9"),
    ("Latin-1", b"k\xe4s"),
];

/// Text that stops in the middle of a character.
const CUT: &[(&str, &[u8])] = &[
    ("one of two", b"\xc3"),
    ("one of three", b"\xe2"),
    ("two of three", b"\xe2\x82"),
    ("one of four", b"\xf0"),
    ("two of four", b"\xf0\x9f"),
    ("three of four", b"\xf0\x9f\x98"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    good(&mut cases);
    bad(&mut cases);
    cut(&mut cases);
    cases
}

fn good(cases: &mut Vec<Case>) {
    let rfc = "RFC 3629 3: text";
    for (name, bytes) in GOOD {
        cases.push(Case::new(rfc, *name, frame(TEXT, bytes), vec![Expect::Text(bytes.to_vec())]));
        if bytes.len() > 1 {
            let parts: Vec<&[u8]> = bytes.chunks(1).collect();
            let expected = vec![Expect::Text(bytes.to_vec())];
            cases.push(Case::new(
                rfc,
                format!("{name}, a fragment for each byte"),
                fragments(1, &parts),
                expected,
            ));
        }
    }
    let all: Vec<u8> = GOOD.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect::<Vec<u8>>().repeat(50);
    cases.push(Case::new(rfc, "all of them", frame(TEXT, &all), vec![Expect::Text(all.clone())]));
    for at in [1, 2, 3, 4, 5, 7, 11, 13] {
        let parts: Vec<&[u8]> = all.chunks(at).collect();
        let expected = vec![Expect::Text(all.clone())];
        cases.push(Case::new(rfc, format!("all of them, fragments of {at}"), fragments(1, &parts), expected));
    }
    let smile = "\u{1f600}".as_bytes();
    let sent = [
        frame(0x01, &smile[..2]),
        frame(0x89, b"\xff\xfe"),
        frame(0x00, b""),
        frame(0x00, &smile[2..3]),
        frame(0x80, &smile[3..]),
    ];
    let expected = vec![Expect::Pong(b"\xff\xfe".into()), Expect::Text(smile.to_vec())];
    cases.push(Case::new(rfc, "a character around a ping", sent.concat(), expected.clone()));
    cases.push(Case::new(rfc, "the same in segments", Vec::new(), expected).segments(sent.to_vec()));
}

fn bad(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 8.1: no text";
    let refused = || vec![Expect::Close(1007)];
    for (name, bytes) in BAD {
        cases.push(Case::new(rfc, *name, frame(TEXT, bytes), refused()));
        let around =
            [b"before ", *bytes, b" and after, long enough for every vector that looks at text at once"]
                .concat();
        cases.push(Case::new(rfc, format!("{name}, inside"), frame(TEXT, &around), refused()));
        let parts: Vec<&[u8]> = around.chunks(1).collect();
        cases.push(Case::new(
            rfc,
            format!("{name}, a fragment for each byte"),
            fragments(1, &parts),
            refused(),
        ));
        cases.push(Case::new(
            rfc,
            format!("{name}, as binary"),
            frame(BINARY, bytes),
            vec![Expect::Binary(bytes.to_vec())],
        ));
    }
    let rfc = "the first wrong byte ends an unfinished frame";
    for (name, bytes) in BAD {
        let start = [&b"The rest of this frame never comes: "[..], bytes].concat();
        cases.push(Case::new(rfc, *name, unfinished(TEXT, 500, &start), refused()));
        let (early, late) = bytes.split_at(bytes.len() - 1);
        let first = frame(0x01, &[&b"In fragments: "[..], early].concat());
        let sent = [first.clone(), unfinished(0x00, 70_000, late)];
        cases.push(Case::new(
            rfc,
            format!("{name}, its last byte in the next fragment"),
            sent.concat(),
            refused(),
        ));
        // The same with the wrong byte in a segment of its own.
        let whole = unfinished(TEXT, 500, &start);
        let (early, late) = whole.split_at(whole.len() - 1);
        let case =
            Case::new(rfc, format!("{name}, its last byte in the next segment"), Vec::new(), refused());
        cases.push(case.segments(vec![early.to_vec(), late.to_vec()]));
    }
    let sent = [frame(TEXT, b"good"), frame(TEXT, b"\xff")].concat();
    cases.push(Case::new(
        rfc,
        "after a good message",
        sent,
        vec![Expect::Text(b"good".into()), Expect::Close(1007)],
    ));
}

fn cut(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 8.1: a message that ends inside a character";
    let refused = || vec![Expect::Close(1007)];
    for (name, bytes) in CUT {
        let text = [b"abc", *bytes].concat();
        cases.push(Case::new(rfc, *name, frame(TEXT, &text), refused()));
        cases.push(Case::new(
            rfc,
            format!("{name}, in fragments"),
            fragments(1, &[b"abc", bytes]),
            refused(),
        ));
        cases.push(Case::new(
            rfc,
            format!("{name}, and an empty fragment"),
            fragments(1, &[&text, b""]),
            refused(),
        ));
        let sent = [frame(TEXT, &text), frame(TEXT, b"\x80\x80\x80")].concat();
        cases.push(Case::new(rfc, format!("{name}, and the rest in the next message"), sent, refused()));
    }
}
