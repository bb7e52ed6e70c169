//! Bytes in; messages, control frames or a violation out (RFC 6455 sections 5 and 8.1).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::str;

use crate::close::CloseCode;
use crate::frame::{self, MASKED, MAX_CONTROL_LEN, MAX_HEADER_LEN, OpCode};
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
#[derive(Debug)]
pub struct Decoder {
    /// What has arrived of the message in progress, unmasked; or, if `stage` is `Spent`, the one handed out last.
    message: Vec<u8>,
    /// What has arrived of a control frame that was cut, unmasked; or, if `stage` is `Spent`, the one handed out.
    control: Option<Box<[u8; MAX_CONTROL_LEN]>>,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The first `header_len` bytes of a header that was cut. Nothing while `frame` is there.
    header: [u8; MAX_HEADER_LEN],
    header_len: u8,
    role: Role,
    stage: Stage,
    /// Opcode of the fragmented message in progress.
    fragmented: Option<OpCode>,
    /// Frames of it so far.
    fragments: u32,
    utf8: Utf8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Every other field has its first value.
    Idle,
    /// Something is partial.
    Partial,
    /// `message` or `control` was handed out and is to be dropped.
    Spent,
}

/// A frame whose header is complete.
#[derive(Debug, Clone, Copy)]
struct Frame {
    fin: bool,
    opcode: OpCode,
    /// The key, turned so that its first byte meets the next byte of payload. Zeros if unmasked.
    key: [u8; 4],
    /// Bytes of payload.
    len: usize,
    /// Those of them that have not arrived yet.
    remaining: usize,
}

/// Where the payload of a finished incoming lies.
enum Found {
    InPlace(OpCode, Range<usize>),
    Control(OpCode, usize),
    Message(OpCode),
}

impl Decoder {
    /// A decoder at the start of a connection's frames. It holds no heap.
    pub const fn new(role: Role) -> Decoder {
        Decoder {
            message: Vec::new(),
            control: None,
            frame: None,
            header: [0; MAX_HEADER_LEN],
            header_len: 0,
            role,
            stage: Stage::Idle,
            fragmented: None,
            fragments: 0,
            utf8: Utf8::new(),
        }
    }

    /// Eats bytes up to the end of one incoming, or all of them.
    ///
    /// # Errors
    /// At the first byte that breaks the protocol or a limit. A header that announces more than
    /// [`Limits::max_message`] fails at once, text fails at its first wrong byte, also inside an unfinished frame.
    #[inline]
    pub fn decode<'a>(&'a mut self, limits: &Limits, bytes: &'a mut [u8]) -> Result<Step<'a>, Violation> {
        self.decode_any(limits, bytes)
    }

    /// Bytes of heap held.
    pub fn heap(&self) -> usize {
        self.message.capacity() + self.control.as_ref().map_or(0, |control| control.len())
    }

    /// Drops the buffer of a message that was handed out, now instead of at the next [`Decoder::decode`].
    pub fn release(&mut self) {
        if self.stage != Stage::Spent {
            return;
        }
        self.control = None;
        if self.fragmented.is_some() {
            self.stage = Stage::Partial;
        } else {
            self.message = Vec::new();
            self.stage = Stage::Idle;
        }
    }

