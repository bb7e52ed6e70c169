//! The functions of the module `bcast`.

use std::ffi::{CStr, c_int};

use mlua::ffi::{self, lua_State};

use super::functions::{answer, answer_encoded, check_self, number, wrong_type};
use super::nljson;
use crate::commands;

/// By name.
pub(super) const FUNCTIONS: &[(&str, ffi::lua_CFunction)] =
    &[("create", create), ("subscribe", subscribe), ("unsubscribe", unsubscribe), ("send", send)];

/// `bcast:create(channel)`
unsafe extern "C-unwind" fn create(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue. Only numbers are alive where it can raise.
    unsafe {
        check_self(state, c"bcast:create must be called with a colon: bcast:create(channel)");
        let channel = number(state, c"bcast:create", 1, CHANNEL);
        answer(state, |port| commands::create(port, channel))
    }
}

/// `bcast:subscribe(channel, handler)`
unsafe extern "C-unwind" fn subscribe(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"bcast:subscribe";
    // SAFETY: as in `create`.
    unsafe {
        check_self(state, c"bcast:subscribe must be called with a colon: bcast:subscribe(channel, handler)");
        let channel = number(state, NAME, 1, CHANNEL);
        let handler = number(state, NAME, 2, HANDLER);
        answer(state, |port| commands::subscribe(port, channel, handler))
    }
}

/// `bcast:unsubscribe(channel, handler)`
unsafe extern "C-unwind" fn unsubscribe(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"bcast:unsubscribe";
    // SAFETY: as in `create`.
    unsafe {
        check_self(
            state,
            c"bcast:unsubscribe must be called with a colon: bcast:unsubscribe(channel, handler)",
        );
        let channel = number(state, NAME, 1, CHANNEL);
        let handler = number(state, NAME, 2, HANDLER);
        answer(state, |port| commands::unsubscribe(port, channel, handler))
    }
}

/// `bcast:send(channel, message)`
unsafe extern "C-unwind" fn send(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"bcast:send";
    // SAFETY: as in `create`; the value moves into the command.
    unsafe {
        check_self(state, c"bcast:send must be called with a colon: bcast:send(channel, message)");
        let channel = number(state, NAME, 1, CHANNEL);
        match nljson::share(state, 3) {
            Some(value) => {
                answer_encoded(state, move |port, out| commands::publish(port, channel, &value, out))
            }
            None => wrong_type(state, NAME, 2, c"message", c"nljson value"),
        }
    }
}

const CHANNEL: &CStr = c"channel";
const HANDLER: &CStr = c"handler";
