//! Section 5.2: one header, by itself.

use lapps_parser::Violation;
use lapps_parser::frame::{FrameHeader, MAX_HEADER_LEN, OpCode};
use proptest::prelude::*;

const LENGTHS: [u64; 12] =
    [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537, u32::MAX as u64 + 1, i64::MAX as u64];

#[test]
fn opcodes_are_the_six_of_the_registry() {
    let known: Vec<(u8, bool)> =
        (0..=255).filter_map(|bits| Some((bits, OpCode::from_bits(bits)?.is_control()))).collect();
    assert_eq!(known, [(0, false), (1, false), (2, false), (8, true), (9, true), (10, true)]);
    assert!(known.iter().all(|&(bits, _)| OpCode::from_bits(bits).map(OpCode::bits) == Some(bits)));
}

#[test]
fn encoded_bytes_of_section_5_7() {
    let header = |fin, opcode, mask, len| FrameHeader { fin, opcode, mask, len }.encode().to_vec();
    assert_eq!(header(true, OpCode::Text, None, 5), [0x81, 0x05]);
    assert_eq!(
        header(true, OpCode::Text, Some([0x37, 0xfa, 0x21, 0x3d]), 5),
        [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]
    );
    assert_eq!(header(false, OpCode::Text, None, 3), [0x01, 0x03]);
    assert_eq!(header(true, OpCode::Continuation, None, 2), [0x80, 0x02]);
    assert_eq!(header(true, OpCode::Binary, None, 256), [0x82, 0x7e, 0x01, 0x00]);
    assert_eq!(header(true, OpCode::Binary, None, 65_536), [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(FrameHeader::unmasked(OpCode::Ping, 5).encode().to_vec(), [0x89, 0x05]);
}

#[test]
fn every_length_is_encoded_shortest_and_read_back() {
    for len in LENGTHS {
        for mask in [None, Some([1, 2, 3, 4])] {
            let header = FrameHeader { fin: true, opcode: OpCode::Binary, mask, len };
            let encoded = header.encode();
            let form = [2, 4, 10][usize::from(len > 125) + usize::from(len > 65_535)];
            assert_eq!(encoded.len(), form + if mask.is_some() { 4 } else { 0 });
            assert!(encoded.len() <= MAX_HEADER_LEN);
            for cut in 0..encoded.len() {
                assert_eq!(FrameHeader::decode(&encoded[..cut]), Ok(None), "{len}, {cut} bytes");
            }
            let size = encoded.len();
            assert_eq!(FrameHeader::decode(&encoded), Ok(Some((header, size))));
            let longer = [&encoded[..], b"payload"].concat();
            assert_eq!(FrameHeader::decode(&longer), Ok(Some((header, size))));
        }
    }
}

#[test]
fn wrong_headers_fail_at_their_earliest_byte() {
    // bytes, and how many of them it takes
    let table: &[(Violation, &[u8], usize)] = &[
        (Violation::ReservedBits, &[0xc2, 0x00], 1),
        (Violation::ReservedBits, &[0xa2, 0x00], 1),
        (Violation::ReservedBits, &[0x92, 0x00], 1),
        (Violation::ReservedOpCode, &[0x83, 0x00], 1),
        (Violation::ReservedOpCode, &[0x8f, 0x00], 1),
        (Violation::FragmentedControl, &[0x09, 0x00], 1),
        (Violation::ControlTooLong, &[0x89, 0x7e, 0, 126], 2),
        (Violation::ControlTooLong, &[0x88, 0xff], 2),
        (Violation::LengthNotMinimal, &[0x82, 0x7e, 0, 125], 4),
        (Violation::LengthNotMinimal, &[0x82, 0xfe, 0, 0], 4),
        (Violation::LengthNotMinimal, &[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 8),
        (Violation::LengthTopBit, &[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0], 3),
        (Violation::LengthTopBit, &[0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0], 3),
    ];
    for &(violation, bytes, at) in table {
        for cut in 0..=bytes.len() {
            let expected = if cut < at { Ok(None) } else { Err(violation) };
            assert_eq!(FrameHeader::decode(&bytes[..cut]), expected, "{bytes:02x?} to {cut}");
        }
    }
}

proptest! {
    #[test]
    fn decoding_inverts_encoding(fin: bool, opcode in 0_u8..11, mask: Option<[u8; 4]>, len in 0..1_u64 << 63, shift in 0..63) {
        let Some(opcode) = OpCode::from_bits(opcode) else { return Ok(()) };
        let control = opcode.is_control();
        let len = if control { len % 126 } else { len >> shift };
        let header = FrameHeader { fin: fin || control, opcode, mask, len };
        let encoded = header.encode();
        prop_assert_eq!(FrameHeader::decode(&encoded), Ok(Some((header, encoded.len()))));
    }

    #[test]
    fn what_fails_short_fails_long(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        let whole = FrameHeader::decode(&bytes);
        for cut in 0..bytes.len() {
            let part = FrameHeader::decode(&bytes[..cut]);
            prop_assert!(part == Ok(None) || part == whole);
        }
    }
}
