//! A message as it goes on the wire: one masked frame, or the payload alone for the bare echo.

use lapps_parser::{FrameHeader, OpCode, mask};

use crate::pattern::Pattern;
use crate::random::Random;

/// Writes messages of one length. What does not change from frame to frame is made once.
#[derive(Debug)]
pub struct Framer {
    /// The frame header with a place for the masking key at its end; empty for the bare echo.
    header: Vec<u8>,
}

impl Framer {
    /// Unfragmented WebSocket frames of a client (RFC 6455 section 5.2).
    pub fn websocket(opcode: OpCode, payload: usize) -> Framer {
        let header = FrameHeader { fin: true, opcode, mask: Some([0; 4]), len: payload as u64 };
        Framer { header: header.encode().to_vec() }
    }

    /// No frames at all.
    pub fn bare() -> Framer {
        Framer { header: Vec::new() }
    }

    /// Appends one message, under a key of its own.
    #[inline]
    pub fn append(
        &self,
        out: &mut Vec<u8>,
        pattern: &Pattern,
        random: &mut Random,
        connection: u32,
        message: u64,
    ) {
        let Some(before_key) = self.header.len().checked_sub(4) else {
            pattern.append(out, connection, message);
            return;
        };
        let key = random.mask();
        out.extend_from_slice(&self.header[..before_key]);
        out.extend_from_slice(&key);
        let payload = out.len();
        pattern.append(out, connection, message);
        mask::apply(&mut out[payload..], key, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_masked_with_different_keys_and_hold_the_payload() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let mut random = Random::from_seed(1);
            let pattern = Pattern::new(len, false, &mut random);
            let framer = Framer::websocket(OpCode::Binary, len);
            let mut out = Vec::new();
            framer.append(&mut out, &pattern, &mut random, 3, 0);
            let one = out.len();
            framer.append(&mut out, &pattern, &mut random, 3, 1);

            let mut keys = Vec::new();
            for (message, frame) in out.chunks_exact(one).enumerate() {
                let (header, at) = FrameHeader::decode(frame).unwrap().unwrap();
                assert_eq!((header.fin, header.opcode, header.len), (true, OpCode::Binary, len as u64));
                let key = header.mask.unwrap();
                let mut payload = frame[at..].to_vec();
                mask::apply(&mut payload, key, 0);
                assert_eq!(payload.len(), len);
                assert!(pattern.matches(3, message as u64, 0, &payload));
                keys.push(key);
            }
            assert_ne!(keys[0], keys[1]);
        }
    }

    #[test]
    fn the_bare_echo_gets_the_payload_alone() {
        let mut random = Random::from_seed(1);
        let pattern = Pattern::new(20, false, &mut random);
        let mut out = Vec::new();
        Framer::bare().append(&mut out, &pattern, &mut random, 0, 9);
        assert!(out.len() == 20 && pattern.matches(0, 9, 0, &out));
    }
}
