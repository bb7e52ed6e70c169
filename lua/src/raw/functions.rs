//! The functions of ours that Lua calls.

use std::ffi::{CStr, c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use mlua::ffi::{self, lua_State};

use super::door::{Args, Doorway, Note};
use super::{bytes, nljson, returned, text};
use crate::commands;
use crate::port::{ConnId, Port};

/// What only the scheduler calls, by name. It knows what it passes: types are not checked.
pub(super) const HOST: &[(&str, ffi::lua_CFunction)] = &[
    ("can_wait", can_wait),
    ("stir", stir),
    ("now", now),
    ("epoch", epoch),
    ("serves", serves),
    ("stopping", stopping),
    ("conns", conns),
    ("owed", owed),
    ("done", done),
    ("failed", failed),
    ("report", report),
    ("init_done", init_done),
    ("main_ended", main_ended),
    ("collected", collected),
];

/// The door behind a function made by [`super::Door`].
///
/// # Safety
/// Called from such a function, with the state it was given, and used only until that function returns.
pub(super) unsafe fn doorway<'a>(state: *mut lua_State) -> &'a mut Doorway {
    // SAFETY: the first upvalue of those functions is the door's address. Whoever has called Lua does not look into the
    // door meanwhile, and none of these functions calls another.
    unsafe { &mut *ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast() }
}

/// `take()`: the arguments of the event that lies in the door, and, but for a message, the name of its handler.
///
/// The dispatch loop looks the handler up anew each time, so that a service may exchange its handlers while it runs.
/// Upvalues: door, the handlers' names.
pub(super) unsafe extern "C-unwind" fn take(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this in the coroutine that `Instance::call` resumes, where the door has been filled and the
    // payload is borrowed. Nothing here has a destructor. A C function has room for 20 values.
    unsafe {
        let doorway = doorway(state);
        match doorway.args {
            Args::Message(conn, opcode, payload) => {
                ffi::lua_pushnumber(state, conn.as_number());
                ffi::lua_pushinteger(state, opcode.into());
                ffi::lua_pushlstring_(state, payload.as_ptr().cast::<c_char>(), payload.len());
                return 3;
            }
            Args::Value(conn, msg_type) => {
                ffi::lua_pushnumber(state, conn.as_number());
                ffi::lua_pushinteger(state, msg_type.into());
                nljson::push(state, &raw mut doorway.value);
                return 3;
            }
            Args::Conn(conn) => ffi::lua_pushnumber(state, conn.as_number()),
            Args::None => ffi::lua_pushnil(state),
            Args::Client(conn, event) => {
                ffi::lua_pushnumber(state, conn.as_number());
                ffi::lua_pushnil(state);
                return super::cws::push(state, &event, doorway.handler);
            }
        }
        ffi::lua_pushnil(state);
        ffi::lua_pushnil(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2 + doorway.handler as c_int));
        4
    }
}

unsafe extern "C-unwind" {
    /// Whether the running coroutine can yield here: no C function stands between it and its resumption. Part of LuaJIT's
    /// API, but not of the binding's.
    fn lua_isyieldable(state: *mut lua_State) -> c_int;
}

/// `can_wait(co)`: is it `co` that runs here, and can it yield?
unsafe extern "C-unwind" fn can_wait(state: *mut lua_State) -> c_int {
    // SAFETY: LuaJIT passes the running coroutine; `lua_tothread` gives null for anything but a coroutine.
    unsafe {
        let can = ffi::lua_tothread(state, 1) == state && lua_isyieldable(state) != 0;
        ffi::lua_pushboolean(state, can.into());
        1
    }
}

/// `stir()`: the scheduler wants a turn.
unsafe extern "C-unwind" fn stir(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue.
    unsafe { doorway(state) }.stirred = true;
    0
}

/// `collected(collections)`: another collection has ended. A finalizer calls this while others of these functions may be under
/// way; so it does not use the door.
unsafe extern "C-unwind" fn collected(state: *mut lua_State) -> c_int {
    // SAFETY: the scheduler passes the address of the count, which lives as long as the door.
    let collections = unsafe { &*ffi::lua_touserdata(state, 1).cast::<AtomicU64>() };
    collections.fetch_add(1, Ordering::Relaxed);
    0
}

