//! One thing the peer said, and what a close payload says (RFC 6455 sections 5.5 and 5.6).

use core::str;

use crate::close::CloseCode;
use crate::frame::OpCode;
use crate::violation::Violation;

/// One thing the peer said.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole message.
    Message {
        /// [`OpCode::Text`], whose payload is valid UTF-8, or [`OpCode::Binary`].
        opcode: OpCode,
        /// The unmasked payload. It may be overwritten freely.
        payload: &'a mut [u8],
    },
    /// A ping; the pong carries the same payload.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// A close frame; nothing that follows it counts (RFC 6455 section 5.5.1).
    Close {
        /// The peer's code, if it gave one.
        code: Option<CloseCode>,
        /// The peer's reason; may be empty.
        reason: &'a str,
    },
}

impl<'a> Incoming<'a> {
    /// A complete, unmasked payload as what it means. `Continuation` never comes: the decoder knows what it continues.
    pub(crate) fn read(opcode: OpCode, payload: &'a mut [u8]) -> Result<Incoming<'a>, Violation> {
        Ok(match opcode {
            OpCode::Ping => Incoming::Ping(payload),
            OpCode::Pong => Incoming::Pong(payload),
            OpCode::Close => return read_close(payload),
            OpCode::Continuation | OpCode::Text | OpCode::Binary => Incoming::Message { opcode, payload },
        })
    }
}

/// No code, or a code and a reason (RFC 6455 section 5.5.1). One byte was refused when the header said so.
fn read_close(payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Ok(Incoming::Close { code: None, reason: "" });
    };
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::CloseCode)?;
    let reason = str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
    Ok(Incoming::Close { code: Some(code), reason })
}
