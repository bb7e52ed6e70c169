//! Close codes that may go on the wire, and the payload of a close frame (RFC 6455 sections 5.5.1 and 7.4).

use alloc::vec::Vec;
use core::fmt;

use crate::frame::MAX_CONTROL_LEN;

/// A close code that may stand in a close frame: 1000-1003, 1007-1014 or 3000-4999.
///
/// 1004 is reserved, 1005, 1006 and 1015 are for local use only, the other ranges belong to nobody (RFC 6455
/// section 7.4; 1012-1014 are in the IANA registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server stops, or the browser leaves the page.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// A kind of data that this end does not take.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// Data that does not fit its type, as text that is not UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// A policy was broken and no other code fits.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message too big to process.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// A client misses an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: CloseCode = CloseCode(1010);
    /// The server met a condition it did not expect.
    pub const INTERNAL: CloseCode = CloseCode(1011);
    /// The service restarts; reconnecting is welcome.
    pub const SERVICE_RESTART: CloseCode = CloseCode(1012);
    /// The server is overloaded; reconnect later or elsewhere.
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);
    /// A gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: CloseCode = CloseCode(1014);

    /// `code` as a close code, if it may be sent.
    #[inline]
    pub const fn new(code: u16) -> Option<CloseCode> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(CloseCode(code)),
            _ => None,
        }
    }

    /// The number on the wire.
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes of reason that fit into a close frame beside the code.
pub const MAX_REASON_LEN: usize = MAX_CONTROL_LEN - 2;

/// Appends a close frame's payload to `out`: the code, and of `reason` the characters that fit whole into
/// [`MAX_REASON_LEN`] bytes.
pub fn write_payload(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut end = reason.len().min(MAX_REASON_LEN);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    out.extend_from_slice(&code.get().to_be_bytes());
    out.extend_from_slice(&reason.as_bytes()[..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_allowed() {
        for code in [
            CloseCode::NORMAL,
            CloseCode::GOING_AWAY,
            CloseCode::PROTOCOL_ERROR,
            CloseCode::UNSUPPORTED,
            CloseCode::INVALID_PAYLOAD,
            CloseCode::POLICY,
            CloseCode::TOO_BIG,
            CloseCode::MANDATORY_EXTENSION,
            CloseCode::INTERNAL,
            CloseCode::SERVICE_RESTART,
            CloseCode::TRY_AGAIN_LATER,
            CloseCode::BAD_GATEWAY,
        ] {
            assert_eq!(CloseCode::new(code.get()), Some(code));
        }
    }

    #[test]
    fn a_payload_is_code_and_reason() {
        let mut out = Vec::new();
        write_payload(&mut out, CloseCode::NORMAL, "bye");
        assert_eq!(out, b"\x03\xe8bye");
    }
}
