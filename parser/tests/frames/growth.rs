//! What the decoder holds: nothing while nothing is partial, never more than about twice what was received.

use lapps_parser::{Decoder, FrameHeader, Incoming, Limits, OpCode, Role};

use crate::drive::{LIMITS, frame, run_bytewise};

#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 80, "{}", size_of::<Decoder>());
    assert_eq!(Decoder::new(Role::Server).heap(), 0);
}

#[test]
fn whole_messages_are_borrowed() {
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let mut decoder = Decoder::new(Role::Server);
        let mut input = frame(Role::Server, true, OpCode::Binary, &vec![7; len]);
        let end = input.as_ptr_range().end;
        match decoder.decode(&LIMITS, &mut input).unwrap().incoming {
            Some(Incoming::Message { payload, .. }) => {
                assert_eq!(payload.as_ptr_range().end, end, "in place")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(decoder.heap(), 0);
    }
}

#[test]
fn a_message_whose_header_came_before_is_borrowed_too() {
    let mut decoder = Decoder::new(Role::Server);
    let mut input = frame(Role::Server, true, OpCode::Text, b"Hello");
    for header in [0..1, 1..3, 3..6] {
        assert_eq!(decoder.decode(&LIMITS, &mut input[header]).unwrap().incoming, None);
    }
    let step = decoder.decode(&LIMITS, &mut input[6..]).unwrap();
    assert_eq!(
        step.incoming,
        Some(Incoming::Message { opcode: OpCode::Text, payload: &mut b"Hello".to_owned() })
    );
    assert_eq!(decoder.heap(), 0);
}

#[test]
fn an_announced_length_costs_nothing() {
    let limits = Limits { max_message: usize::MAX, max_fragments: 10 };
    for len in [1 << 20, 1 << 40, i64::MAX as u64] {
        for fin in [true, false] {
            let mut decoder = Decoder::new(Role::Server);
            let mut input =
                FrameHeader { fin, opcode: OpCode::Binary, mask: Some([1; 4]), len }.encode().to_vec();
            decoder.decode(&limits, &mut input).unwrap();
            assert_eq!(decoder.heap(), 0);
            decoder.decode(&limits, &mut [0]).unwrap();
            assert!(decoder.heap() <= 64, "{}", decoder.heap());
            decoder.decode(&limits, &mut [0; 1000]).unwrap();
            assert!(decoder.heap() <= 2002, "{}", decoder.heap());
        }
    }
}

#[test]
fn a_message_in_pieces_needs_no_more_than_its_length() {
    let input = frame(Role::Server, true, OpCode::Binary, &[7; 50_000]);
    let mut decoder = Decoder::new(Role::Server);
    for piece in input.chunks(1400) {
        decoder.decode(&LIMITS, &mut piece.to_vec()).unwrap();
        assert!(decoder.heap() <= 50_000);
    }
    assert_eq!(decoder.heap(), 50_000);
    assert_eq!(run_bytewise(Role::Server, LIMITS, &input).events.len(), 1);
}

#[test]
fn what_was_handed_out_is_dropped_at_the_next_call_or_at_once() {
    let input = frame(Role::Server, true, OpCode::Binary, &[7; 1000]);
    let (first, last) = input.split_at(500);
    for release in [true, false] {
        let mut decoder = Decoder::new(Role::Server);
        for _ in 0..3 {
            decoder.decode(&LIMITS, &mut first.to_vec()).unwrap();
            assert!(decoder.heap() > 0);
            assert!(decoder.decode(&LIMITS, &mut last.to_vec()).unwrap().incoming.is_some());
            assert!(decoder.heap() > 0);
            if release {
                decoder.release();
            } else {
                assert_eq!(decoder.decode(&LIMITS, &mut []).unwrap().incoming, None);
            }
            assert_eq!(decoder.heap(), 0);
        }
    }
}

#[test]
fn release_leaves_what_is_partial() {
    let mut decoder = Decoder::new(Role::Server);
    let mut feed = |bytes: &[u8], release: bool| {
        let mut bytes = bytes.to_vec();
        let step = decoder.decode(&LIMITS, &mut bytes).unwrap();
        let said = format!("{:?}", step.incoming);
        if release {
            decoder.release();
        }
        said
    };
    let ping = frame(Role::Server, true, OpCode::Ping, b"ping");
    assert_eq!(feed(&frame(Role::Server, false, OpCode::Text, b"Hel"), true), "None");
    assert_eq!(feed(&ping[..8], true), "None");
    assert_eq!(feed(&ping[8..], true), "Some(Ping([112, 105, 110, 103]))");
    assert_eq!(
        feed(&frame(Role::Server, true, OpCode::Continuation, b"lo"), true),
        "Some(Message { opcode: Text, payload: [72, 101, 108, 108, 111] })"
    );
    assert_eq!(decoder.heap(), 0);
}

#[test]
fn a_cut_control_frame_has_a_small_buffer_of_its_own() {
    let mut decoder = Decoder::new(Role::Server);
    decoder.decode(&LIMITS, &mut frame(Role::Server, false, OpCode::Binary, &[7; 1000])).unwrap();
    let before = decoder.heap();
    let mut ping = frame(Role::Server, true, OpCode::Ping, &[8; 125]);
    let (first, last) = ping.split_at_mut(60);
    decoder.decode(&LIMITS, &mut first[..6]).unwrap();
    assert_eq!(decoder.heap(), before, "for its header");
    decoder.decode(&LIMITS, &mut first[6..]).unwrap();
    assert!(decoder.heap() <= before + 128);
    assert_eq!(decoder.decode(&LIMITS, last).unwrap().incoming, Some(Incoming::Ping(&[8; 125])));
    decoder.release();
    assert_eq!(decoder.heap(), before);
}

#[test]
fn many_small_fragments_are_copied_a_few_times_only() {
    let limits = Limits { max_message: 1 << 20, max_fragments: u32::MAX };
    let mut decoder = Decoder::new(Role::Server);
    decoder.decode(&limits, &mut frame(Role::Server, false, OpCode::Binary, &[7; 10])).unwrap();
    let (mut room, mut moves) = (decoder.heap(), 0);
    for _ in 0..50_000 {
        decoder.decode(&limits, &mut frame(Role::Server, false, OpCode::Continuation, &[7; 10])).unwrap();
        moves += usize::from(decoder.heap() != room);
        room = decoder.heap();
    }
    assert!(moves <= 16, "moved {moves} times");
}
