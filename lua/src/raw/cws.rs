//! The functions behind the module `cws`, and what its handlers are called with.

use std::ffi::{CStr, c_char, c_int};

use mlua::ffi::{self, lua_State};

use super::bytes;
use super::door::Handler;
use super::functions::{FAILED, answer, check_self, doorway, note_closed, number, raise, string};
use crate::outgoing::{self, Wanted};
use crate::port::{ClientEvent, ConnId, Port};

/// Those that services see, by name.
pub(super) const FUNCTIONS: &[(&str, ffi::lua_CFunction)] = &[("send", send)];

/// Those that only the module itself calls, by name. It knows what it passes: types are not checked.
pub(super) const NATIVE: &[(&str, ffi::lua_CFunction)] =
    &[("connect", connect), ("begin", begin), ("abandon", abandon), ("text", text), ("close", close)];

/// `cws:send(handler, message, opcode)`
unsafe extern "C-unwind" fn send(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"cws:send";
    // SAFETY: as in `ws_send`.
    unsafe {
        check_self(state, c"cws:send must be called with a colon: cws:send(handler, message, opcode)");
        let conn = number(state, NAME, 1, c"handler");
        let message = string(state, NAME, 2, c"message");
        let opcode = number(state, NAME, 3, c"opcode");
        answer(state, |port| outgoing::send(port, conn, message, opcode))
    }
}

/// `close(handler, code, reason)` of `cws`, which has seen to the types.
unsafe extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue, two numbers and a string; else as in `ws_send`.
    unsafe {
        let (conn, code) = (ffi::lua_tonumber(state, 1), ffi::lua_tonumber(state, 2));
        let reason = bytes(state, 3);
        let answered = answer(state, |port| outgoing::close(port, conn, code, reason));
        note_closed(state, answered, conn);
        answered
    }
}

/// `connect(uri, headers, protocols, ca or nil, seven numbers)`: a handler, or nil and a text.
unsafe extern "C-unwind" fn connect(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue, with three strings, a string or nil, and seven numbers. The slices are
    // on the stack as long as the call lasts; a text that could be lost by an error lies in the door.
    unsafe {
        let mut terms = [0.0; 7];
        for (index, term) in (5..).zip(&mut terms) {
            *term = ffi::lua_tonumber(state, index);
        }
        let wanted = Wanted {
            uri: bytes(state, 1),
            headers: bytes(state, 2),
            protocols: bytes(state, 3),
            ca: (ffi::lua_type(state, 4) == ffi::LUA_TSTRING).then(|| bytes(state, 4)),
            terms,
        };
        let doorway = doorway(state);
        match doorway.ask(|port| outgoing::connect(port, &wanted)) {
            Some(Ok(conn)) => {
                ffi::lua_pushnumber(state, conn.as_number());
                1
            }
            Some(Err(why)) => {
                doorway.text = Some(why);
                ffi::lua_pushnil(state);
                1 + text(state)
            }
            None => raise(state, FAILED),
        }
    }
}

/// `begin(handler)`: TLS and upgrade may begin.
unsafe extern "C-unwind" fn begin(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number.
    unsafe { about_client(state, |port, conn| port.begin(conn)) }
}

/// `abandon(handler)`: nobody wants it.
unsafe extern "C-unwind" fn abandon(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number.
    unsafe { about_client(state, |port, conn| port.abandon(conn)) }
}

/// # Safety
/// Called from a function that has the door as upvalue, with the state it was given and a number.
unsafe fn about_client(state: *mut lua_State, tell: impl FnOnce(&mut dyn Port, ConnId)) -> c_int {
    // SAFETY: as promised.
    unsafe {
        let conn = ConnId::from_number(ffi::lua_tonumber(state, 1));
        doorway(state).ask(|port| {
            if let (Some(port), Some(conn)) = (port, conn) {
                tell(port, conn);
            }
        });
        0
    }
}

/// `text()`: the text that lies in the door, or nil. It goes when it was taken.
unsafe extern "C-unwind" fn text(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue. The text is in the door while this can raise.
    unsafe {
        let doorway = doorway(state);
        match &doorway.text {
            Some(text) => ffi::lua_pushlstring_(state, text.as_ptr().cast::<c_char>(), text.len()),
            None => ffi::lua_pushnil(state),
        }
        doorway.text = None;
        1
    }
}

/// The rest of what `take` returns for an outgoing connection: what happened, the handler's name, `true`, and what else the
/// handler gets.
///
/// # Safety
/// As for [`take`], behind two values.
pub(super) unsafe fn push(state: *mut lua_State, event: &ClientEvent<'_>, handler: Handler) -> c_int {
    // SAFETY: as promised.
    unsafe {
        let put = |bytes: &[u8]| {
            ffi::lua_pushlstring_(state, bytes.as_ptr().cast::<c_char>(), bytes.len());
        };
        match event {
            ClientEvent::Opened { protocol: Some(protocol) } => put(protocol.as_bytes()),
            ClientEvent::Opened { protocol: None } => ffi::lua_pushnil(state),
            ClientEvent::Message { payload, .. } => put(payload),
            ClientEvent::Failed(text) => put(text.as_bytes()),
            ClientEvent::Closed { code, reason } => {
                // The payload of the frame, as it came; these two codes stand for none.
                let mut payload = [0; 125];
                let mut end = 0;
                if !matches!(code, 1005 | 1006) {
                    let reason = &reason.as_bytes()[..reason.len().min(payload.len() - 2)];
                    end = 2 + reason.len();
                    payload[..2].copy_from_slice(&code.to_be_bytes());
                    payload[2..end].copy_from_slice(reason);
                }
                put(&payload[..end]);
            }
        }
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2 + handler as c_int));
        ffi::lua_pushboolean(state, 1);
        match event {
            ClientEvent::Opened { .. } | ClientEvent::Failed(_) => 5,
            ClientEvent::Message { opcode, .. } => {
                ffi::lua_pushinteger(state, opcode.bits().into());
                6
            }
            ClientEvent::Closed { code, reason } => {
                ffi::lua_pushinteger(state, (*code).into());
                put(reason.as_bytes());
                7
            }
        }
    }
}
