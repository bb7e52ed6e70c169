//! Bytes in; messages, control frames or a violation out (RFC 6455 sections 5 and 8.1).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use crate::frame::{self, COPY, MASKED, MAX_CONTROL_LEN, MAX_HEADER_LEN, OpCode};
pub use crate::incoming::Incoming;
use crate::mask;
use crate::utf8::{self, Utf8};
pub use crate::violation::Violation;

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This end is the server: what it receives must be masked.
    Server,
    /// This end is the client: what it receives must not be masked.
    Client,
}

/// What one message may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of payload, the sum over the message's frames.
    pub max_message: usize,
    /// Frames of one message.
    pub max_fragments: u32,
}

/// What one call of [`Decoder::decode`] did.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Bytes eaten from the front of the input.
    pub consumed: usize,
    /// What they meant; `None` if all of them were eaten and more are needed.
    pub incoming: Option<Incoming<'a>>,
}

/// The receiving half of one connection.
///
/// A message that lies whole and unfragmented in the input is unmasked there and borrowed. Of anything else the
/// decoder keeps what has arrived: header bytes inline, payload on the heap, grown by received bytes and never by a
/// length that was only announced. After a violation it is not to be used again.
///
/// ```
/// use lapps_parser::{Decoder, Incoming, Limits, OpCode, Role, Violation};
///
/// /// Takes what one read brought.
/// fn received(decoder: &mut Decoder, bytes: &mut [u8]) -> Result<usize, Violation> {
///     let limits = Limits { max_message: 1 << 20, max_fragments: 16_384 };
///     let (mut at, mut messages) = (0, 0);
///     while at < bytes.len() {
///         let step = decoder.decode(&limits, &mut bytes[at..])?;
///         at += step.consumed;
///         if let Some(Incoming::Message { opcode: OpCode::Text, payload }) = step.incoming {
///             assert_eq!(payload, b"Hello");
///             messages += 1;
///         }
///     }
///     Ok(messages)
/// }
///
/// let mut bytes = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// let (first, rest) = bytes.split_at_mut(7);
/// let mut decoder = Decoder::new(Role::Server);
/// assert_eq!(received(&mut decoder, first), Ok(0));
/// assert_eq!(received(&mut decoder, rest), Ok(1));
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// What has arrived of the message in progress, unmasked; if `stage` is `Spent`, the one that was handed out.
    message: Vec<u8>,
    /// Bytes at the beginning of `message` that are none of it: see [`APART`].
    apart: u16,
    /// What has arrived of a control frame that was cut, unmasked; if `stage` is `Spent`, the one handed out.
    control: Option<Box<Control>>,
    cut: Cut,
    /// Opcode of the fragmented message in progress.
    fragmented: Option<OpCode>,
    /// Frames of it so far.
    fragments: u32,
    utf8: Utf8,
    role: Role,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is partial, nothing is on the heap.
    Idle,
    /// Something is partial.
    Partial,
    /// `control`, or else `message`, was handed out and is to be dropped.
    Spent,
}

/// Where in a frame the input ended.
#[derive(Debug)]
enum Cut {
    /// In its header, of which these are the first bytes; or before it.
    Header { len: u8, bytes: [u8; MAX_HEADER_LEN - 1] },
    /// In its payload.
    Payload(Frame),
}

impl Cut {
    /// Between two frames.
    const NONE: Cut = Cut::Header { len: 0, bytes: [0; MAX_HEADER_LEN - 1] };
}

/// A frame whose header is complete.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Bytes of payload that have not arrived yet.
    remaining: usize,
    /// Whether that is all of them.
    fresh: bool,
    fin: bool,
    opcode: OpCode,
    /// The key, turned so that its first byte meets the next byte of payload. Zeros if unmasked.
    key: [u8; 4],
}

#[derive(Debug)]
struct Control {
    len: u8,
    bytes: [u8; MAX_CONTROL_LEN],
}

impl Decoder {
    /// A decoder at the start of a connection's frames. It holds no heap.
    pub const fn new(role: Role) -> Decoder {
        Decoder {
            message: Vec::new(),
            apart: 0,
            control: None,
            cut: Cut::NONE,
            fragmented: None,
            fragments: 0,
            utf8: Utf8::new(),
            role,
            stage: Stage::Idle,
        }
    }

