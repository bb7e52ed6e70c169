//! RFC 6455 5.2 and 5.3: lengths, masks, reserved bits and opcodes.

use super::case::{Case, Expect, Form, frame, header, keyed, unmasked};
use crate::common::client::MASK;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    lengths(&mut cases);
    masks(&mut cases);
    reserved(&mut cases);
    cases
}

fn lengths(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 5.2: lengths";
    for len in [
        0, 1, 2, 3, 4, 5, 7, 8, 124, 125, 126, 127, 128, 255, 256, 4096, 65_534, 65_535, 65_536, 65_537,
        200_000,
    ] {
        let payload: Vec<u8> = (0..len).map(|n| b'a' + (n % 23) as u8).collect();
        let sent = frame(TEXT, &payload);
        cases.push(Case::new(rfc, format!("text of {len}"), sent, vec![Expect::Text(payload)]));
        let payload: Vec<u8> = (0..len).map(|n| (n * 31 + n / 256) as u8).collect();
        let sent = frame(BINARY, &payload);
        cases.push(Case::new(rfc, format!("binary of {len}"), sent, vec![Expect::Binary(payload)]));
    }
    let rfc = "RFC 6455 5.2: the minimal number of bytes must be used";
    for (form, lens) in
        [(Form::Sixteen, &[0, 1, 5, 124, 125][..]), (Form::SixtyFour, &[0, 1, 125, 126, 127, 65_534, 65_535])]
    {
        for &len in lens {
            for first in [TEXT, BINARY, 0x01] {
                // No key and no payload: the header alone says enough.
                let sent = header(first, form, len);
                cases.push(Case::new(
                    rfc,
                    format!("{form:?}, {first:#04x} of {len}"),
                    sent,
                    vec![Expect::Close(1002)],
                ));
            }
        }
    }
    let whole = [&header(TEXT, Form::Sixteen, 5)[..], &[0; 4], b"Hello"].concat();
    cases.push(Case::new(rfc, "a whole frame in 16 bits", whole, vec![Expect::Close(1002)]));
    let rfc = "RFC 6455 5.2: the most significant bit of a 64-bit length must be 0";
    for len in [1 << 63, (1 << 63) | 5, u64::MAX] {
        let sent = header(BINARY, Form::SixtyFour, len);
        cases.push(Case::new(rfc, format!("{len:#x}"), sent, vec![Expect::Close(1002)]));
    }
}

fn masks(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 5.1: a frame from a client must be masked";
    for (name, first, payload) in [
        ("text", TEXT, &b"hello"[..]),
        ("empty text", TEXT, b""),
        ("binary", BINARY, b"hello"),
        ("long binary", BINARY, &[7; 300]),
        ("the first fragment", 0x01, b"hello"),
        ("close", CLOSE, &[3, 232]),
        ("empty close", CLOSE, b""),
        ("ping", PING, b"hello"),
        ("pong", PONG, b""),
    ] {
        cases.push(Case::new(rfc, name, unmasked(first, payload), vec![Expect::Close(1002)]));
    }
    let sent = [frame(TEXT, b"good"), unmasked(TEXT, b"bad")].concat();
    cases.push(Case::new(
        rfc,
        "after a masked one",
        sent,
        vec![Expect::Text(b"good".into()), Expect::Close(1002)],
    ));
    let sent = [frame(0x01, b"good"), unmasked(0x80, b"bad")].concat();
    cases.push(Case::new(rfc, "the last fragment", sent, vec![Expect::Close(1002)]));
    cases.push(Case::new(rfc, "two bytes are enough", vec![TEXT, 0x05], vec![Expect::Close(1002)]));

    let rfc = "RFC 6455 5.3: any key";
    let payload = b"The key may be anything, even nothing at all.";
    for key in [[0; 4], [0xff; 4], [0, 0, 0, 1], [0x80, 0, 0, 0], [1, 2, 3, 4], *b"The "] {
        for len in [0, 1, 2, 3, 4, 5, 31, 45] {
            let payload = &payload[..len];
            let expected = vec![Expect::Text(payload.to_vec())];
            cases.push(Case::new(
                rfc,
                format!("{key:02x?}, {len} bytes"),
                keyed(TEXT, payload, key),
                expected,
            ));
        }
    }
    let sent: Vec<u8> = (0..50u8).flat_map(|n| keyed(BINARY, &[n; 9], [n, n ^ 0x5a, !n, 0])).collect();
    let expected = (0..50u8).map(|n| Expect::Binary(vec![n; 9])).collect();
    cases.push(Case::new(rfc, "another one for each frame", sent, expected));
    let parts: [&[u8]; 6] = [b"a", b"bc", b"def", b"", b"ghijk", b"lmnopqr"];
    let sent: Vec<u8> = parts
        .iter()
        .enumerate()
        .flat_map(|(nth, part)| {
            let first = if nth == 0 { 0x01 } else { 0 } | if nth == 5 { 0x80 } else { 0 };
            keyed(first, part, [nth as u8, 0x55, 0xaa, 0xf0 ^ nth as u8])
        })
        .collect();
    let expected = vec![Expect::Text(b"abcdefghijklmnopqr".into())];
    cases.push(Case::new(rfc, "another one for each fragment", sent, expected));
}

fn reserved(cases: &mut Vec<Case>) {
    let rfc = "RFC 6455 5.2: reserved bits";
    for bits in 1..8u8 {
        for (kind, first) in [("text", TEXT), ("binary", BINARY), ("ping", PING), ("close", CLOSE)] {
            let name = format!("{kind} with {bits:03b}");
            cases.push(Case::new(rfc, name, frame(first | bits << 4, b""), vec![Expect::Close(1002)]));
        }
        let sent = [frame(0x01, b"a"), frame(0x80 | bits << 4, b"b")].concat();
        cases.push(Case::new(rfc, format!("a fragment with {bits:03b}"), sent, vec![Expect::Close(1002)]));
    }
    let sent = [frame(TEXT, b"good"), frame(TEXT | 0x40, b"bad"), frame(PING, b"")].concat();
    cases.push(Case::new(
        rfc,
        "after a good message",
        sent,
        vec![Expect::Text(b"good".into()), Expect::Close(1002)],
    ));
    cases.push(Case::new(rfc, "one byte is enough", vec![0xc1], vec![Expect::Close(1002)]));

    let rfc = "RFC 6455 5.2: reserved opcodes";
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15u8] {
        for (name, sent) in [
            ("empty", frame(0x80 | opcode, b"")),
            ("with a payload", frame(0x80 | opcode, b"payload")),
            ("without FIN", frame(opcode, b"payload")),
            ("long", frame(0x80 | opcode, &[0; 200])),
            ("one byte", vec![0x80 | opcode]),
        ] {
            cases.push(Case::new(rfc, format!("{opcode}, {name}"), sent, vec![Expect::Close(1002)]));
        }
        let sent = [frame(TEXT, b"good"), frame(0x80 | opcode, &MASK)].concat();
        let expected = vec![Expect::Text(b"good".into()), Expect::Close(1002)];
        cases.push(Case::new(rfc, format!("{opcode} after a good message"), sent, expected));
        let sent = [frame(0x01, b"a"), frame(0x80 | opcode, b""), frame(0x80, b"b")].concat();
        cases.push(Case::new(rfc, format!("{opcode} between fragments"), sent, vec![Expect::Close(1002)]));
    }
}
