//! Masking keys that nobody can guess (RFC 6455 section 10.3), from a stock: no system call per frame.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Bytes that are got at a time.
const STOCK: usize = 1024;

/// Random bytes of the system.
pub(crate) struct Keys {
    stock: Box<[u8; STOCK]>,
    used: usize,
}

impl Keys {
    /// An empty stock: it is filled at the first use.
    pub(crate) fn new() -> Keys {
        Keys { stock: Box::new([0; STOCK]), used: STOCK }
    }

    /// The key of the next frame.
    pub(crate) fn mask(&mut self) -> [u8; 4] {
        self.take()
    }

    /// What a `Sec-WebSocket-Key` is made of.
    pub(crate) fn nonce(&mut self) -> [u8; 16] {
        self.take()
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > STOCK {
            self.fill();
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.stock[self.used..self.used + N]);
        // A key that was used is nowhere any more.
        self.stock[self.used..self.used + N].fill(0);
        self.used += N;
        bytes
    }

    /// Gets a new stock.
    fn fill(&mut self) {
        let mut got = 0;
        while got < STOCK {
            match getrandom(&mut self.stock[got..], GetRandomFlags::empty()) {
                Ok(bytes) => got += bytes,
                Err(Errno::INTR) => {}
                // No Linux that the server runs on is without it, and nothing may be sent under a key that can be guessed.
                Err(error) => panic!("the system gives no random bytes: {error}"),
            }
        }
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_do_not_repeat() {
        let mut keys = Keys::new();
        let all: HashSet<[u8; 16]> = (0..1000).map(|_| keys.nonce()).collect();
        assert_eq!(all.len(), 1000);
        let masks: HashSet<[u8; 4]> = (0..1000).map(|_| keys.mask()).collect();
        assert!(masks.len() >= 998, "{}", masks.len());
        assert_ne!(Keys::new().nonce(), Keys::new().nonce());
    }

    #[test]
    fn every_bit_of_a_key_is_set_half_of_the_time() {
        let mut keys = Keys::new();
        let mut counts = [0_u32; 32];
        for _ in 0..4096 {
            let key = u32::from_le_bytes(keys.mask());
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += key >> bit & 1;
            }
        }
        assert!(counts.iter().all(|count| (1800..2300).contains(count)), "{counts:?}");
    }
}
