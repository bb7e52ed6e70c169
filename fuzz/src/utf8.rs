//! Target `utf8`: pieces of text against the standard library.

use std::str;

use lapps_parser::utf8::{Utf8, is_valid};

/// The first byte is the length of the pieces, the rest of `data` the text.
///
/// # Panics
/// If a wrong byte is found in another piece than the one it stands in, or the end is judged differently.
pub fn utf8(data: &[u8]) {
    let Some((&length, text)) = data.split_first() else { return };
    assert_eq!(is_valid(text), str::from_utf8(text).is_ok());
    let mut state = Utf8::new();
    let mut seen = 0;
    // Before it all is complete characters: it keeps the comparison short.
    let mut start = 0;
    for piece in text.chunks(usize::from(length).max(1)) {
        seen += piece.len();
        let fed = state.feed(piece);
        match str::from_utf8(&text[start..seen]) {
            Ok(_) => {
                assert!(fed.is_ok() && state.is_complete());
                start = seen;
            }
            Err(error) if error.error_len().is_none() => {
                assert!(fed.is_ok() && !state.is_complete());
                start += error.valid_up_to();
            }
            Err(_) => {
                assert!(fed.is_err());
                return;
            }
        }
    }
}