    /// Eats bytes up to the end of one incoming, or all of them.
    ///
    /// # Errors
    /// At the first byte that breaks the protocol or a limit. A header that announces more than
    /// [`Limits::max_message`] fails at once, text fails at its first wrong byte, also inside an unfinished frame.
    #[inline(always)]
    pub fn decode<'a>(&'a mut self, limits: &Limits, bytes: &'a mut [u8]) -> Result<Step<'a>, Violation> {
        if self.stage == Stage::Idle
            && let Some(whole) = Whole::find(self.role, limits, bytes)
        {
            let payload = &mut bytes[whole.start..whole.end];
            self.unmask(whole.opcode, whole.key, payload)?;
            let incoming = Incoming::Message { opcode: whole.opcode, payload };
            return Ok(Step { consumed: whole.end, incoming: Some(incoming) });
        }
        self.decode_any(limits, bytes)
    }

    /// Eats a message that lies whole and unfragmented at the front of `bytes`, which is less than 64 KiB, and unmasks it there;
    /// `None` in every other case, right or wrong: [`Decoder::decode`] knows them all. Its payload is not borrowed from the
    /// decoder, so several can be taken.
    ///
    /// # Errors
    /// A text that is not UTF-8.
    #[inline(always)]
    pub fn take_whole<'b>(
        &mut self,
        limits: &Limits,
        bytes: &mut &'b mut [u8],
    ) -> Result<Option<(OpCode, &'b [u8])>, Violation> {
        if self.stage != Stage::Idle {
            return Ok(None);
        }
        let Some(whole) = Whole::find(self.role, limits, bytes) else { return Ok(None) };
        let (frame, rest) = mem::take(bytes).split_at_mut(whole.end);
        *bytes = rest;
        let payload = &mut frame[whole.start..];
        self.unmask(whole.opcode, whole.key, payload)?;
        Ok(Some((whole.opcode, payload)))
    }

    /// `bytes` are some messages that [`Decoder::take_whole`] has taken, nothing else. Makes all but the first `keep` what they were
    /// before, so that they can be decoded again, and tells where they begin.
    pub fn give_back(&self, limits: &Limits, bytes: &mut [u8], keep: usize) -> usize {
        let (mut at, mut start) = (0, 0);
        let mut number = 0;
        while let Some(whole) = Whole::find(self.role, limits, &bytes[at..]) {
            if number < keep {
                start = at + whole.end;
            } else if self.role == Role::Server {
                mask::apply(&mut bytes[at + whole.start..at + whole.end], whole.key, 0);
            }
            number += 1;
            at += whole.end;
        }
        start
    }

    /// The memory of the message that the last [`Decoder::decode`] has handed out, and the byte of it at which the message begins,
    /// if the decoder owned it: else its payload was borrowed from the input.
    pub fn take_message(&mut self) -> Option<(Vec<u8>, usize)> {
        if self.stage != Stage::Spent || self.fragmented.is_some() || self.control.is_some() {
            return None;
        }
        let taken = (mem::take(&mut self.message), usize::from(self.apart));
        self.release();
        Some(taken)
    }

    /// Bytes of heap held.
    pub fn heap(&self) -> usize {
        self.message.capacity() + self.control.as_ref().map_or(0, |_| size_of::<Control>())
    }

    /// Drops the buffer of what was handed out, now instead of at the next [`Decoder::decode`].
    pub fn release(&mut self) {
        if self.stage != Stage::Spent {
            return;
        }
        self.control = None;
        if self.fragmented.is_none() {
            self.message = Vec::new();
            self.apart = 0;
        }
        self.rest();
    }

    /// Between frames, with nothing handed out.
    fn rest(&mut self) {
        self.stage = if self.fragmented.is_some() { Stage::Partial } else { Stage::Idle };
    }

    #[inline(never)]
    fn decode_any<'a>(&'a mut self, limits: &Limits, bytes: &'a mut [u8]) -> Result<Step<'a>, Violation> {
        self.release();
        let mut at = 0;
        loop {
            let Cut::Payload(frame) = self.cut else {
                match self.take_header(limits, &bytes[at..])? {
                    Some(size) => at += size,
                    None => return Ok(Step { consumed: bytes.len(), incoming: None }),
                }
                continue;
            };
            let piece = at..at + frame.remaining.min(bytes.len() - at);
            let complete = piece.len() == frame.remaining;
            let control = frame.opcode.is_control();
            at = piece.end;
            if complete && frame.fresh && (control || (frame.fin && self.fragmented.is_none())) {
                self.cut = Cut::NONE;
                self.rest();
                let payload = &mut bytes[piece];
                self.unmask(frame.opcode, frame.key, payload)?;
                return Ok(Step { consumed: at, incoming: Some(Incoming::read(frame.opcode, payload)?) });
            }
            if control {
                self.keep_control(frame, &bytes[piece.clone()]);
            } else {
                self.keep_data(limits, frame, &mut bytes[piece.clone()])?;
            }
            if !complete {
                self.cut = Cut::Payload(frame.after(piece.len()));
                return Ok(Step { consumed: at, incoming: None });
            }
            self.cut = Cut::NONE;
            if control {
                self.stage = Stage::Spent;
                let payload = self.control.as_mut().map_or(&mut [][..], |control| control.received());
                return Ok(Step { consumed: at, incoming: Some(Incoming::read(frame.opcode, payload)?) });
            }
            if frame.fin {
                if !self.utf8.is_complete() {
                    return Err(Violation::Utf8);
                }
                self.stage = Stage::Spent;
                self.fragments = 0;
                let opcode = self.fragmented.take().unwrap_or(frame.opcode);
                let incoming =
                    Incoming::Message { opcode, payload: &mut self.message[usize::from(self.apart)..] };
                return Ok(Step { consumed: at, incoming: Some(incoming) });
            }
        }
    }

    /// Unmasks a payload that is whole, and checks it if it is text.
    #[inline(always)]
    fn unmask(&self, opcode: OpCode, key: [u8; 4], payload: &mut [u8]) -> Result<(), Violation> {
        let text = opcode == OpCode::Text;
        let valid = match self.role {
            Role::Server if text => mask::apply_to_text(payload, key) || utf8::is_valid(payload),
            Role::Client if text => utf8::is_valid(payload),
            Role::Server => {
                mask::apply(payload, key, 0);
                true
            }
            Role::Client => true,
        };
        if valid { Ok(()) } else { Err(Violation::Utf8) }
    }

    /// Reads a header, from `bytes` alone or with what was kept of it. Begins the frame and says how many of `bytes` were
    /// its own; or keeps them all and returns `None`.
    fn take_header(&mut self, limits: &Limits, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let mut header = [0; MAX_HEADER_LEN];
        let kept = match &self.cut {
            Cut::Header { len, bytes } => {
                header[..bytes.len()].copy_from_slice(bytes);
                usize::from(*len)
            }
            Cut::Payload(_) => 0,
        };
        let more = bytes.len().min(MAX_HEADER_LEN - kept);
        header[kept..kept + more].copy_from_slice(&bytes[..more]);
        let header = &header[..kept + more];
        if let Some((frame, size)) = self.read_header(limits, header)? {
            self.begin(frame);
            return Ok(Some(size - kept));
        }
        if !header.is_empty() {
            let mut bytes = [0; MAX_HEADER_LEN - 1];
            bytes[..header.len()].copy_from_slice(header);
            self.cut = Cut::Header { len: header.len() as u8, bytes };
            self.stage = Stage::Partial;
        }
        Ok(None)
    }

    /// Reads a header and holds it against the state of the connection, in the order of the bytes on the wire, so
    /// that it fails at the same byte and for the same reason however it was cut.
    fn read_header(&self, limits: &Limits, bytes: &[u8]) -> Result<Option<(Frame, usize)>, Violation> {
        let Some(&start) = bytes.first() else { return Ok(None) };
        let (fin, opcode) = frame::read_start(start)?;
        let control = opcode.is_control();
        match (opcode, self.fragmented) {
            _ if control => {}
            (OpCode::Continuation, None) => return Err(Violation::StrayContinuation),
            (OpCode::Continuation, Some(_)) if self.fragments >= limits.max_fragments => {
                return Err(Violation::TooManyFragments);
            }
            (OpCode::Continuation, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Violation::InterleavedMessage),
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = second & MASKED != 0;
        match self.role {
            Role::Server if !masked => return Err(Violation::NotMasked),
            Role::Client if masked => return Err(Violation::Masked),
            _ => {}
        }
        let Some((len, size)) = frame::read_length(opcode, bytes)? else { return Ok(None) };
        if opcode == OpCode::Close && len == 1 {
            return Err(Violation::CloseTooShort);
        }
        if !control && len > limits.max_message.saturating_sub(self.received()) as u64 {
            return Err(Violation::TooBig);
        }
        let (key, size) = if masked {
            let Some(key) = frame::read_key(bytes, size) else { return Ok(None) };
            (key, size + 4)
        } else {
            ([0; 4], size)
        };
        Ok(Some((Frame { remaining: len as usize, fresh: true, fin, opcode, key }, size)))
    }

    fn begin(&mut self, frame: Frame) {
        self.stage = Stage::Partial;
        self.cut = Cut::Payload(frame);
        if !frame.opcode.is_control() && (!frame.fin || self.fragmented.is_some()) {
            self.fragmented = self.fragmented.or(Some(frame.opcode));
            self.fragments += 1;
        }
    }

    fn keep_control(&mut self, frame: Frame, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let control =
            self.control.get_or_insert_with(|| Box::new(Control { len: 0, bytes: [0; MAX_CONTROL_LEN] }));
        let start = usize::from(control.len);
        control.len += piece.len() as u8;
        mask::apply_into(&mut control.received()[start..], piece, frame.key, 0);
    }

    fn keep_data(&mut self, limits: &Limits, frame: Frame, piece: &mut [u8]) -> Result<(), Violation> {
        let text = self.fragmented.unwrap_or(frame.opcode) == OpCode::Text;
        self.reserve(limits, frame, piece.len());
        // Part by part, so that the copy and the check find it in the nearest cache.
        for part in piece.chunks_mut(COPY) {
            let ascii = match self.role {
                Role::Server => mask::apply_to_text(part, frame.key),
                Role::Client => false,
            };
            if text && !(ascii && self.utf8.is_complete()) {
                self.utf8.feed(part).map_err(|_| Violation::Utf8)?;
            }
            self.message.extend_from_slice(part);
        }
        Ok(())
    }

    /// Makes room for `more` bytes that are here. Room doubles, so that the cost of growth is in proportion to what was
    /// received, but does not go past the end of the message where that is known.
    fn reserve(&mut self, limits: &Limits, frame: Frame, more: usize) {
        let len = self.received();
        let needed = len + more;
        if needed + usize::from(self.apart) <= self.message.capacity() {
            return;
        }
        let end = if frame.fin { len + frame.remaining } else { limits.max_message };
        let room = needed.saturating_mul(2).max(MIN_ROOM).min(end).max(needed);
        if self.message.is_empty() && room >= usize::from(LARGE) {
            self.apart = APART;
            self.message.reserve_exact(usize::from(APART) + room);
            self.message.resize(APART.into(), 0);
        } else {
            self.message.reserve_exact(room - len);
        }
    }

    /// Bytes of the message in progress that have arrived.
    fn received(&self) -> usize {
        self.message.len() - usize::from(self.apart)
    }
}

