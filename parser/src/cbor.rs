//! CBOR to values and back (RFC 8949).
//!
//! What is read: everything that a value can be. Byte strings are texts, too, undefined is null, and texts need not be
//! UTF-8. Tags are refused, because what they say of their content would be lost; but for 55799, which says nothing
//! (section 3.4.6). What is written: the shortest heads, definite lengths, floats of eight bytes, keys in the order of
//! their bytes; and a text that is not UTF-8 as a byte string, so that it is always valid.
//!
//! The crate that would have been taken for this checks each text, and has no way to read one that is not UTF-8.

mod encode;
mod error;
mod read;

pub use encode::encode;
pub use error::{DecodeError, Fault};

use crate::value::{Limits, Tree};

/// Reads one item, which is all of `bytes`.
///
/// # Errors
/// It is not well-formed, not complete, or followed by more; it has something that a value cannot be; or it exceeds the
/// limits. Memory is never taken because of a length that the input only claims.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Tree, DecodeError> {
    read::decode(bytes, limits)
}
