//! One outgoing connection's protocol state: bytes in, happenings out. No system call, no clock.

pub(crate) mod keys;
pub(crate) mod opening;
pub(crate) mod tls;
pub(crate) mod uri;

use std::fmt;

use lapps_parser::close::CloseCode;
use lapps_parser::decoder::{Decoder, Incoming, Limits, Role, Violation};
use lapps_parser::frame::OpCode;

use opening::{Opening, Refused};

/// Where an outgoing connection stands in its life.
pub(crate) enum Client {
    /// The answer to our request is not complete.
    Opening(Box<Opening>),
    /// Frames go both ways.
    Open(Decoder),
    /// The peer's close frame has come, or ours was the last word: what still comes is thrown away.
    Closing,
}

/// What some bytes meant, and how many of them.
pub(crate) struct Step<'a> {
    pub(crate) consumed: usize,
    /// `None`: more bytes are needed, and all of these were consumed.
    pub(crate) happening: Option<Happening<'a>>,
}

/// Something that the server's bytes meant.
#[derive(Debug)]
pub(crate) enum Happening<'a> {
    /// The server has accepted the request, with this subprotocol.
    Opened(Option<Box<str>>),
    Message {
        opcode: OpCode,
        payload: &'a [u8],
    },
    Ping(&'a [u8]),
    Pong,
    Close {
        code: Option<CloseCode>,
        reason: &'a str,
    },
}

/// What the server did wrong.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Its answer is no acceptance.
    Refused(Refused),
    /// It broke the WebSocket protocol.
    Violation(Violation),
}

impl Client {
    pub(crate) fn new(opening: Opening) -> Client {
        Client::Opening(Box::new(opening))
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Client::Open(_))
    }

    /// Reads one happening off the front of `bytes`. To be called again with the rest until it answers `None`. After a
    /// fault and after a close frame nothing that comes counts.
    pub(crate) fn step<'a>(&'a mut self, limits: &Limits, bytes: &'a mut [u8]) -> Result<Step<'a>, Fault> {
        match self {
            Client::Opening(opening) => {
                let (consumed, accepted) = opening.take(bytes).map_err(Fault::Refused)?;
                let happening = accepted.map(|protocol| {
                    *self = Client::Open(Decoder::new(Role::Client));
                    Happening::Opened(protocol)
                });
                Ok(Step { consumed, happening })
            }
            Client::Open(decoder) => {
                let step = decoder.decode(limits, bytes).map_err(Fault::Violation)?;
                let happening = step.incoming.map(|incoming| match incoming {
                    Incoming::Message { opcode, payload } => Happening::Message { opcode, payload },
                    Incoming::Ping(payload) => Happening::Ping(payload),
                    Incoming::Pong(_) => Happening::Pong,
                    Incoming::Close { code, reason } => Happening::Close { code, reason },
                });
                Ok(Step { consumed: step.consumed, happening })
            }
            Client::Closing => Ok(Step { consumed: bytes.len(), happening: None }),
        }
    }

    /// Nothing that comes matters any more.
    pub(crate) fn close(&mut self) {
        *self = Client::Closing;
    }

    /// Gives back the memory of a message that was handed out.
    pub(crate) fn release(&mut self) {
        if let Client::Open(decoder) = self {
            decoder.release();
        }
    }
}

