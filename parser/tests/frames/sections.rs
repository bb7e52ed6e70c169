//! RFC 6455 section by section: one table each, every row in both roles where it has two, cut at every place.

use lapps_parser::{CloseCode, FrameHeader, Limits, OpCode, Role, Violation};

use crate::drive::{Event, Failure, LIMITS, Outcome, ROLES, frame, run, run_bytewise};
use crate::oracle;
use OpCode::{Binary, Close, Continuation, Ping, Pong, Text};

/// Holds one row against the oracle and against the decoder: in one piece, in two at every place, byte by byte.
fn check(name: &str, role: Role, limits: Limits, input: &[u8], expected: (Vec<Event>, Option<Failure>)) {
    let expected = Outcome { events: expected.0, failed: expected.1 };
    assert_eq!(oracle::decode(role, limits, input), expected, "{name}, {role:?}: oracle");
    assert_eq!(run_bytewise(role, limits, input), expected, "{name}, {role:?}: byte by byte");
    for cut in 0..=input.len().min(400) {
        let outcome = run(role, limits, input, &[cut]);
        assert_eq!(outcome.what(), expected.what(), "{name}, {role:?}: cut at {cut}");
    }
}

/// Frames of both roles, given as (FIN, opcode, payload). `Err`: the violation, and how many bytes of the last frame
/// it takes to see it.
fn check_frames(
    name: &str,
    limits: Limits,
    frames: &[(bool, OpCode, &[u8])],
    events: &[Event],
    end: Result<(), (Violation, Place)>,
) {
    for role in ROLES {
        let frames: Vec<Vec<u8>> =
            frames.iter().map(|&(fin, opcode, payload)| frame(role, fin, opcode, payload)).collect();
        let before = frames[..frames.len() - 1].concat().len();
        let last = &frames[frames.len() - 1];
        let failed = end.err().map(|(violation, place)| {
            let header = FrameHeader::decode(last).unwrap_or_default().map_or(0, |(_, size)| size);
            let key = if role == Role::Server { 4 } else { 0 };
            let seen = match place {
                Place::First => 1,
                Place::Second => 2,
                Place::Length => header - key,
                Place::Payload(bytes) => header + bytes,
                Place::End => last.len(),
            };
            (violation, before + seen)
        });
        check(name, role, limits, &frames.concat(), (events.to_vec(), failed));
    }
}

/// Where in a frame its fault shows.
#[derive(Clone, Copy)]
enum Place {
    /// FIN, RSV, opcode.
    First,
    /// Mask bit, short length.
    Second,
    /// All of the length.
    Length,
    /// So many bytes of payload.
    Payload(usize),
    End,
}

fn message(opcode: OpCode, payload: &[u8]) -> Event {
    Event::Message(opcode, payload.to_vec())
}

fn ping(payload: &[u8]) -> Event {
    Event::Ping(payload.to_vec())
}

#[test]
fn section_5_1_only_clients_mask() {
    for opcode in [Text, Binary, Close, Ping, Pong] {
        for payload in [&b""[..], b"\x03\xe8"] {
            let from_client = frame(Role::Server, true, opcode, payload);
            let from_server = frame(Role::Client, true, opcode, payload);
            let (not_masked, masked) = (Violation::NotMasked, Violation::Masked);
            check("not masked", Role::Server, LIMITS, &from_server, (vec![], Some((not_masked, 2))));
            check("masked", Role::Client, LIMITS, &from_client, (vec![], Some((masked, 2))));
        }
    }
}

#[test]
fn section_5_2_reserved_bits_and_opcodes() {
    for role in ROLES {
        for start in 0..=u8::MAX {
            let mut input = frame(role, true, Text, b"");
            input[0] = start;
            let (fin, reserved, bits) = (start & 0x80 != 0, start & 0x70 != 0, start & 0x0f);
            let expected = match bits {
                _ if reserved => (vec![], Some((Violation::ReservedBits, 1))),
                3..=7 | 11.. => (vec![], Some((Violation::ReservedOpCode, 1))),
                8.. if !fin => (vec![], Some((Violation::FragmentedControl, 1))),
                0 => (vec![], Some((Violation::StrayContinuation, 1))),
                1 if fin => (vec![message(Text, b"")], None),
                2 if fin => (vec![message(Binary, b"")], None),
                1 | 2 => (vec![], None),
                8 => (vec![Event::Close(None, String::new())], None),
                9 => (vec![ping(b"")], None),
                10 => (vec![Event::Pong(Vec::new())], None),
            };
            check(&format!("first byte {start:02x}"), role, LIMITS, &input, expected);
        }
    }
}

