//! A response head: status line and fields (RFC 9112, 4).

use super::lines::split_line;
use super::{Fields, HeadError, HeadLimits, Version};

/// A checked response head, borrowed from the bytes it came in.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The version of the status line.
    pub version: Version,
    /// The status code, 100 to 599.
    pub status: u16,
    /// The reason phrase, often empty: bytes, for it may hold anything but control bytes.
    pub reason: &'a [u8],
    /// The header fields.
    pub fields: Fields<'a>,
}

impl<'a> ResponseHead<'a> {
    /// Reads a whole head: what [`HeadScan::find_end`](super::HeadScan::find_end) found.
    ///
    /// # Errors
    /// The first fault against RFC 9112 from the start of the head on, then those of its framing fields.
    pub fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<ResponseHead<'a>, HeadError> {
        if head.len() > limits.head {
            return Err(HeadError::HeadTooLong);
        }
        let (line, block) = split_line(head)?;
        let (version, status) = line.split_at_checked(8).ok_or(HeadError::StatusLine)?;
        let version = Version::parse(version)?;
        let (status, reason) = match status {
            // The space behind the status must be there, but too many servers without a reason leave it out.
            [b' ', a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] => ([a, b, c], &[][..]),
            [b' ', a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', reason @ ..] => {
                ([a, b, c], reason)
            }
            _ => return Err(HeadError::StatusLine),
        };
        let status = status.iter().fold(0, |n, &&digit| n * 10 + u16::from(digit - b'0'));
        let fields = Fields::parse(block, limits.fields, version)?;
        Ok(ResponseHead { version, status, reason, fields })
    }
}
