//! Random numbers for masking keys and payloads: fast, and different in every run.

use std::fs::File;
use std::io::Read;

use crate::failure::Failure;

/// The xoshiro256++ generator, by its published definition. Not for secrets: a load client needs keys that differ,
/// not keys that nobody can guess.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// [`Failure::System`] if `/dev/urandom` cannot be read.
    pub fn from_system() -> Result<Random, Failure> {
        let mut seed = [0; 8];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut seed))
            .map_err(|error| Failure::system("read /dev/urandom", error))?;
        Ok(Random::from_seed(u64::from_ne_bytes(seed)))
    }

    /// The same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Random {
        // The state must not be all zeros; neighbouring outputs of the mixer cannot all be.
        let mut state = [0; 4];
        for (word, step) in state.iter_mut().zip(1_u64..) {
            *word = mix(seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        }
        Random { state }
    }

    /// The next 64 bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let t = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= t;
        *d = d.rotate_left(45);
        result
    }

    /// A masking key (RFC 6455 section 5.3).
    #[inline]
    pub fn mask(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.next_u64().to_le_bytes();
        [a, b, c, d]
    }

    /// The 16 bytes of a `Sec-WebSocket-Key` (RFC 6455 section 4.1).
    pub fn nonce(&mut self) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        nonce[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        nonce
    }
}

/// Spreads every bit of `x` over the whole result (the finalizer of SplitMix64).
#[inline]
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_do_not_repeat_and_runs_differ() {
        let mut random = Random::from_system().unwrap();
        let keys: HashSet<u64> = (0..10_000).map(|_| random.next_u64()).collect();
        assert_eq!(keys.len(), 10_000);
        assert_ne!(Random::from_system().unwrap().nonce(), Random::from_system().unwrap().nonce());
    }

    #[test]
    fn every_bit_of_a_key_is_set_half_of_the_time() {
        let mut random = Random::from_seed(7);
        let mut counts = [0_u32; 32];
        for _ in 0..4096 {
            let key = u32::from_le_bytes(random.mask());
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += key >> bit & 1;
            }
        }
        assert!(counts.iter().all(|count| (1800..2300).contains(count)), "{counts:?}");
    }
}
