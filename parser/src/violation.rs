//! What a peer did wrong on the frame layer, and the close code that answers it.

use core::fmt;

use crate::close::CloseCode;

/// A breach of the protocol or of a limit. The connection is closed with [`Violation::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set and no extension is in use (RFC 6455 section 5.2).
    ReservedBits,
    /// Opcode 3-7 or 11-15 (RFC 6455 section 5.2).
    ReservedOpCode,
    /// A client sent an unmasked frame (RFC 6455 section 5.1).
    NotMasked,
    /// A server sent a masked frame (RFC 6455 section 5.1).
    Masked,
    /// A length is not in its shortest form (RFC 6455 section 5.2).
    LengthNotMinimal,
    /// The most significant bit of a 64-bit length is set (RFC 6455 section 5.2).
    LengthTopBit,
    /// A control frame without FIN (RFC 6455 section 5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (RFC 6455 section 5.5).
    ControlTooLong,
    /// A continuation frame without a message to continue (RFC 6455 section 5.4).
    StrayContinuation,
    /// A new data frame before the fragmented message is finished (RFC 6455 section 5.4).
    InterleavedMessage,
    /// A close payload of one byte: half a code (RFC 6455 section 5.5.1).
    CloseTooShort,
    /// A close code that must not be on the wire (RFC 6455 section 7.4).
    CloseCode,
    /// A text message is not UTF-8 (RFC 6455 section 8.1).
    Utf8,
    /// The reason of a close frame is not UTF-8 (RFC 6455 section 5.5.1).
    CloseReason,
    /// The message, all its fragments together, is longer than the limit.
    TooBig,
    /// The message has more fragments than the limit.
    TooManyFragments,
}

impl Violation {
    /// The code to close the connection with (RFC 6455 section 7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Violation::Utf8 | Violation::CloseReason => CloseCode::INVALID_PAYLOAD,
            Violation::TooBig => CloseCode::TOO_BIG,
            Violation::TooManyFragments => CloseCode::POLICY,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Violation::ReservedBits => "reserved bit set without an extension",
            Violation::ReservedOpCode => "reserved opcode",
            Violation::NotMasked => "unmasked frame from a client",
            Violation::Masked => "masked frame from a server",
            Violation::LengthNotMinimal => "frame length not in its shortest form",
            Violation::LengthTopBit => "frame length of 2^63 or more",
            Violation::FragmentedControl => "fragmented control frame",
            Violation::ControlTooLong => "control frame longer than 125 bytes",
            Violation::StrayContinuation => "continuation frame without a message",
            Violation::InterleavedMessage => "new message inside a fragmented one",
            Violation::CloseTooShort => "close payload of one byte",
            Violation::CloseCode => "close code not allowed on the wire",
            Violation::Utf8 => "text message is not UTF-8",
            Violation::CloseReason => "close reason is not UTF-8",
            Violation::TooBig => "message longer than the limit",
            Violation::TooManyFragments => "message of more fragments than the limit",
        })
    }
}

impl core::error::Error for Violation {}
