//! One connection's protocol state: bytes in, happenings out. No system call, no clock.

use lapps_parser::close::CloseCode;
use lapps_parser::decoder::{Decoder, Incoming, Limits, Role};
use lapps_parser::frame::OpCode;
use lapps_parser::http::{HeadLimits, HeadScan, RequestHead};

use super::ended::Ended;

/// Bytes that are read and thrown away after the end, so that unread input does not turn our FIN into a reset that
/// eats the close frame. As much as a message may have by default: who is in the middle of one learns why it was refused.
pub(crate) const DRAIN_LIMIT: usize = 1024 * 1024;

/// Where a connection stands in its life.
pub(crate) enum Connection {
    /// The request head is not complete.
    Upgrading(Upgrading),
    /// Frames go both ways.
    Open(Decoder),
    /// The last frame or response is queued; what still comes is drained.
    Closing { drained: usize },
}

/// A request head that may be cut.
#[derive(Default)]
pub(crate) struct Upgrading {
    /// The part that came so far. Empty when the whole head comes in one read.
    held: Vec<u8>,
    scan: HeadScan,
}

/// What some bytes meant, and how many of them.
pub(crate) struct Step<'a> {
    pub(crate) consumed: usize,
    /// `None`: more bytes are needed, and all of these were consumed.
    pub(crate) happening: Option<Happening<'a>>,
}

/// Something that a connection's bytes meant.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it borrows, and lives on the stack for one step")]
pub(crate) enum Happening<'a> {
    /// A complete request head. The caller answers, and says by [`Connection::open`] or [`Connection::close`] what the
    /// connection becomes.
    Request(RequestHead<'a>),
    Message {
        opcode: OpCode,
        payload: &'a [u8],
    },
    Ping(&'a [u8]),
    Pong,
    Close(Option<CloseCode>),
}

impl Connection {
    /// A connection whose first byte has not come.
    pub(crate) fn new() -> Connection {
        Connection::Upgrading(Upgrading::default())
    }

    /// The upgrade was accepted.
    pub(crate) fn open(&mut self) {
        *self = Connection::Open(Decoder::new(Role::Server));
    }

    /// Nothing that comes matters any more.
    pub(crate) fn close(&mut self) {
        if !self.is_closing() {
            *self = Connection::Closing { drained: 0 };
        }
    }

    /// The memory of the message that was handed out last; see [`Decoder::take_message`].
    pub(crate) fn take_message(&mut self) -> Option<(Vec<u8>, usize)> {
        match self {
            Connection::Open(decoder) => decoder.take_message(),
            _ => None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Connection::Open(_))
    }

    pub(crate) fn is_upgrading(&self) -> bool {
        matches!(self, Connection::Upgrading(_))
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self, Connection::Closing { .. })
    }

    /// True when a part of a request head has come.
    pub(crate) fn has_partial_head(&self) -> bool {
        matches!(self, Connection::Upgrading(upgrading) if !upgrading.held.is_empty())
    }

    /// Reads one happening off the front of `bytes`. To be called again with the rest until it answers `None`.
    pub(crate) fn step<'a>(
        &'a mut self,
        heads: &HeadLimits,
        messages: &Limits,
        bytes: &'a mut [u8],
    ) -> Result<Step<'a>, Ended> {
        match self {
            Connection::Upgrading(upgrading) => upgrading.step(heads, bytes),
            Connection::Open(decoder) => {
                let step = decoder.decode(messages, bytes).map_err(Ended::Violation)?;
                let happening = step.incoming.map(|incoming| match incoming {
                    Incoming::Message { opcode, payload } => Happening::Message { opcode, payload },
                    Incoming::Ping(payload) => Happening::Ping(payload),
                    Incoming::Pong(_) => Happening::Pong,
                    Incoming::Close { code, .. } => Happening::Close(code),
                });
                Ok(Step { consumed: step.consumed, happening })
            }
            Connection::Closing { drained } => {
                *drained += bytes.len();
                if *drained > DRAIN_LIMIT {
                    return Err(Ended::Undrained);
                }
                Ok(Step { consumed: bytes.len(), happening: None })
            }
        }
    }
}