/// `now()`: milliseconds on the port's clock; exact where they are whole.
unsafe extern "C-unwind" fn now(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue. Only a number is alive where it can raise.
    unsafe {
        match doorway(state).ask(|port| port.map(|port| port.now().as_nanos() as f64 / 1e6)) {
            Some(Some(milliseconds)) => {
                ffi::lua_pushnumber(state, milliseconds);
                1
            }
            Some(None) => raise(
                state,
                c"no timer can be set while the service's file is loaded; do it in onStart() or init()",
            ),
            None => raise(state, FAILED),
        }
    }
}

/// `epoch()`: whole milliseconds since 1970.
unsafe extern "C-unwind" fn epoch(state: *mut lua_State) -> c_int {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // SAFETY: a C function has room for 20 values.
    unsafe { ffi::lua_pushnumber(state, since.as_millis() as f64) };
    1
}

/// `serves(handler)`: is this an open connection of this instance?
unsafe extern "C-unwind" fn serves(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number.
    unsafe {
        let conn = ConnId::from_number(ffi::lua_tonumber(state, 1));
        let serves = doorway(state).ask(|port| match (port, conn) {
            (Some(port), Some(conn)) => port.serves(conn),
            _ => false,
        });
        ffi::lua_pushboolean(state, (serves == Some(true)).into());
        1
    }
}

/// `stopping()`: does the server stop?
unsafe extern "C-unwind" fn stopping(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue.
    unsafe {
        let stopping = doorway(state).ask(|port| port.is_some_and(|port| port.is_stopping()));
        ffi::lua_pushboolean(state, (stopping == Some(true)).into());
        1
    }
}

/// `conns(change)`: so many more connection objects.
unsafe extern "C-unwind" fn conns(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number.
    unsafe {
        let change = ffi::lua_tointeger(state, 1);
        let doorway = doorway(state);
        doorway.conns = doorway.conns.saturating_add_signed(change as isize);
        0
    }
}

/// `owed(change)`: so many more fibers wait for what is sure to come from another thread.
unsafe extern "C-unwind" fn owed(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number.
    unsafe {
        let change = ffi::lua_tointeger(state, 1);
        let doorway = doorway(state);
        doorway.owed = doorway.owed.saturating_add_signed(change as isize);
        0
    }
}

/// `done(event, returned)`: the handler of an event that has waited has returned.
unsafe extern "C-unwind" fn done(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number.
    unsafe {
        let event = ffi::lua_tointeger(state, 1) as u32;
        doorway(state).notes.push(Note::Done { event, returned: returned(state, 2) });
        0
    }
}

/// `failed(event, message, traceback)`: it has failed.
unsafe extern "C-unwind" fn failed(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue, a number and two strings. Nothing here raises.
    unsafe {
        let event = ffi::lua_tointeger(state, 1) as u32;
        let note = Note::Failed { event, message: text(state, 2), traceback: text(state, 3) };
        doorway(state).notes.push(note);
        0
    }
}

/// `report(text)`: for the log.
unsafe extern "C-unwind" fn report(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a string. Nothing here raises.
    unsafe {
        let doorway = doorway(state);
        doorway.notes.push(Note::Report(text(state, 1)));
        // Notes are taken after a turn.
        doorway.stirred = true;
        0
    }
}

/// `init_done()`
unsafe extern "C-unwind" fn init_done(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue.
    unsafe { doorway(state) }.notes.push(Note::InitDone);
    0
}

/// `main_ended(ok, message, traceback)`
unsafe extern "C-unwind" fn main_ended(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue, a boolean and, if that is false, two strings. Nothing raises.
    unsafe {
        let result = match ffi::lua_toboolean(state, 1) {
            0 => Err((text(state, 2), text(state, 3))),
            _ => Ok(()),
        };
        doorway(state).notes.push(Note::MainEnded(result));
        0
    }
}

