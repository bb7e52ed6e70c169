//! Holds what comes back against what was sent, byte for byte.

use lapps_parser::OpCode;

use crate::failure::Failure;
use crate::pattern::Pattern;

/// Follows the echoes of one connection, which come back in the order of the messages.
#[derive(Debug)]
pub struct Verifier {
    connection: u32,
    /// Messages that have come back whole.
    complete: u64,
    /// Bytes of the next one that have come back (bare echo only: a stream has no frames).
    offset: usize,
}

impl Verifier {
    /// Nothing has come back yet.
    pub fn new(connection: u32) -> Verifier {
        Verifier { connection, complete: 0, offset: 0 }
    }

    /// Messages that have come back whole.
    pub fn complete(&self) -> u64 {
        self.complete
    }

    /// A WebSocket message came back. `opcode` is the one that was sent, `sent` the number of messages sent so far.
    ///
    /// # Errors
    /// [`Failure::Mismatch`] if it is not the next message.
    #[inline]
    pub fn message(
        &mut self,
        pattern: &Pattern,
        sent: u64,
        expected: OpCode,
        opcode: OpCode,
        payload: &[u8],
    ) -> Result<(), Failure> {
        if self.complete >= sent {
            return Err(self.mismatch("an echo without a message".to_owned()));
        }
        if opcode != expected {
            return Err(self.mismatch(format!("opcode {opcode:?} instead of {expected:?}")));
        }
        let Some(payload) = pattern.envelope().open(payload) else {
            return Err(self.mismatch("not the response that belongs to the request".to_owned()));
        };
        if payload.len() != pattern.len() {
            return Err(self.mismatch(format!("{} bytes instead of {}", payload.len(), pattern.len())));
        }
        if !pattern.matches(self.connection, self.complete, 0, payload) {
            return Err(self.different(pattern, payload));
        }
        self.complete += 1;
        Ok(())
    }

    /// Bytes of the bare echo came back.
    ///
    /// # Errors
    /// [`Failure::Mismatch`] if they are not the next ones of those that were sent.
    #[inline]
    pub fn bytes(&mut self, pattern: &Pattern, sent: u64, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            if self.complete >= sent {
                return Err(self.mismatch("an echo without a message".to_owned()));
            }
            let (now, later) = bytes.split_at(bytes.len().min(pattern.len() - self.offset));
            if !pattern.matches(self.connection, self.complete, self.offset, now) {
                return Err(self.different(pattern, now));
            }
            self.offset += now.len();
            if self.offset == pattern.len() {
                self.offset = 0;
                self.complete += 1;
            }
            bytes = later;
        }
        Ok(())
    }

    #[cold]
    fn different(&self, pattern: &Pattern, bytes: &[u8]) -> Failure {
        let found = pattern.difference(self.connection, self.complete, self.offset, bytes);
        let what = found.map_or_else(
            || "bytes differ".to_owned(),
            |(at, sent, got)| {
                format!("byte {at} of {} was sent as {sent:#04x} and came back as {got:#04x}", pattern.len())
            },
        );
        self.mismatch(what)
    }

    #[cold]
    fn mismatch(&self, what: String) -> Failure {
        Failure::Mismatch { connection: self.connection, message: self.complete, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn pattern() -> Pattern {
        Pattern::new(20, false, &mut Random::from_seed(1))
    }

    fn payloads(pattern: &Pattern, count: u64) -> Vec<u8> {
        let mut out = Vec::new();
        (0..count).for_each(|message| pattern.append(&mut out, 4, message));
        out
    }

    #[test]
    fn messages_are_told_by_content_opcode_order_and_number() {
        let pattern = pattern();
        let sent = payloads(&pattern, 2);
        let check = |verifier: &mut Verifier, count, opcode, payload: &[u8]| {
            verifier.message(&pattern, count, OpCode::Binary, opcode, payload).map_err(|f| f.to_string())
        };
        let mut verifier = Verifier::new(4);
        assert_eq!(check(&mut verifier, 2, OpCode::Binary, &sent[..20]), Ok(()));
        let swapped = check(&mut Verifier::new(4), 2, OpCode::Binary, &sent[20..]).unwrap_err();
        assert!(swapped.contains("connection 4, message 0") && swapped.contains("byte 0 of 20"), "{swapped}");
        let text = check(&mut verifier, 2, OpCode::Text, &sent[20..]).unwrap_err();
        assert!(text.contains("opcode Text instead of Binary"), "{text}");
        let short = check(&mut verifier, 2, OpCode::Binary, &sent[21..]).unwrap_err();
        assert!(short.contains("19 bytes instead of 20"), "{short}");
        assert_eq!(check(&mut verifier, 2, OpCode::Binary, &sent[20..]), Ok(()));
        let extra = check(&mut verifier, 2, OpCode::Binary, &sent[20..]).unwrap_err();
        assert!(extra.contains("without a message"), "{extra}");
        assert_eq!(verifier.complete(), 2);
    }

    #[test]
    fn a_stream_is_followed_through_every_split() {
        let pattern = pattern();
        let sent = payloads(&pattern, 3);
        for cut in 0..=60 {
            let mut verifier = Verifier::new(4);
            verifier.bytes(&pattern, 3, &sent[..cut]).unwrap();
            verifier.bytes(&pattern, 3, &sent[cut..]).unwrap();
            assert_eq!(verifier.complete(), 3);
            assert!(verifier.bytes(&pattern, 3, &[0]).is_err());
        }
        for bad in 0..60 {
            let mut stream = sent.clone();
            stream[bad] ^= 0x80;
            let failure = Verifier::new(4).bytes(&pattern, 3, &stream).unwrap_err().to_string();
            assert!(failure.contains(&format!("message {}:", bad / 20)), "{failure}");
            assert!(failure.contains(&format!("byte {} of 20", bad % 20)), "{failure}");
        }
    }
}
