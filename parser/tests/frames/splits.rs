//! The same bytes cut differently give the same events, and the events are the oracle's.

use lapps_parser::{Limits, OpCode, Role};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::drive::{frame, run, run_bytewise};
use crate::oracle;

const LIMITS: Limits = Limits { max_message: 5000, max_fragments: 8 };

/// Decodes in one piece, byte by byte and at `cuts`, and compares all with the oracle.
fn check(role: Role, input: &[u8], cuts: &[usize]) {
    let expected = oracle::decode(role, LIMITS, input);
    assert_eq!(run_bytewise(role, LIMITS, input), expected);
    assert_eq!(run(role, LIMITS, input, &[]).what(), expected.what());
    assert_eq!(run(role, LIMITS, input, cuts).what(), expected.what(), "cut at {cuts:?}");
}

fn sequence(role: Role, text: &str) -> Vec<u8> {
    let (first, last) = text.as_bytes().split_at(text.len() / 2);
    [
        frame(role, true, OpCode::Text, text.as_bytes()),
        frame(role, false, OpCode::Text, first),
        frame(role, true, OpCode::Ping, b"pp"),
        frame(role, false, OpCode::Continuation, b""),
        frame(role, true, OpCode::Continuation, last),
        frame(role, true, OpCode::Binary, b"\xff"),
        frame(role, true, OpCode::Close, b"\x03\xe9ok"),
    ]
    .concat()
}

#[test]
fn every_pair_and_triple_of_cuts() {
    for role in [Role::Server, Role::Client] {
        let input = sequence(role, "h\u{e9}\u{1f980}");
        let expected = oracle::decode(role, LIMITS, &input);
        assert_eq!(expected.events.len(), 5);
        for first in 0..=input.len() {
            for second in first..=input.len() {
                assert_eq!(run(role, LIMITS, &input, &[first, second]).what(), expected.what());
                for third in second..=input.len() {
                    assert_eq!(run(role, LIMITS, &input, &[first, second, third]).what(), expected.what());
                }
            }
        }
    }
}

#[test]
fn every_cut_of_a_message_in_each_length_form() {
    for role in [Role::Server, Role::Client] {
        for len in [125, 126, 300] {
            let text = "\u{20ac}".repeat(len / 3) + &"x".repeat(len % 3);
            let input = [frame(role, true, OpCode::Text, text.as_bytes()), sequence(role, "ab")].concat();
            for cut in 0..=input.len() {
                check(role, &input, &[cut]);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Item {
    Data { opcode: OpCode, payload: Vec<u8>, cuts: Vec<Index>, ping: bool },
    Control { opcode: OpCode, payload: Vec<u8> },
}

impl Item {
    fn write(&self, role: Role, out: &mut Vec<u8>) {
        match self {
            Item::Control { opcode, payload } => out.extend(frame(role, true, *opcode, payload)),
            Item::Data { opcode, payload, cuts, ping } => {
                let mut opcode = *opcode;
                let mut from = 0;
                for to in sorted(cuts, payload.len()) {
                    out.extend(frame(role, false, opcode, &payload[from..to]));
                    if *ping {
                        out.extend(frame(role, true, OpCode::Ping, &payload[from..to.min(from + 125)]));
                    }
                    (from, opcode) = (to, OpCode::Continuation);
                }
                out.extend(frame(role, true, opcode, &payload[from..]));
            }
        }
    }
}

fn item() -> impl Strategy<Value = Item> {
    let bytes = prop_oneof![4 => vec(any::<u8>(), 0..200), 1 => vec(any::<u8>(), 0..3000)];
    let cuts = || vec(any::<Index>(), 0..7);
    let close = (prop_oneof![Just(1000_u16), Just(4999), any::<u16>()], "\\PC{0,30}");
    prop_oneof![
        3 => ("\\PC{0,150}", cuts(), any::<bool>())
            .prop_map(|(text, cuts, ping)| Item::Data { opcode: OpCode::Text, payload: text.into_bytes(), cuts, ping }),
        3 => (bytes, cuts(), any::<bool>())
            .prop_map(|(payload, cuts, ping)| Item::Data { opcode: OpCode::Binary, payload, cuts, ping }),
        1 => (prop_oneof![Just(OpCode::Ping), Just(OpCode::Pong)], vec(any::<u8>(), 0..126))
            .prop_map(|(opcode, payload)| Item::Control { opcode, payload }),
        1 => close.prop_map(|(code, reason)| Item::Control {
            opcode: OpCode::Close,
            payload: [&code.to_be_bytes(), reason.as_bytes()].concat().into_iter().take(125).collect(),
        }),
    ]
}

fn sorted(cuts: &[Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

proptest! {
    #[test]
    fn well_formed_input(role in role(), items in vec(item(), 0..6), cuts in vec(any::<Index>(), 0..12)) {
        let mut input = Vec::new();
        items.iter().for_each(|item| item.write(role, &mut input));
        check(role, &input, &sorted(&cuts, input.len()));
    }

    #[test]
    fn input_with_wrong_bytes(
        role in role(),
        items in vec(item(), 1..5),
        wrong in vec((any::<Index>(), any::<u8>()), 1..3),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let mut input = Vec::new();
        items.iter().for_each(|item| item.write(role, &mut input));
        for (place, byte) in wrong {
            let place = place.index(input.len());
            input[place] = byte;
        }
        check(role, &input, &sorted(&cuts, input.len()));
    }

    #[test]
    fn any_bytes(role in role(), input in vec(any::<u8>(), 0..100), cuts in vec(any::<Index>(), 0..5)) {
        check(role, &input, &sorted(&cuts, input.len()));
    }
}