/// Bytes that handlers may send before the host looks whether the connection still reads.
const SENT: i32 = 64 * 1024;

/// `ws:send` for compiled code, which has checked the types. 0: it is done; -1: the port has panicked; else the number of
/// the reason in [`commands::SEND_REFUSALS`], from 1.
///
/// # Safety
/// `doorway` is the door of the state that calls, and `message` that many bytes.
pub(super) unsafe extern "C" fn send(
    doorway: *mut Doorway,
    conn: f64,
    opcode: f64,
    message: *const u8,
    size: i32,
) -> i32 {
    // SAFETY: as promised. Whoever has called Lua does not look into the door meanwhile.
    let (doorway, message) = unsafe { (&mut *doorway, std::slice::from_raw_parts(message, size as usize)) };
    let answer = doorway.ask(|port| commands::send(port, conn, opcode, message));
    // SAFETY: the control lives as long as the door, and the loop waits for us.
    let control = unsafe { doorway.control.as_mut() };
    control.sent = control.sent.saturating_add(size);
    if control.sent > SENT || answer != Some(Ok(())) {
        control.stop = 1;
    }
    match answer {
        Some(Ok(())) => 0,
        Some(Err(reason)) => {
            let number = commands::SEND_REFUSALS.iter().position(|refusal| *refusal == reason);
            number.map_or(-1, |number| number as i32 + 1)
        }
        None => -1,
    }
}

pub(super) const FAILED: &CStr = c"the server failed to carry out this command";

/// `ws:send(handler, opcode, message)`, `ws:send(handler, message)` where the message is a value
pub(super) unsafe extern "C-unwind" fn ws_send(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"ws:send";
    // SAFETY: Lua calls this with the door as upvalue. Only numbers and a borrowed slice are alive where it can raise;
    // the slice is on the stack as long as the call lasts.
    unsafe {
        check_self(state, c"ws:send must be called with a colon: ws:send(handler, opcode, message)");
        // What is missing is nil, as for the compiled form.
        ffi::lua_settop(state, 4);
        let conn = number(state, NAME, 1, c"handler");
        if let Some(value) = nljson::share(state, 3) {
            return answer_encoded(state, move |port, out| commands::send_value(port, conn, &value, out));
        }
        let opcode = number(state, NAME, 2, c"opcode");
        let message = string(state, NAME, 3, c"message");
        answer(state, |port| commands::send(port, conn, opcode, message))
    }
}

/// `ws:close(handler, code[, reason])`
pub(super) unsafe extern "C-unwind" fn ws_close(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"ws:close";
    // SAFETY: as in `ws_send`.
    unsafe {
        check_self(state, c"ws:close must be called with a colon: ws:close(handler, code[, reason])");
        let conn = number(state, NAME, 1, c"handler");
        let code = number(state, NAME, 2, c"code");
        let reason = match ffi::lua_isnoneornil(state, 4) {
            0 => string(state, NAME, 3, c"reason"),
            _ => &[],
        };
        let answered = answer(state, |port| commands::close(port, conn, code, reason));
        note_closed(state, answered, conn);
        answered
    }
}

/// Remembers, where events wait, that the service has closed a connection.
///
/// # Safety
/// Called from a function that has the door as upvalue, with the state it was given.
pub(super) unsafe fn note_closed(state: *mut lua_State, answered: c_int, conn: f64) {
    // SAFETY: as promised.
    let doorway = unsafe { doorway(state) };
    if answered == 1
        && doorway.notes_closed
        && let Some(conn) = ConnId::from_number(conn)
    {
        doorway.closed.push(conn);
    }
}

/// Runs `command` with the port, if there is one now, and pushes `true` or `false, message`.
///
/// # Safety
/// Called from a function that has the door as upvalue, with the state it was given; `command` owns nothing.
pub(super) unsafe fn answer(
    state: *mut lua_State,
    command: impl FnOnce(Option<&mut dyn Port>) -> Result<(), &'static str>,
) -> c_int {
    // SAFETY: as promised. The result is plain data by the time anything can raise.
    unsafe {
        let doorway = doorway(state);
        doorway.interrupt();
        let answer = doorway.ask(command);
        in_words(state, answer)
    }
}

