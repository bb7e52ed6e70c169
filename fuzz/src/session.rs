//! Target `session`: the same bytes, cut differently, mean the same.

use lapps_parser::Role;
use lapps_parser::http::{HeadError, HeadScan, RequestHead};

use crate::events::Receiver;
use crate::head::LIMITS;

/// The first byte: bit 0 the role, bit 1 whether the input starts with a request head, the rest how many of the
/// following bytes are lengths of pieces. What is left is the input, read in pieces of those lengths in turn.
///
/// # Panics
/// If the pieces do not give the same events and the same end as the whole, or as single bytes.
pub fn session(data: &[u8]) {
    let Some((&options, rest)) = data.split_first() else { return };
    let role = if options & 1 == 0 { Role::Server } else { Role::Client };
    let head = options & 2 != 0;
    let (lengths, input) = rest.split_at(usize::from(options >> 2).min(rest.len()));

    let mut whole = Session::new(role, head);
    whole.feed(input);
    let mut pieces = Session::new(role, head);
    let mut left = input;
    for &length in lengths.iter().cycle().take(input.len()) {
        let (piece, after) = left.split_at(usize::from(length).min(left.len()));
        pieces.feed(piece);
        left = after;
    }
    pieces.feed(left);
    pieces.assert_same(&whole);
    let mut bytes = Session::new(role, head);
    input.chunks(1).for_each(|byte| bytes.feed(byte));
    bytes.assert_same(&whole);
}

struct Session {
    /// What has come of the head, and the search for its end.
    head: Option<(Vec<u8>, HeadScan)>,
    refused: Option<HeadError>,
    receiver: Receiver,
}

impl Session {
    fn new(role: Role, head: bool) -> Session {
        Session { head: head.then(Default::default), refused: None, receiver: Receiver::new(role) }
    }

    fn feed(&mut self, piece: &[u8]) {
        let Some((received, scan)) = &mut self.head else { return self.receiver.feed(piece) };
        if self.refused.is_some() {
            return;
        }
        received.extend_from_slice(piece);
        let end = match scan.find_end(received, &LIMITS) {
            Ok(None) => return,
            Ok(Some(end)) => end,
            Err(error) => {
                self.refused = Some(error);
                return;
            }
        };
        match RequestHead::parse(&received[..end], &LIMITS) {
            Ok(_) => {
                let frames = received.split_off(end);
                self.head = None;
                self.receiver.feed(&frames);
            }
            Err(error) => self.refused = Some(error),
        }
    }

    fn assert_same(&self, other: &Session) {
        assert_eq!(self.refused, other.refused);
        assert_eq!(self.head.is_some(), other.head.is_some());
        assert_eq!(self.receiver.failed, other.receiver.failed);
        assert_eq!(self.receiver.events, other.receiver.events);
    }
}
