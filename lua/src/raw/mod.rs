//! LuaJIT called directly through its C API: the message path, and what Lua may call of ours.
//!
//! Three rules keep it sound.
//! - A Lua error unwinds without running destructors. So every call that can raise stands in a function that Lua calls
//!   under `lua_pcall` or `lua_resume`, and no value with a destructor is alive there while it can raise.
//! - A Rust panic must not reach Lua's frames. So code behind the door runs under `catch_unwind`; the panic is kept in
//!   the door, becomes a Lua error, and is reported after the event even if the service caught that error.
//! - A [`Port`] is borrowed for one call. So its address stands in the door only while that call lasts.

#![allow(unsafe_code)]

mod batch;
mod bcast;
mod cws;
mod door;
mod functions;
mod instance;
mod logins;
mod murmur;
pub(crate) mod nljson;
mod queues;

pub use batch::{Batch, Message};
pub(crate) use door::{Args, Door, Handler, Note};
pub(crate) use instance::{Called, Instance};

use std::ffi::c_int;
use std::slice;

use mlua::ffi::{self, lua_State};
use mlua::{Lua, LuaOptions, StdLib};

/// What a handler returned first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Returned {
    True,
    /// The name of its type, or "false".
    Other(&'static str),
}

/// Makes a Lua state with all standard libraries, `ffi`, `debug` and the loading of C modules among them.
pub(crate) fn new_state() -> Lua {
    // With these options the binding leaves `pcall` and `xpcall` as they are: fibers wait inside of them, which its own,
    // C functions, would not allow. No function of the binding is ever called from Lua, so none can panic there.
    let options = LuaOptions::new().catch_rust_panics(true);
    // SAFETY: what is unsafe about it is what a service may then do. Services are the operator's own code and have the
    // rights of the process, as in the original; clients cannot bring code.
    unsafe { Lua::unsafe_new_with(StdLib::ALL, options) }
}

/// The value at `index`, as far as the contract of `onMessage` is concerned.
///
/// # Safety
/// `index` is valid in `state`, or beyond its top.
unsafe fn returned(state: *mut lua_State, index: c_int) -> Returned {
    // SAFETY: as promised; none of these raises.
    let (kind, is_true) = unsafe { (ffi::lua_type(state, index), ffi::lua_toboolean(state, index) != 0) };
    match kind {
        ffi::LUA_TBOOLEAN if is_true => Returned::True,
        ffi::LUA_TBOOLEAN => Returned::Other("false"),
        ffi::LUA_TNIL | ffi::LUA_TNONE => Returned::Other("nil"),
        ffi::LUA_TNUMBER => Returned::Other("a number"),
        ffi::LUA_TSTRING => Returned::Other("a string"),
        ffi::LUA_TTABLE => Returned::Other("a table"),
        ffi::LUA_TFUNCTION => Returned::Other("a function"),
        ffi::LUA_TTHREAD => Returned::Other("a coroutine"),
        _ => Returned::Other("a userdata"),
    }
}

/// The string at `index`; empty if there is none.
///
/// # Safety
/// `index` is valid in `state`, or beyond its top.
unsafe fn text(state: *mut lua_State, index: c_int) -> String {
    // SAFETY: as promised. Without a conversion `lua_tolstring` does not allocate, so it does not raise.
    unsafe {
        if ffi::lua_type(state, index) != ffi::LUA_TSTRING {
            return String::new();
        }
        String::from_utf8_lossy(bytes(state, index)).into_owned()
    }
}

/// The string or number at `index`. A number is turned into a string in its place, which may raise.
///
/// # Safety
/// The value at `index` is a string or a number, and stays there as long as the bytes are used.
unsafe fn bytes<'a>(state: *mut lua_State, index: c_int) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: as promised; Lua's strings do not move.
    unsafe {
        let start = ffi::lua_tolstring(state, index, &mut len);
        slice::from_raw_parts(start.cast(), len)
    }
}
