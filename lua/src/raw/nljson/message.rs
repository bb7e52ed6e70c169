//! Error messages that own nothing, so that they may be alive where Lua raises.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::fmt::{self, Write};

use mlua::ffi::{self, lua_State};

/// A text of limited length; what is too much is cut off.
#[derive(Clone, Copy)]
pub(super) struct Message {
    bytes: [u8; 240],
    len: usize,
}

/// Why something cannot be done.
#[derive(Clone, Copy)]
pub(super) enum Trouble {
    /// What is wrong lies in `WHY` until the next time that something is.
    Wrong,
    /// There may be room when the garbage is gone.
    NoMemory,
}

thread_local! {
    static WHY: Cell<Message> = const { Cell::new(Message { bytes: [0; 240], len: 0 }) };
}

impl Message {
    pub(super) fn new(text: impl fmt::Display) -> Message {
        let mut message = Message { bytes: [0; 240], len: 0 };
        // It says that it is full by an error.
        let _ = write!(message, "{text}");
        message
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.bytes[..self.len]).unwrap_or_default())
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let mut fitting = text.len().min(room.len());
        while !text.is_char_boundary(fitting) {
            fitting -= 1;
        }
        room[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
        self.len += fitting;
        if fitting == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Trouble {
    pub(super) fn wrong(text: impl fmt::Display) -> Trouble {
        WHY.set(Message::new(text));
        Trouble::Wrong
    }

    /// Raises it.
    ///
    /// # Safety
    /// As for [`raise`], and nothing has happened since.
    #[cold]
    pub(super) unsafe fn raise(self, state: *mut lua_State, name: &CStr) -> ! {
        // SAFETY: as promised; the message is a copy.
        unsafe {
            match self {
                Trouble::Wrong => raise(state, name, &WHY.get()),
                Trouble::NoMemory => no_memory(state),
            }
        }
    }
}

/// Raises `NAME: MESSAGE` with the place of the call.
///
/// # Safety
/// Called where an error may be raised.
pub(super) unsafe fn raise(state: *mut lua_State, name: &CStr, message: &Message) -> ! {
    // SAFETY: as promised.
    unsafe {
        ffi::luaL_where(state, 1);
        ffi::lua_pushstring_(state, name.as_ptr());
        ffi::lua_pushlstring_(state, c": ".as_ptr(), 2);
        ffi::lua_pushlstring_(state, message.bytes.as_ptr().cast::<c_char>(), message.len);
        ffi::lua_concat(state, 4);
        ffi::lua_error(state)
    }
}

/// Raises what LuaJIT says when its own heap has no room.
///
/// # Safety
/// Called where an error may be raised.
pub(super) unsafe fn no_memory(state: *mut lua_State) -> ! {
    // SAFETY: as promised.
    unsafe {
        ffi::lua_pushlstring_(state, c"not enough memory".as_ptr(), 17);
        ffi::lua_error(state)
    }
}

/// Raises that argument `index` is of a wrong type.
///
/// # Safety
/// As for [`raise`].
pub(super) unsafe fn wrong_type(
    state: *mut lua_State,
    name: &CStr,
    index: c_int,
    what: &str,
    expected: &str,
) -> ! {
    // SAFETY: as promised; the message is a copy.
    unsafe {
        let given = type_name(state, index);
        let message = Message::new(format_args!("argument {index} ({what}) must be {expected}, got {given}"));
        raise(state, name, &message)
    }
}

/// The name of the type of what is at `index`.
///
/// # Safety
/// `index` is valid in `state`, or beyond its top.
pub(super) unsafe fn type_name(state: *mut lua_State, index: c_int) -> &'static str {
    // SAFETY: as promised; the names are constants of Lua's.
    unsafe { CStr::from_ptr(ffi::luaL_typename(state, index)).to_str().unwrap_or("a value") }
}
