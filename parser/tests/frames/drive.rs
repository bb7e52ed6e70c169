//! Feeds a decoder with pieces of input, holds it to its contract, and collects what it says.

use lapps_parser::{CloseCode, Decoder, FrameHeader, Incoming, Limits, OpCode, Role, Violation};

/// An [`Incoming`] that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Message(OpCode, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, String),
}

/// What stopped a decoder, and after how many bytes it was known.
pub(crate) type Failure = (Violation, usize);

/// Everything that came out of an input, and what stopped it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) failed: Option<Failure>,
}

impl Outcome {
    /// Without the place of the failure, which only byte-by-byte input shows exactly.
    pub(crate) fn what(&self) -> (&[Event], Option<Violation>) {
        (&self.events, self.failed.map(|(violation, _)| violation))
    }
}

pub(crate) const ROLES: [Role; 2] = [Role::Server, Role::Client];

pub(crate) const LIMITS: Limits = Limits { max_message: 1 << 20, max_fragments: 100 };

/// Decodes `input`, read in pieces that end at `cuts` (ascending) and at the end.
pub(crate) fn run(role: Role, limits: Limits, input: &[u8], cuts: &[usize]) -> Outcome {
    let mut decoder = Decoder::new(role);
    let mut outcome = Outcome::default();
    let mut from = 0;
    for &to in cuts.iter().chain(&[input.len()]) {
        let mut piece = input[from..to].to_vec();
        from = to;
        let mut at = 0;
        loop {
            let given = piece.len() - at;
            match decoder.decode(&limits, &mut piece[at..]) {
                Err(violation) => {
                    outcome.failed = Some((violation, to));
                    return outcome;
                }
                Ok(step) => {
                    assert!(step.consumed <= given);
                    at += step.consumed;
                    match step.incoming {
                        Some(incoming) => outcome.events.push(own(incoming)),
                        None => {
                            assert_eq!(step.consumed, given, "more is asked for although there is more");
                            break;
                        }
                    }
                }
            }
            assert!(decoder.heap() <= 2 * to + 256, "{} bytes of heap for {to} received", decoder.heap());
        }
    }
    outcome
}

/// Byte by byte: a violation is known after exactly the byte that broke the rule.
pub(crate) fn run_bytewise(role: Role, limits: Limits, input: &[u8]) -> Outcome {
    let cuts: Vec<usize> = (1..input.len()).collect();
    run(role, limits, input, &cuts)
}

fn own(incoming: Incoming<'_>) -> Event {
    match incoming {
        Incoming::Message { opcode, payload } => Event::Message(opcode, payload.to_vec()),
        Incoming::Ping(payload) => Event::Ping(payload.to_vec()),
        Incoming::Pong(payload) => Event::Pong(payload.to_vec()),
        Incoming::Close { code, reason } => Event::Close(code, reason.to_owned()),
    }
}

/// One frame as the peer of `role` sends it: masked for a server.
pub(crate) fn frame(role: Role, fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mask = (role == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let header = FrameHeader { fin, opcode, mask, len: payload.len() as u64 }.encode();
    let key = mask.unwrap_or_default();
    let body = payload.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]);
    header.iter().copied().chain(body).collect()
}