#[test]
fn section_5_2_length_forms() {
    // length, extended length field, what is wrong and after how many bytes of the frame
    let not_minimal = Violation::LengthNotMinimal;
    let table: &[(usize, &[u8], Option<Failure>)] = &[
        (0, &[0], None),
        (125, &[125], None),
        (126, &[126, 0, 126], None),
        (127, &[126, 0, 127], None),
        (65_535, &[126, 0xff, 0xff], None),
        (65_536, &[127, 0, 0, 0, 0, 0, 1, 0, 0], None),
        (65_537, &[127, 0, 0, 0, 0, 0, 1, 0, 1], None),
        (0, &[126, 0, 0], Some((not_minimal, 4))),
        (1, &[126, 0, 1], Some((not_minimal, 4))),
        (125, &[126, 0, 125], Some((not_minimal, 4))),
        (125, &[127, 0, 0, 0, 0, 0, 0, 0, 125], Some((not_minimal, 8))),
        (126, &[127, 0, 0, 0, 0, 0, 0, 0, 126], Some((not_minimal, 8))),
        (127, &[127, 0, 0, 0, 0, 0, 0, 0, 127], Some((not_minimal, 8))),
        (65_535, &[127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Some((not_minimal, 8))),
        (0, &[127, 0x80, 0, 0, 0, 0, 0, 0, 0], Some((Violation::LengthTopBit, 3))),
        (0, &[127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some((Violation::LengthTopBit, 3))),
        (0, &[127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some((Violation::TooBig, 10))),
    ];
    for role in ROLES {
        for &(len, length, failed) in table {
            let mut input = vec![0x82];
            input.extend_from_slice(length);
            if role == Role::Server {
                input[1] |= 0x80;
                input.extend_from_slice(&[0; 4]);
            }
            input.resize(input.len() + len, b'x');
            let events = if failed.is_none() { vec![message(Binary, &vec![b'x'; len])] } else { vec![] };
            check(&format!("{len} as {length:02x?}"), role, LIMITS, &input, (events, failed));
        }
    }
}

#[test]
fn section_5_3_masking() {
    // The example of section 5.7, and keys that are degenerate or make the payload look like something else.
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    check("section 5.7", Role::Server, LIMITS, &hello, (vec![message(Text, b"Hello")], None));
    for key in [[0; 4], [0xff; 4], [0x81, 0x80, 0x81, 0x80], [1, 0, 0, 0], [0, 0, 0, 0x80]] {
        for len in (0..70).chain([125, 126, 127, 300]) {
            let payload: Vec<u8> = (0..len).map(|index| (index % 128) as u8).collect();
            for opcode in [Text, Binary] {
                let mut input = Vec::new();
                lapps_parser::frame::write_masked_frame(&mut input, true, opcode, &payload, key);
                check("key", Role::Server, LIMITS, &input, (vec![message(opcode, &payload)], None));
            }
        }
    }
}

#[test]
fn section_5_4_fragmentation() {
    let (stray, inside) = (Violation::StrayContinuation, Violation::InterleavedMessage);
    let go = |name: &str, frames: &[(bool, OpCode, &[u8])], events: &[Event], end| {
        check_frames(name, LIMITS, frames, events, end);
    };
    go("two", &[(false, Text, b"He"), (true, Continuation, b"llo")], &[message(Text, b"Hello")], Ok(()));
    go(
        "five of one byte",
        &[
            (false, Binary, b"H"),
            (false, Continuation, b"e"),
            (false, Continuation, b"l"),
            (false, Continuation, b"l"),
            (true, Continuation, b"o"),
        ],
        &[message(Binary, b"Hello")],
        Ok(()),
    );
    go(
        "all empty",
        &[(false, Text, b""), (false, Continuation, b""), (true, Continuation, b"")],
        &[message(Text, b"")],
        Ok(()),
    );
    go("empty first", &[(false, Text, b""), (true, Continuation, b"x")], &[message(Text, b"x")], Ok(()));
    go("empty last", &[(false, Binary, b"x"), (true, Continuation, b"")], &[message(Binary, b"x")], Ok(()));
    go(
        "control frames between",
        &[
            (false, Text, b"He"),
            (true, Ping, b"p"),
            (false, Continuation, b"l"),
            (true, Pong, b""),
            (true, Close, b""),
            (true, Continuation, b"lo"),
        ],
        &[ping(b"p"), Event::Pong(Vec::new()), Event::Close(None, String::new()), message(Text, b"Hello")],
        Ok(()),
    );
    go(
        "one after the other",
        &[
            (false, Text, b"a"),
            (true, Continuation, b"b"),
            (true, Binary, b"c"),
            (false, Binary, b"d"),
            (true, Continuation, b"e"),
        ],
        &[message(Text, b"ab"), message(Binary, b"c"), message(Binary, b"de")],
        Ok(()),
    );
    go("unfinished", &[(false, Text, b"a"), (false, Continuation, b"b")], &[], Ok(()));
    go("stray, last", &[(true, Continuation, b"x")], &[], Err((stray, Place::First)));
    go("stray, not last", &[(false, Continuation, b"x")], &[], Err((stray, Place::First)));
    go(
        "stray after a message",
        &[(true, Text, b"x"), (true, Continuation, b"y")],
        &[message(Text, b"x")],
        Err((stray, Place::First)),
    );
    go(
        "stray after a fragmented message",
        &[(false, Text, b"x"), (true, Continuation, b"y"), (true, Continuation, b"z")],
        &[message(Text, b"xy")],
        Err((stray, Place::First)),
    );
    go(
        "stray after a ping",
        &[(true, Ping, b"x"), (false, Continuation, b"y")],
        &[ping(b"x")],
        Err((stray, Place::First)),
    );
    for opcode in [Text, Binary] {
        for fin in [true, false] {
            go(
                "message inside",
                &[(false, Text, b"x"), (fin, opcode, b"y")],
                &[],
                Err((inside, Place::First)),
            );
            go(
                "message inside, later",
                &[(false, Binary, b""), (false, Continuation, b""), (true, Ping, b""), (fin, opcode, b"y")],
                &[ping(b"")],
                Err((inside, Place::First)),
            );
        }
    }
}

#[test]
fn section_5_5_control_frames() {
    let long = [b'p'; 125];
    let reason = [b"\x03\xe8".as_slice(), &[b'r'; 123]].concat();
    let close = |code: u16, reason: &str| Event::Close(CloseCode::new(code), reason.to_owned());
    let go = |name: &str, frames: &[(bool, OpCode, &[u8])], events: &[Event], end| {
        check_frames(name, LIMITS, frames, events, end);
    };
    go("ping of 125", &[(true, Ping, &long)], &[ping(&long)], Ok(()));
    go("pong nobody asked for", &[(true, Pong, &long)], &[Event::Pong(long.to_vec())], Ok(()));
    go("ping is not text", &[(true, Ping, b"\xff\xfe\x80")], &[ping(b"\xff\xfe\x80")], Ok(()));
    go("two pings", &[(true, Ping, b"1"), (true, Ping, b"2")], &[ping(b"1"), ping(b"2")], Ok(()));
    for opcode in [Close, Ping, Pong] {
        let long = [0; 126];
        go("control of 126", &[(true, opcode, &long)], &[], Err((Violation::ControlTooLong, Place::Second)));
        go(
            "control of 65536",
            &[(true, opcode, &[0; 65_536])],
            &[],
            Err((Violation::ControlTooLong, Place::Second)),
        );
        go(
            "control not last",
            &[(false, opcode, b"")],
            &[],
            Err((Violation::FragmentedControl, Place::First)),
        );
    }
    go("close, empty", &[(true, Close, b"")], &[Event::Close(None, String::new())], Ok(()));
    go("close, half a code", &[(true, Close, b"\x03")], &[], Err((Violation::CloseTooShort, Place::Second)));
    go("close, code only", &[(true, Close, b"\x03\xe8")], &[close(1000, "")], Ok(()));
    go("close, code 768", &[(true, Close, b"\x03\x00")], &[], Err((Violation::CloseCode, Place::End)));
    go("close, longest reason", &[(true, Close, &reason)], &[close(1000, &"r".repeat(123))], Ok(()));
    go(
        "close, reason in UTF-8",
        &[(true, Close, b"\x0f\xa0\xe2\x82\xac")],
        &[close(4000, "\u{20ac}")],
        Ok(()),
    );
    go(
        "close, reason not UTF-8",
        &[(true, Close, b"\x03\xe8\xff")],
        &[],
        Err((Violation::CloseReason, Place::End)),
    );
    go(
        "close, reason cut",
        &[(true, Close, b"\x03\xe8\xe2\x82")],
        &[],
        Err((Violation::CloseReason, Place::End)),
    );
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        go("close code", &[(true, Close, &code.to_be_bytes())], &[], Err((Violation::CloseCode, Place::End)));
    }
}

#[test]
fn section_8_1_text_fails_at_its_first_wrong_byte() {
    // payload, and how many bytes of it it takes; `None`: it is the end that is wrong
    let table: &[(&[u8], Option<usize>)] = &[
        (b"ok \xff and more", Some(4)),
        (b"\x80", Some(1)),
        (b"\xc0\xaf", Some(1)),
        (b"\xe0\x80\x80", Some(2)),
        (b"\xed\xa0\x80xx", Some(2)),
        (b"\xf0\x8f\xbf\xbf", Some(2)),
        (b"\xf4\x90\x80\x80", Some(2)),
        (b"\xf5\x80\x80\x80", Some(1)),
        (b"\xe2\x82a", Some(3)),
        (b"\xe2\x82", None),
        (b"\xf0\x9f\xa6", None),
        (b"caf\xc3", None),
        // The example of Autobahn's cases 6.3 and 6.4.
        (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", Some(13)),
    ];
    for &(payload, wrong) in table {
        let place = wrong.map_or(Place::End, Place::Payload);
        let end = Err((Violation::Utf8, place));
        check_frames("one frame", LIMITS, &[(true, Text, payload)], &[], end);
        // The same bytes say nothing in a binary message.
        check_frames("binary", LIMITS, &[(true, Binary, payload)], &[message(Binary, payload)], Ok(()));
        // The same with every byte before the wrong one in an earlier frame.
        let before = wrong.unwrap_or(payload.len()) - 1;
        let (first, last) = payload.split_at(before);
        let place = wrong.map_or(Place::End, |_| Place::Payload(1));
        check_frames(
            "two frames",
            LIMITS,
            &[(false, Text, first), (true, Ping, b""), (true, Continuation, last)],
            &[ping(b"")],
            Err((Violation::Utf8, place)),
        );
    }
    let euro = "\u{20ac}\u{1f980}";
    for cut in 0..=euro.len() {
        let (first, last) = euro.as_bytes().split_at(cut);
        check_frames(
            "a character over two frames",
            LIMITS,
            &[(false, Text, first), (true, Continuation, last)],
            &[message(Text, euro.as_bytes())],
            Ok(()),
        );
    }
}

#[test]
fn section_8_1_one_wrong_byte_is_seen_wherever_it_stands() {
    for len in 1..=300 {
        let mut payload = vec![b'a'; len];
        for place in 0..len {
            for role in ROLES {
                payload[place] = 0xff;
                let input = frame(role, true, Text, &payload);
                assert_eq!(
                    run(role, LIMITS, &input, &[]).what(),
                    (&[][..], Some(Violation::Utf8)),
                    "{place} of {len}"
                );
            }
            if place + 1 < len {
                payload[place..place + 2].copy_from_slice("\u{e9}".as_bytes());
                let input = frame(Role::Server, true, Text, &payload);
                assert_eq!(
                    run(Role::Server, LIMITS, &input, &[]).what(),
                    (&[message(Text, &payload)][..], None)
                );
                payload[place + 1] = b'a';
            }
            payload[place] = b'a';
        }
    }
}

#[test]
fn section_10_4_limits() {
    let limits = Limits { max_message: 300, max_fragments: 3 };
    let (big, many) = (Violation::TooBig, Violation::TooManyFragments);
    let go = |name: &str, frames: &[(bool, OpCode, &[u8])], events: &[Event], end| {
        check_frames(name, limits, frames, events, end);
    };
    let full = [b'x'; 300];
    go("as long as it may be", &[(true, Text, &full)], &[message(Text, &full)], Ok(()));
    go("one byte more", &[(true, Text, &[b'x'; 301])], &[], Err((big, Place::Length)));
    go("one byte more, not last", &[(false, Binary, &[b'x'; 301])], &[], Err((big, Place::Length)));
    go("64-bit length", &[(true, Binary, &[b'x'; 70_000])], &[], Err((big, Place::Length)));
    go(
        "the sum as long as it may be",
        &[(false, Text, &full[..200]), (false, Continuation, &full[200..]), (true, Continuation, b"")],
        &[message(Text, &full)],
        Ok(()),
    );
    go(
        "the sum one byte more",
        &[(false, Text, &full[..200]), (true, Ping, &full[..125]), (false, Continuation, &full[..101])],
        &[ping(&full[..125])],
        Err((big, Place::Length)),
    );
    go(
        "each message has its own sum",
        &[(false, Text, &full[..200]), (true, Continuation, b""), (true, Text, &full)],
        &[message(Text, &full[..200]), message(Text, &full)],
        Ok(()),
    );
    go(
        "too many fragments",
        &[
            (false, Text, b""),
            (false, Continuation, b""),
            (false, Continuation, b""),
            (false, Continuation, b""),
        ],
        &[],
        Err((many, Place::First)),
    );
    go(
        "too many fragments, control frames not counted",
        &[
            (false, Text, b"a"),
            (true, Ping, b""),
            (false, Continuation, b"b"),
            (true, Ping, b""),
            (true, Continuation, b"c"),
            (true, Ping, b""),
            (false, Text, b"a"),
            (false, Continuation, b"b"),
            (false, Continuation, b"c"),
            (true, Continuation, b"d"),
        ],
        &[ping(b""), ping(b""), message(Text, b"abc"), ping(b"")],
        Err((many, Place::First)),
    );
    let nothing = Limits { max_message: 0, max_fragments: 0 };
    check_frames("empty messages only", nothing, &[(true, Text, b"")], &[message(Text, b"")], Ok(()));
    check_frames("empty messages only", nothing, &[(true, Text, b"x")], &[], Err((big, Place::Length)));
}
