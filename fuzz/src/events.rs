//! What a decoder says about an input that comes in pieces, with its contract checked at every step.

use lapps_parser::{CloseCode, Decoder, Incoming, Limits, OpCode, Role, Violation};

pub(crate) const LIMITS: Limits = Limits { max_message: 2000, max_fragments: 5 };

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Message(OpCode, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, String),
}

/// A receiving end and all that it has said.
#[derive(Debug)]
pub(crate) struct Receiver {
    decoder: Decoder,
    received: usize,
    pub(crate) events: Vec<Event>,
    pub(crate) failed: Option<Violation>,
}

impl Receiver {
    pub(crate) fn new(role: Role) -> Receiver {
        Receiver { decoder: Decoder::new(role), received: 0, events: Vec::new(), failed: None }
    }

    /// Takes the next piece; nothing after a violation.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let mut piece = piece.to_vec();
        self.received += piece.len();
        let mut at = 0;
        while self.failed.is_none() {
            let given = piece.len() - at;
            match self.decoder.decode(&LIMITS, &mut piece[at..]) {
                Err(violation) => self.failed = Some(violation),
                Ok(step) => {
                    assert!(step.consumed <= given);
                    at += step.consumed;
                    let Some(incoming) = step.incoming else {
                        assert_eq!(at, piece.len(), "more is asked for although there is more");
                        break;
                    };
                    self.events.push(Event::from(incoming));
                }
            }
            assert!(self.decoder.heap() <= 2 * self.received + 256, "grown past what was received");
        }
        assert!(self.decoder.heap() <= LIMITS.max_message + 128, "grown past the limit");
    }
}

impl From<Incoming<'_>> for Event {
    fn from(incoming: Incoming<'_>) -> Event {
        match incoming {
            Incoming::Message { opcode, payload } => {
                assert!(payload.len() <= LIMITS.max_message);
                assert!(match opcode {
                    OpCode::Text => std::str::from_utf8(payload).is_ok(),
                    opcode => opcode == OpCode::Binary,
                });
                Event::Message(opcode, payload.to_vec())
            }
            Incoming::Ping(payload) => Event::Ping(payload.to_vec()),
            Incoming::Pong(payload) => Event::Pong(payload.to_vec()),
            Incoming::Close { code, reason } => Event::Close(code, reason.to_owned()),
        }
    }
}
