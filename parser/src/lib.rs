//! Bytes to WebSocket messages, HTTP heads and values, and back: no operating system, no clock, no Lua.
//!
//! The crate does no I/O. Its users hand it the bytes they have read and get back what those bytes mean, or
//! "more bytes needed", or a violation with the close code that answers it (RFC 6455 and RFC 9112).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod cbor;
pub mod close;
pub mod decoder;
pub mod frame;
pub mod handshake;
pub mod http;
pub mod incoming;
pub mod json;
pub mod lapps;
pub mod mask;
pub mod utf8;
pub mod value;
pub mod violation;

pub use close::CloseCode;
pub use decoder::{Decoder, Limits, Role, Step};
pub use frame::{FrameHeader, OpCode};
pub use incoming::Incoming;
pub use value::{NodeId, Tree, Value};
pub use violation::Violation;
