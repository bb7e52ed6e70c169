//! Section 8.1: the incremental validator against the standard library on every prefix.

use lapps_parser::utf8::{self, Utf8};
use proptest::prelude::*;

/// The index of the first byte that no continuation can make valid.
fn first_wrong(bytes: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(bytes).err()?;
    error.error_len()?;
    let start = error.valid_up_to();
    (start..bytes.len()).find(|&index| {
        std::str::from_utf8(&bytes[start..=index]).is_err_and(|error| error.error_len().is_some())
    })
}

/// Feeds all of `bytes`, cut at `cuts`, and byte by byte.
fn check(bytes: &[u8], cuts: &[usize]) {
    let wrong = first_wrong(bytes);
    let valid = std::str::from_utf8(bytes).is_ok();
    assert_eq!(utf8::is_valid(bytes), valid, "{bytes:02x?}");

    let mut state = Utf8::new();
    let mut from = 0;
    for &to in cuts.iter().chain(&[bytes.len()]) {
        let fed = state.feed(&bytes[from..to]);
        assert_eq!(
            fed.is_err(),
            wrong.is_some_and(|wrong| wrong < to),
            "{bytes:02x?} cut at {cuts:?}, to {to}"
        );
        if fed.is_err() {
            return;
        }
        from = to;
    }
    assert_eq!(state.is_complete(), valid, "{bytes:02x?} cut at {cuts:?}");
}

fn check_bytewise(bytes: &[u8]) {
    let cuts: Vec<usize> = (1..bytes.len()).collect();
    check(bytes, &cuts);
}

#[test]
fn every_sequence_of_one_and_two_bytes() {
    for first in 0..=255 {
        check_bytewise(&[first]);
        for second in 0..=255 {
            check(&[first, second], &[]);
            check_bytewise(&[first, second]);
        }
    }
}

#[test]
fn every_lead_byte_with_every_second_and_the_edges_after_it() {
    let edges = [0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff];
    for first in 0xc0..=255 {
        for second in 0..=255 {
            for third in edges {
                for fourth in edges {
                    let bytes = [first, second, third, fourth];
                    check(&bytes, &[]);
                    check_bytewise(&bytes);
                }
            }
        }
    }
}

#[test]
fn table_of_section_8_1() {
    // name, bytes, index of the first wrong one
    let table: &[(&str, &[u8], Option<usize>)] = &[
        ("empty", b"", None),
        ("all lengths", "a\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}".as_bytes(), None),
        ("last before the surrogates", b"\xed\x9f\xbf", None),
        ("first surrogate", b"\xed\xa0\x80", Some(1)),
        ("last surrogate", b"\xed\xbf\xbf", Some(1)),
        ("first after the surrogates", b"\xee\x80\x80", None),
        ("overlong slash in two bytes", b"\xc0\xaf", Some(0)),
        ("highest overlong in two bytes", b"\xc1\xbf", Some(0)),
        ("overlong in three bytes", b"\xe0\x9f\xbf", Some(1)),
        ("lowest in three bytes", b"\xe0\xa0\x80", None),
        ("overlong in four bytes", b"\xf0\x8f\xbf\xbf", Some(1)),
        ("lowest in four bytes", b"\xf0\x90\x80\x80", None),
        ("highest code point", b"\xf4\x8f\xbf\xbf", None),
        ("above U+10FFFF", b"\xf4\x90\x80\x80", Some(1)),
        ("lead byte F5", b"\xf5\x80\x80\x80", Some(0)),
        ("lead byte FF", b"\xff", Some(0)),
        ("continuation alone", b"a\x80", Some(1)),
        ("third byte wrong", b"\xe2\x82\x28", Some(2)),
        ("fourth byte wrong", b"\xf0\x90\x80\x28", Some(3)),
        ("lead byte after a lead byte", b"\xc3\xc3", Some(1)),
    ];
    for &(name, bytes, wrong) in table {
        assert_eq!(first_wrong(bytes), wrong, "{name}");
        for cut in 0..=bytes.len() {
            check(bytes, &[cut]);
        }
        check_bytewise(bytes);
    }
}

#[test]
fn one_wrong_byte_at_every_place_of_every_length() {
    for len in 1..=300 {
        let mut bytes = vec![b'a'; len];
        check(&bytes, &[]);
        for (place, wrong) in [(0, 0x80), (len / 2, 0xc3), (len - 1, 0xff), (len - 1, 0xe2)] {
            bytes[place] = wrong;
            check(&bytes, &[]);
            check(&bytes, &[place]);
            check(&bytes, &[len / 3, 2 * len / 3]);
            bytes[place] = b'a';
        }
    }
}

proptest! {
    #[test]
    fn text_cut_anywhere(text in "\\PC{0,400}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        check(text.as_bytes(), &sorted(&cuts, text.len()));
        check_bytewise(text.as_bytes());
    }

    #[test]
    fn broken_text_cut_anywhere(
        text in "\\PC{1,400}",
        place: prop::sample::Index,
        byte: u8,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut bytes = text.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        check(&bytes, &sorted(&cuts, bytes.len()));
        check_bytewise(&bytes);
    }
}

fn sorted(cuts: &[prop::sample::Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}
