//! What every message of a run says: different for each connection and each message, cheap to make and to check.

use crate::envelope::Envelope;
use crate::random::{Random, mix};

/// Distinct places where a message's window into the pool can begin.
const PLACES: usize = 4096;
/// Bytes of the tag before the window: in binary one word, in text its hexadecimal digits.
const BINARY_TAG: usize = 8;
const TEXT_TAG: usize = 16;

/// All payloads of a run. A payload is a tag that is unique for its connection and message, then a window into one
/// pool of random bytes that begins at a place which depends on both; so to make one is a copy and to check one is
/// a comparison. A payload shorter than the tag holds the tag's beginning, which changes from message to message.
#[derive(Debug)]
pub struct Pattern {
    len: usize,
    tag: usize,
    pool: Vec<u8>,
    envelope: Envelope,
}

/// The two parts of one payload.
struct Parts<'a> {
    tag: [u8; TEXT_TAG],
    tag_len: usize,
    window: &'a [u8],
}

impl Pattern {
    /// Payloads of `len` bytes; printable ASCII if `text`.
    pub fn new(len: usize, text: bool, random: &mut Random) -> Pattern {
        let tag = if text { TEXT_TAG } else { BINARY_TAG };
        let mut pool = Vec::with_capacity(len + PLACES + 8);
        while pool.len() < len + PLACES {
            pool.extend_from_slice(&random.next_u64().to_le_bytes());
        }
        if text {
            pool.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
        }
        Pattern { len, tag, pool, envelope: Envelope::default() }
    }

    /// The same payloads, with something around them in each message.
    #[must_use]
    pub fn within(self, envelope: Envelope) -> Pattern {
        Pattern { envelope, ..self }
    }

    /// What stands around the payloads.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Bytes of one message as it is sent.
    pub fn sent_len(&self) -> usize {
        self.envelope.sent.len() + self.len
    }

    /// Bytes of one payload.
    #[expect(clippy::len_without_is_empty, reason = "the length of one payload, not of a collection")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends `message` of `connection` as it is sent.
    #[inline]
    pub fn append(&self, out: &mut Vec<u8>, connection: u32, message: u64) {
        out.extend_from_slice(&self.envelope.sent);
        self.append_payload(out, connection, message);
    }

    #[inline]
    fn append_payload(&self, out: &mut Vec<u8>, connection: u32, message: u64) {
        let parts = self.parts(connection, message);
        out.extend_from_slice(&parts.tag[..parts.tag_len]);
        out.extend_from_slice(parts.window);
    }

    /// Whether `bytes` are those of that payload from `offset` on. False if they reach beyond its end.
    #[inline]
    pub fn matches(&self, connection: u32, message: u64, offset: usize, bytes: &[u8]) -> bool {
        if offset + bytes.len() > self.len {
            return false;
        }
        let parts = self.parts(connection, message);
        let tag = &parts.tag[..parts.tag_len];
        let from_tag = tag.get(offset..).unwrap_or_default();
        let (head, tail) = bytes.split_at(from_tag.len().min(bytes.len()));
        let start = offset.saturating_sub(tag.len());
        from_tag.starts_with(head) && parts.window[start..start + tail.len()] == *tail
    }

    /// The first index at which `bytes` differ from that payload, and both bytes there; for the error message.
    pub fn difference(
        &self,
        connection: u32,
        message: u64,
        offset: usize,
        bytes: &[u8],
    ) -> Option<(usize, u8, u8)> {
        let mut expected = Vec::with_capacity(self.len);
        self.append_payload(&mut expected, connection, message);
        let pairs = expected.get(offset..).unwrap_or_default().iter().zip(bytes);
        pairs.enumerate().find(|(_, (a, b))| a != b).map(|(at, (a, b))| (offset + at, *a, *b))
    }

    #[inline]
    fn parts(&self, connection: u32, message: u64) -> Parts<'_> {
        // Low bits of the message number first: they are what is left of a tag that is cut.
        let word = message ^ (u64::from(connection) << 40);
        let mut tag = [0; TEXT_TAG];
        if self.tag == BINARY_TAG {
            tag[..BINARY_TAG].copy_from_slice(&word.to_le_bytes());
        } else {
            for (at, digit) in tag.iter_mut().enumerate() {
                *digit = b"0123456789abcdef"[(word >> (4 * at) & 15) as usize];
            }
        }
        let tag_len = self.tag.min(self.len);
        let place = mix(word) as usize % PLACES;
        Parts { tag, tag_len, window: &self.pool[place..place + self.len - tag_len] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn payload(pattern: &Pattern, connection: u32, message: u64) -> Vec<u8> {
        let mut out = Vec::new();
        pattern.append(&mut out, connection, message);
        out
    }

    #[test]
    fn payloads_have_their_length_and_differ() {
        for text in [false, true] {
            for len in [0, 1, 7, 8, 15, 16, 17, 128, 70_000] {
                let pattern = Pattern::new(len, text, &mut Random::from_seed(1));
                assert_eq!(payload(&pattern, 3, 5).len(), len);
                assert_eq!(len > 0, payload(&pattern, 3, 5) != payload(&pattern, 3, 6));
            }
            let pattern = Pattern::new(20, text, &mut Random::from_seed(1));
            let all: HashSet<_> = (0..50)
                .flat_map(|c| (0..50).map(move |m| (c, m)))
                .map(|(c, m)| payload(&pattern, c, m))
                .collect();
            assert_eq!(all.len(), 2500);
        }
    }

    #[test]
    fn text_is_printable() {
        let pattern = Pattern::new(300, true, &mut Random::from_seed(2));
        assert!(payload(&pattern, 1, 2).iter().all(|byte| (b' '..=b'~').contains(byte)));
    }

    #[test]
    fn every_piece_matches_and_every_flipped_byte_does_not() {
        for text in [false, true] {
            let pattern = Pattern::new(40, text, &mut Random::from_seed(3));
            let whole = payload(&pattern, 9, 1 << 33);
            for from in 0..=40 {
                for to in from..=40 {
                    assert!(pattern.matches(9, 1 << 33, from, &whole[from..to]));
                    for at in from..to {
                        let mut bad = whole[from..to].to_vec();
                        bad[at - from] ^= 1;
                        assert!(!pattern.matches(9, 1 << 33, from, &bad));
                        let found = pattern.difference(9, 1 << 33, from, &bad);
                        assert_eq!(found, Some((at, whole[at], whole[at] ^ 1)));
                    }
                }
            }
            assert!(!pattern.matches(9, 1 << 33, 1, &whole), "longer than the payload");
            assert!(!pattern.matches(9, 1 << 32, 0, &whole), "another message");
            assert!(!pattern.matches(8, 1 << 33, 0, &whole), "another connection");
        }
    }
}
