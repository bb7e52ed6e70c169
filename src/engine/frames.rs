//! Messages as the bytes of their frames.

use lapps_parser::frame::{self, FrameHeader, MAX_HEADER_LEN, OpCode};

use super::spsc::Payload;

/// Payload bytes of one frame where `auto_fragment` is on: what fits into a segment of an Ethernet frame.
const FRAGMENT: usize = 1392;

/// How messages are cut.
#[derive(Clone, Copy)]
pub(crate) struct Framing {
    /// Messages of two fragments or more go out in frames of 1392 bytes.
    pub(crate) auto_fragment: bool,
}

impl Framing {
    /// Bytes that the frames of a message of `len` bytes take at most.
    pub(crate) fn room(self, len: usize) -> usize {
        if self.cuts(len) { len + (len / FRAGMENT + 1) * 4 } else { len + MAX_HEADER_LEN }
    }

    /// Appends a message, unmasked.
    pub(crate) fn write(self, out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
        if self.cuts(payload.len()) {
            write_fragments(out, opcode, payload);
        } else {
            frame::write_frame(out, true, opcode, payload);
        }
    }

    /// The same as the payload of a letter: the message is copied once, from where it is to where the letter goes.
    pub(crate) fn post<R>(self, opcode: OpCode, payload: &[u8], put: impl FnOnce(Payload<'_>) -> R) -> R {
        if self.cuts(payload.len()) {
            let mut frames = Vec::with_capacity(self.room(payload.len()));
            self.write(&mut frames, opcode, payload);
            return put(Payload::Owned(frames, 0));
        }
        put(Payload::Copied([&FrameHeader::unmasked(opcode, payload.len()).encode(), payload]))
    }

    /// True when a message of `len` bytes goes out in several frames.
    pub(crate) fn cuts(self, len: usize) -> bool {
        self.auto_fragment && len >= 2 * FRAGMENT
    }
}

/// A message in frames of at most [`FRAGMENT`] bytes (RFC 6455 5.4).
fn write_fragments(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let last = payload.len().div_ceil(FRAGMENT) - 1;
    for (nth, part) in payload.chunks(FRAGMENT).enumerate() {
        let opcode = if nth == 0 { opcode } else { OpCode::Continuation };
        frame::write_frame(out, nth == last, opcode, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_is_cut_where_auto_fragment_is_on() {
        let payload = [b'a'; 2 * FRAGMENT + 1];
        let mut out = Vec::new();
        let framing = Framing { auto_fragment: true };
        framing.write(&mut out, OpCode::Text, &payload);
        assert_eq!(out.len(), 2 * (4 + FRAGMENT) + 2 + 1);
        assert_eq!(out[0], 0x01);
        assert_eq!(out[4 + FRAGMENT], 0x00);
        assert_eq!(out[2 * (4 + FRAGMENT)], 0x80);
        assert!(framing.room(payload.len()) >= out.len());
    }

    #[test]
    fn other_messages_are_one_frame() {
        for (auto_fragment, len) in [(true, 2 * FRAGMENT - 1), (false, 2 * FRAGMENT)] {
            let mut out = Vec::new();
            let framing = Framing { auto_fragment };
            framing.write(&mut out, OpCode::Binary, &vec![0; len]);
            assert_eq!((out[0], out.len()), (0x82, len + 4));
            assert!(framing.room(len) >= out.len());
        }
    }
}
