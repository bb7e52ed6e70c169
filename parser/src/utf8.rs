//! UTF-8 validation, whole or piece by piece, failing at the first wrong byte (RFC 3629, RFC 6455 section 8.1).

use core::fmt;

/// Whether `bytes` is well-formed UTF-8.
#[inline]
pub fn is_valid(bytes: &[u8]) -> bool {
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// The state of a text that arrives in pieces: what the character in progress still needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utf8 {
    /// Continuation bytes still to come; 0 between characters.
    missing: u8,
    /// The next continuation byte is at least this ...
    low: u8,
    /// ... and at most this. Narrower than 80-BF only after E0, ED, F0 and F4.
    high: u8,
}

impl Utf8 {
    /// The state before the first byte.
    #[inline]
    pub const fn new() -> Utf8 {
        Utf8 { missing: 0, low: 0x80, high: 0xbf }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// As soon as a byte is there that no continuation can make valid, even if its character is not complete.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        let mut rest = bytes;
        while self.missing > 0 {
            let Some((&byte, after)) = rest.split_first() else { return Ok(()) };
            self.step(byte)?;
            rest = after;
        }
        let (whole, begun) = rest.split_at(rest.len() - begun(rest));
        if !is_valid(whole) {
            return Err(InvalidUtf8);
        }
        begun.iter().try_for_each(|&byte| self.step(byte))
    }

    /// Whether the text may end here: no character is in progress.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// One byte of the table of RFC 3629 section 4.
    fn step(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        if self.missing > 0 {
            if !(self.low..=self.high).contains(&byte) {
                return Err(InvalidUtf8);
            }
            *self = Utf8 { missing: self.missing - 1, ..Utf8::new() };
            return Ok(());
        }
        let (missing, low, high) = match byte {
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return Err(InvalidUtf8),
        };
        *self = Utf8 { missing, low, high };
        Ok(())
    }
}

impl Default for Utf8 {
    fn default() -> Utf8 {
        Utf8::new()
    }
}

/// The text is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not valid UTF-8")
    }
}

impl core::error::Error for InvalidUtf8 {}

/// How many bytes at the end of `bytes` belong to a character that is not complete there: 0 to 3.
#[inline]
fn begun(bytes: &[u8]) -> usize {
    for (index, &byte) in bytes.iter().rev().take(3).enumerate() {
        let length = match byte {
            0x80..=0xbf => continue,
            0x00..=0x7f => 1,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        return if length > index + 1 { index + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_counts_the_bytes_of_a_character_that_is_not_complete() {
        let table: &[(&[u8], usize)] = &[
            (b"", 0),
            (b"a", 0),
            (b"a\xc3", 1),
            (b"\xc3\xa9", 0),
            (b"\xe2\x82", 2),
            (b"\xe2\x82\xac", 0),
            (b"\xf0\x9f\xa6", 3),
            (b"\xf0\x9f\xa6\x80", 0),
            (b"\x80\x80\x80", 0),
            (b"a\x80\x80", 0),
        ];
        for &(bytes, expected) in table {
            assert_eq!(begun(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn the_second_byte_of_a_narrow_lead_is_checked_before_the_third_is_there() {
        for (lead, wrong, right) in
            [(0xe0, 0x9f, 0xa0), (0xed, 0xa0, 0x9f), (0xf0, 0x8f, 0x90), (0xf4, 0x90, 0x8f)]
        {
            assert_eq!(Utf8::new().feed(&[lead, wrong]), Err(InvalidUtf8));
            let mut state = Utf8::new();
            assert_eq!(state.feed(&[lead]), Ok(()));
            assert_eq!(state.feed(&[right]), Ok(()));
            assert!(!state.is_complete());
        }
    }
}
