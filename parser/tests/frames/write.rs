//! Frames written are the frames read.

use lapps_parser::frame::{write_frame, write_masked_frame};
use lapps_parser::{OpCode, Role};

use crate::drive::{Event, LIMITS, frame, run};

#[test]
fn written_frames_are_read_back_whatever_their_length() {
    for len in (0..=300).chain([2047, 2048, 2049, 4096, 10_001, 65_535, 65_536, 70_000]) {
        let payload: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
        for fin in [true, false] {
            let mut plain = b"before".to_vec();
            write_frame(&mut plain, fin, OpCode::Binary, &payload);
            assert_eq!(plain[6..], frame(Role::Client, fin, OpCode::Binary, &payload));

            let mut masked = b"before".to_vec();
            write_masked_frame(&mut masked, fin, OpCode::Binary, &payload, [0x37, 0xfa, 0x21, 0x3d]);
            assert_eq!(masked[6..], frame(Role::Server, fin, OpCode::Binary, &payload));
        }
    }
}

#[test]
fn one_buffer_takes_many_frames() {
    let mut out = Vec::new();
    write_frame(&mut out, false, OpCode::Text, b"Hel");
    write_frame(&mut out, true, OpCode::Ping, b"");
    write_frame(&mut out, true, OpCode::Continuation, b"lo");
    assert_eq!(
        run(Role::Client, LIMITS, &out, &[]).events,
        [Event::Ping(Vec::new()), Event::Message(OpCode::Text, b"Hello".to_vec())]
    );
}