/// Allocators put large buffers at the beginning of a page. So a payload would have nearly the same place in its page as its copy in
/// another such buffer, and such copies are slow: see [`COPY`]. Half a page apart they are not.
const APART: u16 = 2048;

/// The room from which on that matters.
const LARGE: u16 = 8192;

/// The first room for a message whose end is not nearer.
const MIN_ROOM: usize = 64;

impl Frame {
    /// The frame when `len` more bytes of it have arrived.
    fn after(self, len: usize) -> Frame {
        let mut key = self.key;
        key.rotate_left(len % 4);
        Frame { remaining: self.remaining - len, fresh: self.fresh && len == 0, key, ..self }
    }
}

impl Control {
    fn received(&mut self) -> &mut [u8] {
        &mut self.bytes[..usize::from(self.len)]
    }
}

/// Where a message lies in the input, in the frequent case: unfragmented, whole, less than 64 KiB.
struct Whole {
    opcode: OpCode,
    key: [u8; 4],
    start: usize,
    end: usize,
}

impl Whole {
    /// `None` means any other case, right or wrong.
    #[inline(always)]
    fn find(role: Role, limits: &Limits, bytes: &[u8]) -> Option<Whole> {
        let &[start, second] = bytes.first_chunk()?;
        let opcode = match start {
            0x81 => OpCode::Text,
            0x82 => OpCode::Binary,
            _ => return None,
        };
        let masked = role == Role::Server;
        // With the right mask bit, the seven bits of length.
        let short = if masked { second ^ MASKED } else { second };
        // Called in two places, not on the outcome of either: where the next frame starts then hangs on a branch that
        // is predicted, not on a chain of selected values.
        let payload = |len: usize, size: usize| {
            let (key, start) = match role {
                Role::Server => (frame::read_key(bytes, size)?, size + 4),
                Role::Client => ([0; 4], size),
            };
            let end = start + len;
            (len <= limits.max_message && end <= bytes.len()).then_some(Whole { opcode, key, start, end })
        };
        match short {
            ..126 => payload(usize::from(short), 2),
            126 => match u16::from_be_bytes(*bytes[2..].first_chunk()?) {
                ..126 => None,
                len => payload(usize::from(len), 4),
            },
            127.. => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    const LIMITS: Limits = Limits { max_message: 1 << 20, max_fragments: 10 };

    /// The frequent path is a shortcut and nothing else: where it finds a message, the long way finds the same.
    #[test]
    fn both_paths_give_the_same() {
        for len in [0, 1, 7, 125, 126, 300, 65_535] {
            for role in [Role::Server, Role::Client] {
                let mut input = vec![];
                let payload = vec![b'a'; len];
                match role {
                    Role::Server => {
                        frame::write_masked_frame(&mut input, true, OpCode::Text, &payload, [1, 2, 3, 4])
                    }
                    Role::Client => frame::write_frame(&mut input, true, OpCode::Text, &payload),
                }
                let size = input.len();
                let whole = Whole::find(role, &LIMITS, &input).unwrap();
                assert_eq!((whole.end, whole.end - whole.start), (size, len));
                for cut in 0..size.min(400) {
                    assert!(Whole::find(role, &LIMITS, &input[..cut]).is_none());
                }
                let mut long = Decoder::new(role);
                let step = long.decode_any(&LIMITS, &mut input).unwrap();
                let mut payload = payload;
                let incoming = Some(Incoming::Message { opcode: OpCode::Text, payload: &mut payload });
                assert_eq!(step, Step { consumed: size, incoming });
            }
        }
    }

    #[test]
    fn what_is_given_back_is_as_it_was() {
        let mut input = vec![];
        for n in 0..5u8 {
            frame::write_masked_frame(&mut input, true, OpCode::Text, &[b'a' + n; 9], [n, 2, 3, 4]);
        }
        let (before, frame) = (input.clone(), input.len() / 5);
        let mut decoder = Decoder::new(Role::Server);
        for keep in 0..=5 {
            let mut rest = &mut input[..];
            while let Some((opcode, payload)) = decoder.take_whole(&LIMITS, &mut rest).unwrap() {
                assert_eq!((opcode, payload.len()), (OpCode::Text, 9));
            }
            assert!(rest.is_empty());
            assert_ne!(input, before);
            let start = decoder.give_back(&LIMITS, &mut input, keep);
            assert_eq!(start, keep * frame);
            assert_eq!(input[start..], before[start..]);
            input.copy_from_slice(&before);
        }
    }

    #[test]
    fn only_whole_messages_are_taken_and_wrong_text_is_not() {
        let mut decoder = Decoder::new(Role::Server);
        let mut input = vec![];
        frame::write_masked_frame(&mut input, true, OpCode::Binary, b"one", [1, 2, 3, 4]);
        frame::write_masked_frame(&mut input, true, OpCode::Ping, b"ping", [1, 2, 3, 4]);
        let mut rest = &mut input[..];
        let taken = decoder.take_whole(&LIMITS, &mut rest).unwrap();
        assert_eq!(taken, Some((OpCode::Binary, &b"one"[..])));
        assert_eq!(decoder.take_whole(&LIMITS, &mut rest), Ok(None));
        assert_eq!(rest.len(), 10, "the ping is left");
        let mut input = vec![];
        frame::write_masked_frame(&mut input, true, OpCode::Text, b"\xff", [1, 2, 3, 4]);
        assert_eq!(decoder.take_whole(&LIMITS, &mut &mut input[..]), Err(Violation::Utf8));
        // Behind a fragment nothing is taken.
        let mut input = vec![];
        frame::write_masked_frame(&mut input, false, OpCode::Text, b"a", [1, 2, 3, 4]);
        decoder.decode(&LIMITS, &mut input).unwrap();
        let mut input = vec![];
        frame::write_masked_frame(&mut input, true, OpCode::Text, b"a", [1, 2, 3, 4]);
        assert_eq!(decoder.take_whole(&LIMITS, &mut &mut input[..]), Ok(None));
    }

    #[test]
    fn the_frequent_path_leaves_every_other_case_to_the_long_one() {
        for input in [
            &[0x01, 0x80, 0, 0, 0, 0][..],
            &[0x80, 0x80, 0, 0, 0, 0],
            &[0x89, 0x80, 0, 0, 0, 0],
            &[0xc1, 0x80, 0, 0, 0, 0],
            &[0x81, 0x00],
            &[0x81, 0xfe, 0, 125],
            &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        ] {
            let mut padded = input.to_vec();
            padded.resize(70_000, 0);
            assert!(Whole::find(Role::Server, &LIMITS, &padded).is_none(), "{input:02x?}");
        }
        assert!(
            Whole::find(Role::Server, &Limits { max_message: 0, ..LIMITS }, &[0x82, 0x81, 0, 0, 0, 0, 0])
                .is_none()
        );
        assert!(Whole::find(Role::Client, &LIMITS, &[0x82, 0x80, 0, 0, 0, 0]).is_none());
    }

    #[test]
    fn the_frequent_path_is_open_again_after_a_frame_that_took_the_long_one() {
        let mut decoder = Decoder::new(Role::Server);
        let mut input = vec![];
        frame::write_masked_frame(&mut input, true, OpCode::Ping, b"ping", [9; 4]);
        let (first, rest) = input.split_at_mut(3);
        decoder.decode(&LIMITS, first).unwrap();
        assert_eq!(decoder.stage, Stage::Partial);
        assert_eq!(decoder.decode(&LIMITS, rest).unwrap().incoming, Some(Incoming::Ping(b"ping")));
        assert_eq!(decoder.stage, Stage::Idle);
    }

    #[test]
    fn the_memory_of_a_message_that_was_cut_may_be_taken() {
        let mut decoder = Decoder::new(Role::Server);
        for (len, cut) in [(5, 8), (40_000, 10_000)] {
            let payload = vec![7; len];
            let mut input = vec![];
            frame::write_masked_frame(&mut input, true, OpCode::Binary, &payload, [9; 4]);
            let mut whole = input.clone();
            let (first, rest) = input.split_at_mut(cut);
            assert_eq!(decoder.decode(&LIMITS, first).unwrap().incoming, None);
            assert_eq!(decoder.take_message(), None, "it is not complete");
            assert!(decoder.decode(&LIMITS, rest).unwrap().incoming.is_some());
            let (bytes, from) = decoder.take_message().unwrap();
            assert_eq!(bytes[from..], payload);
            assert_eq!((decoder.stage, decoder.heap(), decoder.take_message()), (Stage::Idle, 0, None));
            assert!(decoder.decode(&LIMITS, &mut whole).unwrap().incoming.is_some());
            assert_eq!(decoder.take_message(), None, "it lay in the input");
        }
        let mut ping = vec![];
        frame::write_masked_frame(&mut ping, true, OpCode::Ping, b"ping", [9; 4]);
        let (first, rest) = ping.split_at_mut(8);
        decoder.decode(&LIMITS, first).unwrap();
        assert!(decoder.decode(&LIMITS, rest).unwrap().incoming.is_some());
        assert_eq!(decoder.take_message(), None, "a ping is no message");
    }

    #[test]
    fn between_messages_nothing_is_left() {
        let mut decoder = Decoder::new(Role::Server);
        let mut input = vec![];
        frame::write_masked_frame(&mut input, false, OpCode::Text, b"\xc3", [9; 4]);
        frame::write_masked_frame(&mut input, true, OpCode::Continuation, b"\xa9", [9; 4]);
        for byte in &mut input {
            decoder.decode(&LIMITS, core::slice::from_mut(byte)).unwrap();
        }
        decoder.release();
        assert_eq!(decoder.stage, Stage::Idle);
        assert!(matches!(decoder.cut, Cut::Header { len: 0, .. }) && decoder.fragmented.is_none());
        assert_eq!((decoder.fragments, decoder.heap(), decoder.utf8), (0, 0, Utf8::new()));
    }
}
