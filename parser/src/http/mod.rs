//! HTTP/1.1 message heads (RFC 9110, RFC 9112): found in partial input, checked strictly, read without
//! copying.
//!
//! [`HeadScan`] finds where a head ends while its bytes arrive; [`RequestHead`] and [`ResponseHead`] check a
//! whole head once and then lend out its parts. What is wrong is a [`HeadError`], which knows the status that
//! answers it.

mod fields;
mod lines;
mod request;
mod response;
mod scan;
mod syntax;
mod write;

use core::fmt;

pub(crate) use fields::Known;
pub use fields::{Fields, Iter, Values};
pub use request::RequestHead;
pub use response::ResponseHead;
pub use scan::HeadScan;
pub(crate) use syntax::list_members;
pub use syntax::{is_field_value, is_host, is_token};
pub(crate) use write::{push_encoded, push_field};
pub use write::{reason, write_response};

/// What a head may cost. Breaches are answered with 431 (`head`, `fields`) or 414 (`target`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, from the first byte received to the end of the empty line.
    pub head: usize,
    /// Number of field lines.
    pub fields: usize,
    /// Bytes of the request target.
    pub target: usize,
}

impl Default for HeadLimits {
    /// 16 KiB, 100 fields, a target of 8 KiB.
    fn default() -> Self {
        HeadLimits { head: 16 * 1024, fields: 100, target: 8 * 1024 }
    }
}

/// The protocol version of a head. Every 1.x above 1.1 is treated as 1.1 (RFC 9110, 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no `Host` needed, no upgrade possible.
    Http10,
    /// HTTP/1.1 and its later minor versions.
    Http11,
}

impl Version {
    /// Reads `HTTP/` DIGIT `.` DIGIT (RFC 9112, 2.3).
    fn parse(bytes: &[u8]) -> Result<Version, HeadError> {
        match bytes {
            [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
                match (major, minor) {
                    (b'1', b'0') => Ok(Version::Http10),
                    (b'1', _) => Ok(Version::Http11),
                    _ => Err(HeadError::VersionNotSupported),
                }
            }
            _ => Err(HeadError::VersionSyntax),
        }
    }
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadError {
    /// The head does not end with an empty line, or goes on behind it.
    NotWhole,
    /// The head is longer than [`HeadLimits::head`].
    HeadTooLong,
    /// There are more field lines than [`HeadLimits::fields`].
    TooManyFields,
    /// The target is longer than [`HeadLimits::target`].
    TargetTooLong,
    /// A NUL byte (RFC 9110, 5.5).
    Nul,
    /// A line feed without a carriage return before it (RFC 9112, 2.2: lenience we do not take).
    BareLf,
    /// A carriage return without a line feed behind it (RFC 9112, 2.2).
    BareCr,
    /// Another control byte in a line (RFC 9110, 5.5).
    Control,
    /// The first line is not `method SP target SP version` (RFC 9112, 3).
    RequestLine,
    /// The method is not a token (RFC 9110, 9.1).
    Method,
    /// The target has none of the forms that its method allows (RFC 9112, 3.2).
    Target,
    /// The first line is not `version SP status SP reason` (RFC 9112, 4).
    StatusLine,
    /// The version is not `HTTP/` DIGIT `.` DIGIT (RFC 9112, 2.3).
    VersionSyntax,
    /// A major version other than 1.
    VersionNotSupported,
    /// A line that starts with white space (RFC 9112, 5.2).
    Fold,
    /// White space between a field name and its colon (RFC 9112, 5.1).
    SpaceBeforeColon,
    /// A field name that is empty or not a token, or a line without a colon (RFC 9110, 5.1).
    FieldName,
    /// HTTP/1.1 without `Host` (RFC 9112, 3.2).
    HostMissing,
    /// More than one `Host` line (RFC 9112, 3.2).
    HostTwice,
    /// `Host` is not a host with an optional port (RFC 9110, 7.2).
    HostInvalid,
    /// `Content-Length` is not one decimal number (RFC 9112, 6.3).
    ContentLength,
    /// More than one `Content-Length` line (RFC 9112, 6.3).
    ContentLengthTwice,
    /// `Transfer-Encoding` twice, in HTTP/1.0, or not ending in `chunked` (RFC 9112, 6.1 and 6.3).
    TransferEncoding,
    /// `Content-Length` and `Transfer-Encoding` in one head (RFC 9112, 6.3).
    LengthWithEncoding,
}

impl HeadError {
    /// The status of the response to a request with this fault: 400, 414, 431 or 505.
    pub const fn status(self) -> u16 {
        match self {
            HeadError::TargetTooLong => 414,
            HeadError::HeadTooLong | HeadError::TooManyFields => 431,
            HeadError::VersionNotSupported => 505,
            _ => 400,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadError::NotWhole => "the head does not end with its empty line",
            HeadError::HeadTooLong => "the head is too long",
            HeadError::TooManyFields => "too many header fields",
            HeadError::TargetTooLong => "the request target is too long",
            HeadError::Nul => "a NUL byte in the head",
            HeadError::BareLf => "a line feed without carriage return",
            HeadError::BareCr => "a carriage return without line feed",
            HeadError::Control => "a control byte in the head",
            HeadError::RequestLine => "the request line is not method, target and version",
            HeadError::Method => "the method is not a token",
            HeadError::Target => "the request target is not valid",
            HeadError::StatusLine => "the status line is not version, status and reason",
            HeadError::VersionSyntax => "the HTTP version is not valid",
            HeadError::VersionNotSupported => "only HTTP/1.1 is spoken here",
            HeadError::Fold => "a header line starts with white space",
            HeadError::SpaceBeforeColon => "white space before the colon of a header field",
            HeadError::FieldName => "a header field name is not a token",
            HeadError::HostMissing => "the Host field is missing",
            HeadError::HostTwice => "more than one Host field",
            HeadError::HostInvalid => "the Host field is not valid",
            HeadError::ContentLength => "Content-Length is not a number",
            HeadError::ContentLengthTwice => "more than one Content-Length field",
            HeadError::TransferEncoding => "Transfer-Encoding is not valid",
            HeadError::LengthWithEncoding => "Content-Length together with Transfer-Encoding",
        })
    }
}

impl core::error::Error for HeadError {}
