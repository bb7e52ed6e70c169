//! One frame header: opcode, length forms, encode, decode (RFC 6455 section 5.2).

use alloc::vec::Vec;
use core::ops::Deref;

use crate::mask;
use crate::violation::Violation;

/// What a frame carries (RFC 6455 section 5.2). The reserved opcodes have no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further fragment of the message in progress.
    Continuation = 0,
    /// UTF-8 text, or its first fragment.
    Text = 1,
    /// Binary data, or its first fragment.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// A ping, which asks for a pong.
    Ping = 9,
    /// A pong, asked for or not.
    Pong = 10,
}

impl OpCode {
    /// The opcode in the low four bits of a frame's first byte; `None` for the reserved ones.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<OpCode> {
        Some(match bits {
            0 => OpCode::Continuation,
            1 => OpCode::Text,
            2 => OpCode::Binary,
            8 => OpCode::Close,
            9 => OpCode::Ping,
            10 => OpCode::Pong,
            _ => return None,
        })
    }

    /// The number on the wire.
    #[inline]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Close, ping or pong (RFC 6455 section 5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self.bits() & 8 != 0
    }
}

/// The header of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// What the frame carries.
    pub opcode: OpCode,
    /// The masking key; `None` for an unmasked frame.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload; at most 2^63 - 1.
    pub len: u64,
}

/// Bytes of the longest header: two, eight of extended length, four of key.
pub const MAX_HEADER_LEN: usize = 14;

/// Payload bytes a control frame may have at most (RFC 6455 section 5.5).
pub const MAX_CONTROL_LEN: usize = 125;

impl FrameHeader {
    /// Reads the header at the start of `bytes`, and says how many bytes it took. `Ok(None)`: more bytes are needed.
    ///
    /// # Errors
    /// A header that is wrong by itself fails at its earliest wrong byte. Rules that need to know what came before,
    /// or which end this is, are the decoder's.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, Violation> {
        let Some(&start) = bytes.first() else { return Ok(None) };
        let (fin, opcode) = read_start(start)?;
        let Some((len, size)) = read_length(opcode, bytes)? else { return Ok(None) };
        if bytes[1] & MASKED == 0 {
            return Ok(Some((FrameHeader { fin, opcode, mask: None, len }, size)));
        }
        let Some(key) = read_key(bytes, size) else { return Ok(None) };
        Ok(Some((FrameHeader { fin, opcode, mask: Some(key), len }, size + 4)))
    }

    /// The header as bytes, in the shortest length form.
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        // Put together in a register, lowest byte first: bytes stored one by one and loaded as a whole cost a stall.
        let (length, size) = match self.len {
            len @ ..126 => (u128::from(len), 2),
            len @ ..0x1_0000 => (u128::from(LENGTH_16) | u128::from((len as u16).swap_bytes()) << 8, 4),
            len => (u128::from(LENGTH_64) | u128::from(len.swap_bytes()) << 8, 10),
        };
        let start = if self.fin { FIN } else { 0 } | self.opcode.bits();
        let header = u128::from(start) | length << 8;
        match self.mask {
            None => EncodedHeader { bytes: header.to_le_bytes(), len: size },
            Some(key) => {
                let key = u128::from(u32::from_le_bytes(key)) << (8 * size);
                EncodedHeader { bytes: (header | u128::from(MASKED) << 8 | key).to_le_bytes(), len: size + 4 }
            }
        }
    }

    /// The header of an unfragmented, unmasked frame of `len` bytes.
    #[inline]
    pub const fn unmasked(opcode: OpCode, len: usize) -> FrameHeader {
        FrameHeader { fin: true, opcode, mask: None, len: len as u64 }
    }
}

/// A header as it goes on the wire: a slice of at most [`MAX_HEADER_LEN`] bytes.
#[derive(Debug, Clone, Copy)]
pub struct EncodedHeader {
    bytes: [u8; 16],
    len: u8,
}

