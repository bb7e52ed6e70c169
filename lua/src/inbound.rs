//! Messages of the LAppS protocol as they come in: bytes to a value with its type.

use std::fmt::Display;

use lapps_parser::cbor;
use lapps_parser::close::MAX_REASON_LEN;
use lapps_parser::frame::OpCode;
use lapps_parser::lapps::{self, MessageType};
use lapps_parser::value::{Limits, Tree};

use crate::error::FailureKind;

/// Reads a message, whose value may take so many bytes of memory.
pub(crate) fn read(opcode: OpCode, payload: &[u8], most: usize) -> Result<(MessageType, Tree), FailureKind> {
    if opcode != OpCode::Binary {
        return Err(invalid(&"a text, not CBOR in a binary message"));
    }
    let limits = Limits { bytes: most, ..Limits::default() };
    let tree = cbor::decode(payload, limits).map_err(|error| invalid(&error))?;
    let kind =
        lapps::classify(&tree).map_err(|message| FailureKind::Invalid { message: message.to_owned() })?;
    Ok((kind, tree))
}

fn invalid(why: &dyn Display) -> FailureKind {
    let mut message = format!("{}: {why}", lapps::INVALID);
    // Ours is ASCII; a key of the client's may stand in it.
    while message.len() > MAX_REASON_LEN {
        message.pop();
    }
    FailureKind::Invalid { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(opcode: OpCode, payload: &[u8]) -> String {
        match read(opcode, payload, usize::MAX) {
            Err(FailureKind::Invalid { message }) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_read() {
        let (kind, tree) = read(OpCode::Binary, b"\xa2\x65lapps\x01\x66method\x61a", usize::MAX).unwrap();
        assert_eq!((kind, tree.len(tree.root())), (MessageType::Request, 2));
    }

    #[test]
    fn the_reason_fits_a_close_frame() {
        for (opcode, payload) in
            [(OpCode::Text, &b"{}"[..]), (OpCode::Binary, b""), (OpCode::Binary, b"\xa1\x01\x01")]
        {
            let message = refused(opcode, payload);
            assert!(message.starts_with("invalid LAppS-protocol message: "), "{message}");
            assert!(message.len() <= MAX_REASON_LEN, "{message}");
        }
        let long = invalid(&"ü".repeat(100));
        assert!(long.close().1.len() <= MAX_REASON_LEN);
    }
}
