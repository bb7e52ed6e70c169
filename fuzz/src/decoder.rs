//! Target `decoder`: any bytes as frames, and what was read, written again.

use lapps_parser::close::write_payload;
use lapps_parser::frame::{write_frame, write_masked_frame};
use lapps_parser::{FrameHeader, OpCode, Role, Violation};

use crate::events::{Event, Receiver};

/// The lowest bit of the first byte is the role, the rest of `data` is what the peer sends.
///
/// # Panics
/// If the decoder breaks its contract, or if its events, written as frames, are not read as the same events.
pub fn decoder(data: &[u8]) {
    let Some((&options, input)) = data.split_first() else { return };
    let role = if options & 1 == 0 { Role::Server } else { Role::Client };
    let mut first = Receiver::new(role);
    first.feed(input);
    if let Err(violation) = FrameHeader::decode(input) {
        // Perhaps another rule was broken first, but of the same kind and by the same frame.
        assert_eq!(first.failed.map(Violation::close_code), Some(violation.close_code()));
        assert!(first.events.is_empty());
    }

    let mut written = Vec::new();
    for event in &first.events {
        let (opcode, payload) = match event {
            Event::Message(opcode, payload) => (*opcode, payload.clone()),
            Event::Ping(payload) => (OpCode::Ping, payload.clone()),
            Event::Pong(payload) => (OpCode::Pong, payload.clone()),
            Event::Close(None, _) => (OpCode::Close, Vec::new()),
            Event::Close(Some(code), reason) => {
                let mut payload = Vec::new();
                write_payload(&mut payload, *code, reason);
                (OpCode::Close, payload)
            }
        };
        match role {
            Role::Server => {
                write_masked_frame(&mut written, true, opcode, &payload, [options, 1, 0xff, 0x80])
            }
            Role::Client => write_frame(&mut written, true, opcode, &payload),
        }
    }
    let mut second = Receiver::new(role);
    second.feed(&written);
    assert_eq!((second.failed, second.events), (None, first.events));
}