impl Fault {
    /// What the server is told, where frames can be sent.
    pub(crate) fn close_code(&self) -> Option<CloseCode> {
        match self {
            Fault::Refused(_) => None,
            Fault::Violation(violation) => Some(violation.close_code()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused(refused) => refused.fmt(f),
            Fault::Violation(violation) => write!(f, "protocol violation: {violation}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::opening::Request;
    use super::*;
    use lapps_parser::frame::write_frame;
    use lapps_parser::handshake::accept_key;

    const LIMITS: Limits = Limits { max_message: 1000, max_fragments: 100 };

    fn client() -> (Client, String) {
        let request = Request {
            host: "h".into(),
            target: "/".into(),
            headers: Box::default(),
            protocols: Box::default(),
        };
        let (opening, _) = Opening::begin(&request, *b"sixteen bytes ok");
        let accept = String::from_utf8(accept_key(opening.key()).to_vec()).unwrap();
        (Client::new(opening), accept)
    }

    /// Feeds `bytes` in pieces that end at `cuts`, and tells what happened.
    fn happenings(client: &mut Client, bytes: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut seen = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            let mut piece = bytes[from..cut].to_vec();
            from = cut;
            let mut at = 0;
            while at < piece.len() {
                match client.step(&LIMITS, &mut piece[at..]) {
                    Err(fault) => {
                        seen.push(fault.to_string());
                        return seen;
                    }
                    Ok(step) => {
                        at += step.consumed;
                        match step.happening {
                            None => break,
                            Some(happening) => seen.push(format!("{happening:?}")),
                        }
                    }
                }
            }
        }
        seen
    }

    fn conversation(accept: &str) -> Vec<u8> {
        let mut bytes = format!(
            "HTTP/1.1 101 Fine\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        write_frame(&mut bytes, true, OpCode::Text, "grüß".as_bytes());
        write_frame(&mut bytes, false, OpCode::Binary, b"sec");
        write_frame(&mut bytes, true, OpCode::Ping, b"p");
        write_frame(&mut bytes, true, OpCode::Continuation, b"ond");
        write_frame(&mut bytes, true, OpCode::Pong, b"");
        write_frame(&mut bytes, true, OpCode::Close, b"\x03\xe8bye");
        bytes
    }

    #[test]
    fn the_same_happens_however_the_bytes_are_cut() {
        let (mut first, accept) = client();
        let bytes = conversation(&accept);
        let whole = happenings(&mut first, &bytes, &[]);
        assert_eq!(whole.len(), 6, "{whole:?}");
        assert_eq!(whole[0], "Opened(None)");
        assert!(whole[5].contains("bye"), "{whole:?}");
        for a in 0..=bytes.len() {
            for b in (a..=bytes.len()).step_by(3) {
                assert_eq!(happenings(&mut client().0, &bytes, &[a, b]), whole, "cut at {a} and {b}");
            }
        }
        let every: Vec<usize> = (1..bytes.len()).collect();
        assert_eq!(happenings(&mut client().0, &bytes, &every), whole);
    }

    #[test]
    fn a_fault_is_the_same_however_the_bytes_are_cut() {
        let (_, accept) = client();
        let open = format!(
            "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let refusals = [
            (open.replace("101", "302"), "302"),
            (open.replace(&accept, "AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "does not answer the key"),
            (format!("{open}\u{81}"), "reserved"),
            ("HTTP/1.1 101\nUpgrade".to_owned(), "line feed"),
            (
                open.replace(
                    "\r\n\r\n",
                    "\r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n",
                ),
                "subprotocol",
            ),
            (open.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n"), "extension"),
        ];
        for (text, expected) in refusals {
            let whole = happenings(&mut client().0, text.as_bytes(), &[]);
            assert!(whole.last().unwrap().contains(expected), "{whole:?}");
            let every: Vec<usize> = (1..text.len()).collect();
            assert_eq!(happenings(&mut client().0, text.as_bytes(), &every), whole, "{text}");
        }
    }

    #[test]
    fn masked_frames_and_large_messages_are_faults() {
        let (_, accept) = client();
        let head = &conversation(&accept)[..];
        let head = &head[..head.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4];
        for (frame, expected) in [
            (&b"\x81\x81aaaab"[..], "masked frame"),
            (b"\x82\x7e\x04\x00", "longer than the limit"),
            (b"\x81\x01\xff", "not UTF-8"),
            (b"\x83\x00", "reserved opcode"),
            (b"\x88\x01a", "close payload"),
        ] {
            let bytes = [head, frame].concat();
            let seen = happenings(&mut client().0, &bytes, &[]);
            assert!(seen[1].contains(expected), "{seen:?}");
        }
    }
}