impl Upgrading {
    fn step<'a>(&'a mut self, limits: &HeadLimits, bytes: &'a mut [u8]) -> Result<Step<'a>, Ended> {
        if self.held.is_empty() {
            return match self.scan.find_end(bytes, limits).map_err(Ended::BadHead)? {
                Some(end) => {
                    let head = RequestHead::parse(&bytes[..end], limits).map_err(Ended::BadHead)?;
                    Ok(Step { consumed: end, happening: Some(Happening::Request(head)) })
                }
                None => {
                    self.held.extend_from_slice(bytes);
                    Ok(Step { consumed: bytes.len(), happening: None })
                }
            };
        }
        let before = self.held.len();
        // No more than a head may have is ever held; what follows the head stays with the caller.
        let room = (limits.head + 1).saturating_sub(before).min(bytes.len());
        self.held.extend_from_slice(&bytes[..room]);
        match self.scan.find_end(&self.held, limits).map_err(Ended::BadHead)? {
            Some(end) => {
                let head = RequestHead::parse(&self.held[..end], limits).map_err(Ended::BadHead)?;
                Ok(Step { consumed: end - before, happening: Some(Happening::Request(head)) })
            }
            None => Ok(Step { consumed: bytes.len(), happening: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapps_parser::frame::write_masked_frame;

    const HEAD: &[u8] = b"GET /echo?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    const LIMITS: Limits = Limits { max_message: 1000, max_fragments: 100 };

    /// Feeds `bytes` in pieces that end at `cuts`, opens the connection at the request, and tells what happened.
    fn happenings(bytes: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut connection = Connection::new();
        let mut seen = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().copied().chain([bytes.len()]) {
            let mut piece = bytes[from..cut].to_vec();
            from = cut;
            let mut at = 0;
            while at < piece.len() {
                let open = match connection.step(&HeadLimits::default(), &LIMITS, &mut piece[at..]) {
                    Err(ended) => {
                        seen.push(ended.to_string());
                        return seen;
                    }
                    Ok(step) => {
                        at += step.consumed;
                        match step.happening {
                            None => break,
                            Some(Happening::Request(head)) => {
                                seen.push(format!("{} {:?}", head.path, head.query));
                                true
                            }
                            Some(other) => {
                                seen.push(format!("{other:?}"));
                                false
                            }
                        }
                    }
                };
                if open {
                    connection.open();
                }
            }
        }
        seen
    }

    #[test]
    fn frames_in_the_same_segment_as_the_request_are_delivered_however_it_is_cut() {
        let mut bytes = HEAD.to_vec();
        write_masked_frame(&mut bytes, true, OpCode::Text, b"first", [1, 2, 3, 4]);
        write_masked_frame(&mut bytes, false, OpCode::Binary, b"sec", [5, 6, 7, 8]);
        write_masked_frame(&mut bytes, true, OpCode::Ping, b"p", [9, 9, 9, 9]);
        write_masked_frame(&mut bytes, true, OpCode::Continuation, b"ond", [1, 0, 0, 1]);
        write_masked_frame(&mut bytes, true, OpCode::Close, &[3, 232], [1, 1, 1, 1]);
        let whole = happenings(&bytes, &[]);
        assert_eq!(whole.len(), 5, "{whole:?}");
        assert_eq!(whole[0], "/echo Some(\"x=1\")");
        for a in 0..=bytes.len() {
            for b in a..=bytes.len() {
                assert_eq!(happenings(&bytes, &[a, b]), whole, "cut at {a} and {b}");
            }
        }
        let every: Vec<usize> = (1..bytes.len()).collect();
        assert_eq!(happenings(&bytes, &every), whole);
    }

    #[test]
    fn a_head_without_end_is_refused_at_its_limit_and_no_more_is_held() {
        let mut connection = Connection::new();
        let limits = HeadLimits::default();
        connection.step(&limits, &LIMITS, &mut b"GET / HTTP/1.1\r\n".to_vec()).unwrap();
        let mut line = vec![b'a'; 1000];
        line.extend_from_slice(b": b\r\n");
        let refused = (0..100).find_map(|_| connection.step(&limits, &LIMITS, &mut line.clone()).err());
        match refused {
            Some(Ended::BadHead(error)) => assert_eq!(error.status(), 431),
            other => panic!("{other:?}"),
        }
        let Connection::Upgrading(upgrading) = &connection else { panic!("still upgrading") };
        assert!(upgrading.held.len() <= limits.head + 1);
    }

    #[test]
    fn after_the_end_only_so_much_is_drained() {
        let mut connection = Connection::new();
        connection.close();
        let mut junk = vec![0; DRAIN_LIMIT];
        assert!(connection.step(&HeadLimits::default(), &LIMITS, &mut junk).is_ok());
        let more = connection.step(&HeadLimits::default(), &LIMITS, &mut junk[..1]);
        assert!(matches!(more.err(), Some(Ended::Undrained)));
    }
}