/// The same for a command with a value, which is encoded into the buffer that it gets.
///
/// # Safety
/// As [`answer`], but that `command` may own things.
pub(super) unsafe fn answer_encoded(
    state: *mut lua_State,
    command: impl FnOnce(Option<&mut dyn Port>, &mut Vec<u8>) -> Result<(), &'static str>,
) -> c_int {
    // SAFETY: as in `answer`; the command is gone, too, by the time anything can raise.
    unsafe {
        let doorway = doorway(state);
        doorway.interrupt();
        let answer = doorway.ask_with_scratch(command);
        in_words(state, answer)
    }
}

/// Pushes what a command was answered.
///
/// # Safety
/// Called where an error may be raised.
unsafe fn in_words(state: *mut lua_State, answer: Option<Result<(), &'static str>>) -> c_int {
    // SAFETY: as promised.
    unsafe {
        match answer {
            Some(Ok(())) => {
                ffi::lua_pushboolean(state, 1);
                1
            }
            Some(Err(message)) => {
                ffi::lua_pushboolean(state, 0);
                ffi::lua_pushlstring_(state, message.as_ptr().cast::<c_char>(), message.len());
                2
            }
            None => raise(state, FAILED),
        }
    }
}

/// The methods' first argument is the table `ws`, which is forgotten where a dot stands for the colon.
///
/// # Safety
/// Called where an error may be raised.
pub(super) unsafe fn check_self(state: *mut lua_State, complaint: &'static CStr) {
    // SAFETY: as promised.
    unsafe {
        if ffi::lua_type(state, 1) != ffi::LUA_TTABLE {
            raise(state, complaint);
        }
    }
}

/// Argument `index` (without `self`) as a number; a numeric string is none.
///
/// # Safety
/// Called where an error may be raised.
pub(super) unsafe fn number(
    state: *mut lua_State,
    function: &'static CStr,
    index: c_int,
    name: &'static CStr,
) -> f64 {
    // SAFETY: as promised.
    unsafe {
        if ffi::lua_type(state, index + 1) != ffi::LUA_TNUMBER {
            wrong_type(state, function, index, name, c"number");
        }
        ffi::lua_tonumber(state, index + 1)
    }
}

/// Argument `index` (without `self`) as a string; a number is turned into one, as Lua's own functions do.
///
/// # Safety
/// Called where an error may be raised; the bytes are used only until the function returns to Lua.
pub(super) unsafe fn string<'a>(
    state: *mut lua_State,
    function: &'static CStr,
    index: c_int,
    name: &'static CStr,
) -> &'a [u8] {
    // SAFETY: as promised.
    unsafe {
        if ffi::lua_isstring(state, index + 1) == 0 {
            wrong_type(state, function, index, name, c"string");
        }
        bytes(state, index + 1)
    }
}

/// # Safety
/// Called where an error may be raised.
pub(super) unsafe fn wrong_type(
    state: *mut lua_State,
    function: &'static CStr,
    index: c_int,
    name: &'static CStr,
    expected: &'static CStr,
) -> ! {
    // SAFETY: as promised; the formats take what they are given.
    unsafe {
        let given = ffi::luaL_typename(state, index + 1);
        ffi::luaL_where(state, 1);
        ffi::lua_pushfstring(
            state,
            c"%s: argument %d (%s) must be a %s, got %s".as_ptr(),
            function.as_ptr(),
            index,
            name.as_ptr(),
            expected.as_ptr(),
            given,
        );
        ffi::lua_concat(state, 2);
        ffi::lua_error(state)
    }
}

/// # Safety
/// Called where an error may be raised.
pub(super) unsafe fn raise(state: *mut lua_State, message: &'static CStr) -> ! {
    // SAFETY: as promised.
    unsafe {
        ffi::luaL_where(state, 1);
        ffi::lua_pushstring_(state, message.as_ptr());
        ffi::lua_concat(state, 2);
        ffi::lua_error(state)
    }
}