    fn decode_any<'a>(&'a mut self, limits: &Limits, bytes: &'a mut [u8]) -> Result<Step<'a>, Violation> {
        self.release();
        let mut at = 0;
        let found = loop {
            let Some(frame) = self.frame else {
                let Some(size) = self.take_header(limits, &bytes[at..])? else {
                    return Ok(Step { consumed: bytes.len(), incoming: None });
                };
                at += size;
                continue;
            };
            let end = at + frame.remaining.min(bytes.len() - at);
            let piece = &mut bytes[at..end];
            let whole = piece.len() == frame.len;
            let found = if frame.opcode.is_control() {
                self.take_control(frame, piece).then_some(if whole {
                    Found::InPlace(frame.opcode, at..end)
                } else {
                    Found::Control(frame.opcode, frame.len)
                })
            } else if whole && frame.fin && self.fragmented.is_none() {
                self.take_whole(frame, piece)?;
                Some(Found::InPlace(frame.opcode, at..end))
            } else {
                self.take_piece(limits, frame, piece)?.map(Found::Message)
            };
            at = end;
            if let Some(found) = found {
                break found;
            }
            if self.frame.is_some() {
                return Ok(Step { consumed: bytes.len(), incoming: None });
            }
        };
        self.stage = match found {
            Found::InPlace(..) if self.fragmented.is_none() => Stage::Idle,
            Found::InPlace(..) => Stage::Partial,
            Found::Control(..) | Found::Message(_) => Stage::Spent,
        };
        let (opcode, payload) = match found {
            Found::InPlace(opcode, range) => (opcode, &mut bytes[range]),
            Found::Control(opcode, len) => {
                (opcode, self.control.as_mut().map_or(&mut [][..], |control| &mut control[..len]))
            }
            Found::Message(opcode) => (opcode, self.message.as_mut_slice()),
        };
        Ok(Step { consumed: at, incoming: Some(incoming(opcode, payload)?) })
    }

    /// Reads a header, from `bytes` alone or with what was kept of it. Returns how many of `bytes` it took and sets
    /// `frame`; or keeps them all and returns `None`.
    fn take_header(&mut self, limits: &Limits, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let kept = usize::from(self.header_len);
        if kept == 0 {
            if let Some((frame, size)) = self.read_header(limits, bytes)? {
                self.begin(frame);
                return Ok(Some(size));
            }
        }
        let size = bytes.len().min(MAX_HEADER_LEN - kept);
        self.header[kept..kept + size].copy_from_slice(&bytes[..size]);
        let header = self.header;
        match self.read_header(limits, &header[..kept + size])? {
            Some((frame, total)) => {
                self.header_len = 0;
                self.begin(frame);
                Ok(Some(total - kept))
            }
            None => {
                self.header_len = (kept + size) as u8;
                if self.header_len > 0 {
                    self.stage = Stage::Partial;
                }
                Ok(None)
            }
        }
    }

    fn begin(&mut self, frame: Frame) {
        self.stage = Stage::Partial;
        self.frame = Some(frame);
        if !frame.opcode.is_control() && (!frame.fin || self.fragmented.is_some()) {
            self.fragments += 1;
            self.fragmented = self.fragmented.or(Some(frame.opcode));
        }
    }