impl Deref for EncodedHeader {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Appends one unmasked frame to `out`.
#[inline]
pub fn write_frame(out: &mut Vec<u8>, fin: bool, opcode: OpCode, payload: &[u8]) {
    write_header(out, FrameHeader { fin, ..FrameHeader::unmasked(opcode, payload.len()) }, payload.len());
    for part in payload.chunks(COPY) {
        out.extend_from_slice(part);
    }
}

/// Appends one masked frame to `out`: what a client sends (RFC 6455 section 5.3).
#[inline]
pub fn write_masked_frame(out: &mut Vec<u8>, fin: bool, opcode: OpCode, payload: &[u8], key: [u8; 4]) {
    let len = payload.len();
    write_header(out, FrameHeader { fin, opcode, mask: Some(key), len: len as u64 }, len);
    for part in payload.chunks(COPY) {
        let start = out.len();
        out.resize(start + part.len(), 0);
        mask::apply_into(&mut out[start..], part, key, 0);
    }
}

/// Bytes of payload that are copied at a time; a multiple of 4.
///
/// A larger `memcpy` may be done by one string instruction, which on some processors is thirty times slower where
/// the two addresses differ by a multiple of 4 KiB and up to 63 bytes, as between two buffers they sometimes do. A
/// smaller one costs nothing measurable.
pub(crate) const COPY: usize = 2048;

#[inline]
fn write_header(out: &mut Vec<u8>, header: FrameHeader, payload: usize) {
    let header = header.encode();
    out.reserve(header.bytes.len() + payload);
    let end = out.len() + header.len();
    // A copy of fixed length is a plain store.
    out.extend_from_slice(&header.bytes);
    out.truncate(end);
}

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
pub(crate) const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// FIN and opcode from a frame's first byte.
#[inline]
pub(crate) fn read_start(byte: u8) -> Result<(bool, OpCode), Violation> {
    if byte & RESERVED != 0 {
        return Err(Violation::ReservedBits);
    }
    let fin = byte & FIN != 0;
    match OpCode::from_bits(byte & 0x0f) {
        None => Err(Violation::ReservedOpCode),
        Some(opcode) if opcode.is_control() && !fin => Err(Violation::FragmentedControl),
        Some(opcode) => Ok((fin, opcode)),
    }
}

/// Payload length, and bytes of header up to and including it; `None` while bytes of it are missing.
#[inline]
pub(crate) fn read_length(opcode: OpCode, bytes: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let short = second & !MASKED;
    if opcode.is_control() && usize::from(short) > MAX_CONTROL_LEN {
        return Err(Violation::ControlTooLong);
    }
    let rest = &bytes[2..];
    match short {
        LENGTH_16 => match rest.first_chunk().map(|&field| u16::from_be_bytes(field)) {
            None => Ok(None),
            Some(..126) => Err(Violation::LengthNotMinimal),
            Some(len) => Ok(Some((u64::from(len), 4))),
        },
        LENGTH_64 => read_length_64(rest),
        len => Ok(Some((u64::from(len), 2))),
    }
}

/// The eight-byte form, which can be wrong from its first byte (top bit) and from its sixth (nothing but zeros).
fn read_length_64(field: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    if field.first().is_some_and(|&byte| byte & 0x80 != 0) {
        return Err(Violation::LengthTopBit);
    }
    if field.first_chunk() == Some(&[0; 6]) {
        return Err(Violation::LengthNotMinimal);
    }
    Ok(field.first_chunk().map(|&field| (u64::from_be_bytes(field), 10)))
}

/// The masking key that stands at `at`, if all of it is there.
#[inline]
pub(crate) fn read_key(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_and_length_are_read_alone() {
        assert_eq!(read_start(0x01), Ok((false, OpCode::Text)));
        assert_eq!(read_start(0x8a), Ok((true, OpCode::Pong)));
        assert_eq!(read_start(0x0a), Err(Violation::FragmentedControl));
        assert_eq!(read_length(OpCode::Text, &[0x81]), Ok(None));
        assert_eq!(read_length(OpCode::Text, &[0x81, 0xfd]), Ok(Some((125, 2))));
        assert_eq!(read_length(OpCode::Text, &[0x81, 0x7e, 1, 0]), Ok(Some((256, 4))));
        assert_eq!(read_length(OpCode::Ping, &[0x89, 0x7e]), Err(Violation::ControlTooLong));
    }

    #[test]
    fn a_key_is_there_or_not() {
        assert_eq!(read_key(&[0, 0, 1, 2, 3], 2), None);
        assert_eq!(read_key(&[0, 0, 1, 2, 3, 4, 5], 2), Some([1, 2, 3, 4]));
        assert_eq!(read_key(&[], 2), None);
    }

    #[test]
    fn parts_of_a_payload_start_at_the_key() {
        assert_eq!(COPY % 4, 0);
    }
}
