//! What the compiled dispatch loop shares with its host: the messages of one call, and how far it came.

use std::marker::PhantomData;
use std::{ptr, slice};

use lapps_parser::frame::OpCode;

use crate::port::{ConnId, Event};

/// The type of a pointer to [`Control`], for LuaJIT's `ffi`. Types without names collide with none of a service.
pub(super) const CONTROL: &str = "struct { \
    const struct { double conn; const char *payload; int32_t size; int32_t opcode; } *batch; \
    int32_t at; int32_t stop; int32_t sent; } *";

/// The type of [`super::functions::send`].
pub(super) const SEND: &str = "int32_t (*)(void *, double, double, const char *, int32_t)";

/// A message of a batch: what [`Event::Message`] says, laid out for Lua.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Message<'a> {
    conn: f64,
    payload: *const u8,
    size: i32,
    /// As on the wire: 1 is text, 2 is binary.
    opcode: i32,
    borrowed: PhantomData<&'a [u8]>,
}

/// The memory of a batch, to be used again and again.
#[derive(Debug, Default)]
pub struct Batch {
    /// Never looked at before it is cleared.
    messages: Vec<Message<'static>>,
}

impl Batch {
    /// An empty batch.
    pub fn begin<'a>(&mut self) -> &mut Vec<Message<'a>> {
        self.messages.clear();
        // SAFETY: the types differ in a lifetime only. There is no message of a longer one in it, and those of the shorter
        // one that stay behind are forgotten by the next call, the only way in.
        unsafe {
            std::mem::transmute::<&mut Vec<Message<'static>>, &mut Vec<Message<'a>>>(&mut self.messages)
        }
    }
}

// SAFETY: between two uses it is memory without contents.
unsafe impl Send for Batch {}

/// What loop and host tell each other while a batch is handled.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Control {
    pub(super) batch: *const Message<'static>,
    /// Which message is being handled. Written by the loop.
    pub(super) at: i32,
    /// Not zero: the host wants to look before the next message.
    pub(super) stop: i32,
    /// Bytes that were sent since the batch began.
    pub(super) sent: i32,
}

impl<'a> Message<'a> {
    /// `None`: it is larger than any Lua string.
    #[must_use]
    #[inline]
    pub fn new(conn: ConnId, opcode: OpCode, payload: &'a [u8]) -> Option<Message<'a>> {
        Some(Message {
            conn: conn.as_number(),
            payload: payload.as_ptr(),
            size: i32::try_from(payload.len()).ok()?,
            opcode: opcode.bits().into(),
            borrowed: PhantomData,
        })
    }

    /// The same as an event.
    #[must_use]
    pub fn event(&self) -> Event<'a> {
        let opcode =
            if self.opcode == i32::from(OpCode::Text.bits()) { OpCode::Text } else { OpCode::Binary };
        Event::Message { conn: self.conn(), opcode, payload: self.payload() }
    }

    /// Who sent it.
    #[must_use]
    pub fn conn(&self) -> ConnId {
        ConnId::from_number(self.conn).expect("it was made from one")
    }

    /// The bytes.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        // SAFETY: made from such a slice, which is borrowed for as long.
        unsafe { slice::from_raw_parts(self.payload, self.size as usize) }
    }
}

impl Default for Control {
    fn default() -> Control {
        Control { batch: ptr::null(), at: 0, stop: 0, sent: 0 }
    }
}
