//! The 64-bit MurmurHash2 as the GNU C++ library has it, which the original's `murmur` gives to services.

/// The seed of `std::hash`.
const SEED: u64 = 0xc70f_6907;
const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;

/// The hash of these bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let start = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let mut hash = words.iter().fold(start, |hash, word| {
        let word = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        (hash ^ mix(word).wrapping_mul(FACTOR)).wrapping_mul(FACTOR)
    });
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
    }
    mix(mix(hash).wrapping_mul(FACTOR))
}

/// The hash of a number from -2^63 to below 2^64: its whole part, negative ones in two's complement.
pub(crate) fn hash_number(number: f64) -> u64 {
    if number < 0.0 { (number as i64).cast_unsigned() } else { number as u64 }
}

fn mix(word: u64) -> u64 {
    word ^ (word >> 47)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_hash_as_in_the_c_library() {
        assert_eq!(hash(b""), 0x553e_9390_1e46_2a6e);
        assert_eq!(hash(b"abc"), 0x32d8_2bf8_ed3d_ba39);
    }

    #[test]
    fn every_length_of_the_rest_hashes_as_in_the_c_library() {
        // `std::hash<std::string>` of so many of these bytes.
        let bytes: Vec<u8> = (0..18u32).map(|n| (n * 37 + 1) as u8).collect();
        let expected = [
            0x553e_9390_1e46_2a6e,
            0x3c27_d9f5_91d2_0e49,
            0x508e_d42f_f15c_f230,
            0x4670_722a_8f8c_00b5,
            0xbf8b_b5a8_ef4a_e1d7,
            0x878a_02d4_e204_0956,
            0x5feb_e48a_671f_c3b7,
            0xfa72_0157_ce7c_dfd5,
            0x3a59_855f_3850_606d,
            0x3c6a_06b0_6360_9bd2,
            0x3874_376f_7cd6_22c7,
            0x0584_29e2_00b5_1412,
            0x0607_a5b2_4c3c_2541,
            0xcc73_2cd0_977b_1b22,
            0x8663_40ae_7e12_4604,
            0x870b_2587_07a8_0c65,
            0x2d5c_e61c_c6b2_b479,
            0x51bd_8e05_26d1_78fd,
        ];
        for (len, expected) in expected.into_iter().enumerate() {
            assert_eq!(hash(&bytes[..len]), expected, "{len} bytes");
        }
    }

    #[test]
    fn numbers_are_their_own_hash() {
        for (number, expected) in [
            (0.0, 0),
            (-0.0, 0),
            (5.0, 5),
            (5.9, 5),
            (-0.5, 0),
            (-1.0, u64::MAX),
            (-5.9, u64::MAX - 4),
            (9_007_199_254_740_993.0, 9_007_199_254_740_992),
            (-9_223_372_036_854_775_808.0, 1 << 63),
            (9_223_372_036_854_775_808.0, 1 << 63),
            (18_446_744_073_709_549_568.0, u64::MAX - 2047),
        ] {
            assert_eq!(hash_number(number), expected, "{number}");
        }
    }
}
