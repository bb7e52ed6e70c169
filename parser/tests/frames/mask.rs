//! Section 5.3: the mask against a loop over bytes.

use lapps_parser::mask;
use proptest::prelude::*;

fn naive(data: &[u8], key: [u8; 4], phase: usize) -> Vec<u8> {
    data.iter().enumerate().map(|(index, byte)| byte ^ key[(phase % 4 + index) % 4]).collect()
}

/// Masks `len` bytes at `offset` of a larger buffer, both ways, and looks at every byte of it.
fn check(len: usize, offset: usize, key: [u8; 4], phase: usize) {
    let source: Vec<u8> = (0..offset + len + 64).map(|index| (index * 7 + index / 256) as u8).collect();
    let range = offset..offset + len;
    let mut expected = source.clone();
    expected.splice(range.clone(), naive(&source[range.clone()], key, phase));

    let mut in_place = source.clone();
    mask::apply(&mut in_place[range.clone()], key, phase);
    assert_eq!(in_place, expected, "in place: {len} bytes at {offset}, phase {phase}");

    let mut copied = source.clone();
    mask::apply_into(&mut copied[range.clone()], &source[range], key, phase);
    assert_eq!(copied, expected, "copied: {len} bytes at {offset}, phase {phase}");
}

#[test]
fn equals_the_byte_loop_for_all_lengths_and_alignments() {
    for len in (0..=300).chain(500..=600) {
        for offset in 0..33 {
            check(len, offset, [0x37, 0xfa, 0x21, 0x3d], len + offset);
        }
    }
}

#[test]
fn every_phase_counts_modulo_4() {
    for len in [0, 1, 3, 4, 5, 15, 16, 31, 33, 63, 65, 257] {
        for phase in (0..9).chain([usize::MAX - 3, usize::MAX - 2, usize::MAX - 1, usize::MAX]) {
            check(len, 1, [1, 2, 3, 4], phase);
        }
    }
}

#[test]
#[should_panic(expected = "differ in length")]
fn a_copy_needs_equal_lengths() {
    mask::apply_into(&mut [0; 3], &[0; 4], [0; 4], 0);
}

proptest! {
    #[test]
    fn equals_the_byte_loop_for_random_data(
        len in 300_usize..70_000,
        offset in 0_usize..64,
        key: [u8; 4],
        phase: usize,
    ) {
        check(len, offset, key, phase);
    }

    #[test]
    fn pieces_with_their_phase_give_the_whole(
        data in prop::collection::vec(any::<u8>(), 0..2000),
        key: [u8; 4],
        cut: prop::sample::Index,
    ) {
        let cut = cut.index(data.len() + 1);
        let mut pieces = data.clone();
        mask::apply(&mut pieces[..cut], key, 0);
        mask::apply(&mut pieces[cut..], key, cut);
        prop_assert_eq!(pieces, naive(&data, key, 0));
    }
}
