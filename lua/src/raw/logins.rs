//! `pam_auth` behind the check of types.

use std::ffi::{c_char, c_int};

use mlua::ffi::{self, lua_State};
use mlua::{Lua, Table};

use super::functions::doorway;
use super::{Door, bytes};
use crate::login::Outcome;

impl Door {
    /// What the module `pam_auth` is made of.
    pub(crate) fn logins(&self, lua: &Lua) -> mlua::Result<Table> {
        self.functions(lua, &[("ask", ask), ("answer", answer)])
    }
}

/// `ask(ticket, service, user, password)`: true, or nothing: [`answer`] says why.
unsafe extern "C-unwind" fn ask(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue, a number and three strings, which stay on the stack. Nothing here
    // raises.
    unsafe {
        let ticket = ffi::lua_tonumber(state, 1) as u64;
        let texts = [bytes(state, 2), bytes(state, 3), bytes(state, 4)];
        let doorway = doorway(state);
        match doorway.asked.ask(doorway.logins.as_ref(), &doorway.bell, ticket, texts) {
            Ok(()) => {
                doorway.asked.hand = None;
                ffi::lua_pushboolean(state, 1);
                1
            }
            Err(message) => {
                doorway.asked.hand = Some(Outcome { result: Err(message), delay: Default::default() });
                0
            }
        }
    }
}

/// `answer(ticket)`: true, or false and a message, and then seconds; nothing if there is no answer. Nobody asks again.
/// Without a ticket: why [`ask`] could not.
unsafe extern "C-unwind" fn answer(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number or nothing. What may raise borrows from the door, which
    // keeps the answer then, until the next.
    unsafe {
        let asked = &mut doorway(state).asked;
        if ffi::lua_type(state, 1) == ffi::LUA_TNUMBER {
            asked.hand = asked.take(ffi::lua_tonumber(state, 1) as u64);
        }
        let Some(outcome) = &asked.hand else { return 0 };
        ffi::lua_pushboolean(state, outcome.result.is_ok().into());
        match &outcome.result {
            Ok(()) => ffi::lua_pushnil(state),
            Err(message) => {
                ffi::lua_pushlstring_(state, message.as_ptr().cast::<c_char>(), message.len());
            }
        }
        ffi::lua_pushnumber(state, outcome.delay.as_secs_f64());
        asked.hand = None;
        3
    }
}