    /// Reads a header and holds it against the state of the connection, byte by byte in the order of the wire, so
    /// that any prefix of it fails exactly where the whole does.
    #[inline]
    fn read_header(&self, limits: &Limits, bytes: &[u8]) -> Result<Option<(Frame, usize)>, Violation> {
        let Some(&start) = bytes.first() else { return Ok(None) };
        let (fin, opcode) = frame::read_start(start)?;
        let control = opcode.is_control();
        if !control {
            match (opcode, self.fragmented) {
                (OpCode::Continuation, None) => return Err(Violation::StrayContinuation),
                (OpCode::Continuation, Some(_)) if self.fragments >= limits.max_fragments => {
                    return Err(Violation::TooManyFragments);
                }
                (OpCode::Continuation, Some(_)) | (_, None) => {}
                (_, Some(_)) => return Err(Violation::InterleavedMessage),
            }
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = second & MASKED != 0;
        match self.role {
            Role::Server if !masked => return Err(Violation::NotMasked),
            Role::Client if masked => return Err(Violation::Masked),
            _ => {}
        }
        let Some((len, size)) = frame::read_length(opcode, bytes)? else { return Ok(None) };
        if control {
            if opcode == OpCode::Close && len == 1 {
                return Err(Violation::CloseTooShort);
            }
        } else if len > limits.max_message.saturating_sub(self.message.len()) as u64 {
            return Err(Violation::TooBig);
        }
        let len = len as usize;
        if !masked {
            return Ok(Some((Frame { fin, opcode, key: [0; 4], len, remaining: len }, size)));
        }
        let Some(key) = frame::read_key(bytes, size) else { return Ok(None) };
        Ok(Some((Frame { fin, opcode, key, len, remaining: len }, size + 4)))
    }

    /// A whole unfragmented message.
    fn take_whole(&mut self, frame: Frame, payload: &mut [u8]) -> Result<(), Violation> {
        self.frame = None;
        if self.role == Role::Server {
            mask::apply(payload, frame.key, 0);
        }
        if frame.opcode == OpCode::Text && !utf8::is_valid(payload) {
            return Err(Violation::Utf8);
        }
        Ok(())
    }

    /// The next piece of a control frame; whether the frame is complete with it. A whole one is unmasked in place.
    fn take_control(&mut self, frame: Frame, piece: &mut [u8]) -> bool {
        let done = piece.len() == frame.remaining;
        if piece.len() == frame.len {
            mask::apply(piece, frame.key, 0);
        } else {
            let at = frame.len - frame.remaining;
            let control = self.control.get_or_insert_with(|| Box::new([0; MAX_CONTROL_LEN]));
            mask::apply_into(&mut control[at..at + piece.len()], piece, frame.key, 0);
        }
        self.frame = (!done).then(|| frame.after(piece.len()));
        done
    }

    /// The next piece of a message that is fragmented or cut; its opcode if the message is complete with it.
    fn take_piece(&mut self, limits: &Limits, frame: Frame, piece: &mut [u8]) -> Result<Option<OpCode>, Violation> {
        let opcode = self.fragmented.unwrap_or(frame.opcode);
        self.reserve(limits, frame, piece.len());
        let mut key = frame.key;
        for part in piece.chunks_mut(PART) {
            if self.role == Role::Server {
                mask::apply(part, key, 0);
                key.rotate_left(part.len() % 4);
            }
            if opcode == OpCode::Text {
                self.utf8.feed(part).map_err(|_| Violation::Utf8)?;
            }
            self.message.extend_from_slice(part);
        }
        if piece.len() < frame.remaining {
            self.frame = Some(frame.after(piece.len()));
            return Ok(None);
        }
        self.frame = None;
        if !frame.fin {
            return Ok(None);
        }
        if !self.utf8.is_complete() {
            return Err(Violation::Utf8);
        }
        self.fragmented = None;
        self.fragments = 0;
        Ok(Some(opcode))
    }

    /// Room for `more` bytes that are here. Growth is by doubling, so that its cost stays in proportion to what was
    /// received, but never past the end of the message where that is known.
    fn reserve(&mut self, limits: &Limits, frame: Frame, more: usize) {
        let len = self.message.len();
        let needed = len + more;
        if needed <= self.message.capacity() {
            return;
        }
        let end = if frame.fin { len + frame.remaining } else { limits.max_message };
        let room = (2 * needed).max(MIN_ROOM).min(end).max(needed);
        self.message.reserve_exact(room - len);
    }
}

impl Frame {
    /// The frame when `len` more bytes of it have arrived.
    fn after(self, len: usize) -> Frame {
        let mut key = self.key;
        key.rotate_left(len % 4);
        Frame { key, remaining: self.remaining - len, ..self }
    }
}

/// Bytes that are unmasked, checked and copied before the next ones, so that they are read from memory once.
const PART: usize = 4096;

/// The first allocation for a message whose end is not nearer.
const MIN_ROOM: usize = 64;

#[inline]
fn incoming(opcode: OpCode, payload: &mut [u8]) -> Result<Incoming<'_>, Violation> {
    Ok(match opcode {
        OpCode::Ping => Incoming::Ping(payload),
        OpCode::Pong => Incoming::Pong(payload),
        OpCode::Close => return close(payload),
        opcode => Incoming::Message { opcode, payload },
    })
}

fn close(payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Ok(Incoming::Close { code: None, reason: "" });
    };
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::CloseCode)?;
    let reason = str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
    Ok(Incoming::Close { code: Some(code), reason })
}
