//! The lines of a head: each ends in CRLF and holds no other control byte than tabs.

use super::HeadError;
use super::syntax::is_control;

/// Splits off the first line: the line without its CRLF, and what follows.
///
/// # Errors
/// It has no end, or holds a control byte.
#[inline(always)]
pub(super) fn split_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), HeadError> {
    let (line, end) = bytes.split_at(first_control(bytes));
    match end {
        [b'\r', b'\n', after @ ..] => Ok((line, after)),
        _ => Err(fault(end)),
    }
}

/// What is wrong with a line that ends like this.
#[cold]
fn fault(end: &[u8]) -> HeadError {
    match end {
        [] | [b'\r'] => HeadError::NotWhole,
        [b'\r', ..] => HeadError::BareCr,
        [b'\n', ..] => HeadError::BareLf,
        [0, ..] => HeadError::Nul,
        _ => HeadError::Control,
    }
}

/// Offset of the first control byte that is no tab; the length if there is none.
#[inline(always)]
fn first_control(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut clean = 0;
    for word in words {
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return clean + found.trailing_zeros() as usize / 8;
        }
        clean += 8;
    }
    bytes[clean..].iter().position(|&b| is_control(b)).map_or(bytes.len(), |n| clean + n)
}

/// The top bit of each byte of `word` that is a control byte but no tab.
///
/// Eight bytes at once, each in its own lane: with the top bits out of the way no sum carries into the next
/// lane.
const fn controls(word: u64) -> u64 {
    let low = word & lanes(0x7f);
    let from_space = low + lanes(0x80 - 0x20);
    let not_tab = (low ^ lanes(b'\t')) + lanes(0x7f);
    let delete = low + lanes(1);
    ((!from_space & not_tab) | delete) & !word & lanes(0x80)
}

const fn lanes(b: u8) -> u64 {
    u64::from_ne_bytes([b; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_control_equals_the_naive_search() {
        for len in 0..40 {
            for at in 0..len {
                for b in 0..=u8::MAX {
                    for around in [b' ', b'\t', b'~', 0x80, 0xff] {
                        let mut bytes = std::vec![around; len];
                        bytes[at] = b;
                        let naive = bytes.iter().position(|&b| b != b'\t' && b.is_ascii_control());
                        assert_eq!(first_control(&bytes), naive.unwrap_or(len), "{b:#x} at {at} of {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_of_many_controls_is_found() {
        for first in 0..16 {
            for second in first + 1..24 {
                for (a, b) in [(b'\r', b'\n'), (0x7f, 0), (0x1f, 0x7f), (0, 0x01)] {
                    let mut bytes = [b'\t'; 24];
                    (bytes[first], bytes[second]) = (a, b);
                    assert_eq!(first_control(&bytes), first);
                }
            }
        }
    }
}
