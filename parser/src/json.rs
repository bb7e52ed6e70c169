//! JSON to values and back (RFC 8259).
//!
//! Whole numbers of 64 bits stay exact, greater ones become floats; floats come back as they were. Of equal keys the last
//! wins. Written are the keys in the order of their bytes, and null for what is no number (NaN) or not finite.

mod encode;
mod read;

use alloc::string::{String, ToString};
use core::fmt;

pub use encode::{EncodeError, encode, encode_pretty};

use crate::value::{Excess, Limits, Tree};

/// Why a text is refused, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeError {
    /// Counted from 1; 0 if it is not a matter of one place.
    pub line: usize,
    /// Bytes from the beginning of the line, about.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The limit that was exceeded, if that is what is wrong.
    pub excess: Option<Excess>,
}

/// Reads one value, which is all of `bytes` but for white space and a byte order mark.
///
/// # Errors
/// It is no JSON text, or it exceeds the limits.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Tree, DecodeError> {
    read::decode(bytes, limits)
}

impl DecodeError {
    /// A mistake that has no place.
    fn nowhere(message: impl fmt::Display, excess: Option<Excess>) -> DecodeError {
        DecodeError { line: 0, column: 0, message: message.to_string(), excess }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.line > 0 {
            write!(f, " at line {} column {}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl core::error::Error for DecodeError {}
