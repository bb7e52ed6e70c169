//! The message path: LuaJIT called directly through its C API.
//!
//! Three rules keep it sound.
//! - A Lua error unwinds without running destructors. So every call that can raise stands in a function that Lua calls
//!   under `lua_pcall`, and no value with a destructor is alive there while it can raise.
//! - A Rust panic must not reach Lua's frames. So code behind the door runs under `catch_unwind`; the panic is kept in
//!   the door, becomes a Lua error, and is reported after the event even if the service caught that error.
//! - A [`Port`] is borrowed for one event. So its address stands in the door only while that event is handled.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::{mem, slice, str};

use mlua::ffi::{self, lua_State};
use mlua::{Function, Lua, Table};

use crate::commands;
use crate::error::FailureKind;
use crate::pace::Pace;
use crate::port::{ConnId, Port};

/// Makes a Lua state with all standard libraries, `ffi`, `debug` and the loading of C modules among them.
pub(crate) fn new_state() -> Lua {
    // SAFETY: what is unsafe about it is what a service may then do. Services are the operator's own code and have the
    // rights of the process, as in the original; clients cannot bring code.
    unsafe { Lua::unsafe_new() }
}

/// The place where Lua's side finds what it may reach of the world: a [`Port`] while an event is handled, else nothing.
///
/// It must live longer than the Lua state whose functions know its address.
pub(crate) struct Door(NonNull<Doorway>);

struct Doorway {
    /// `Some` only during [`Instance::call`].
    port: Option<NonNull<dyn Port>>,
    /// What the handler being called gets; empty outside of [`Instance::call`].
    args: Args<'static>,
    /// Text of a panic in the port since the event began.
    panic: Option<String>,
    /// Who had called whom when the last error was raised.
    traceback: String,
}

/// What a handler is called with.
#[derive(Clone, Copy)]
pub(crate) enum Args<'a> {
    /// `()`
    None,
    /// `(handler)`
    Conn(ConnId),
    /// `(handler, opcode, message)`
    Message(ConnId, u8, &'a [u8]),
}

impl Door {
    pub(crate) fn new() -> Door {
        let doorway = Doorway { port: None, args: Args::None, panic: None, traceback: String::new() };
        Door(NonNull::from(Box::leak(Box::new(doorway))))
    }

    /// The function `ws:send`.
    pub(crate) fn ws_send(&self, lua: &Lua) -> mlua::Result<Function> {
        self.function(lua, ws_send)
    }

    /// The function `ws:close`.
    pub(crate) fn ws_close(&self, lua: &Lua) -> mlua::Result<Function> {
        self.function(lua, ws_close)
    }

    /// A Lua function that finds this door in its first upvalue.
    fn function(&self, lua: &Lua, function: ffi::lua_CFunction) -> mlua::Result<Function> {
        let doorway = self.0.as_ptr();
        // SAFETY: runs protected, captures nothing that has a destructor, and leaves one function on the stack.
        unsafe {
            lua.exec_raw((), |state| {
                ffi::lua_pushlightuserdata(state, doorway.cast());
                ffi::lua_pushcclosure(state, function, 1);
            })
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // SAFETY: made from a box in `new` and freed only here. The Lua state is closed by now: see `Instance`.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The four functions of a reactive service.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    Start,
    Message,
    Disconnect,
    Shutdown,
}

impl Handler {
    /// In the order of their places on the Lua stack.
    pub(crate) const ALL: [Handler; 4] =
        [Handler::Start, Handler::Message, Handler::Disconnect, Handler::Shutdown];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Handler::Start => "onStart",
            Handler::Message => "onMessage",
            Handler::Disconnect => "onDisconnect",
            Handler::Shutdown => "onShutdown",
        }
    }
}

/// What a handler returned first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    True,
    /// The name of its type, or "false".
    Other(&'static str),
}

/// A loaded service, ready to be called.
pub(crate) struct Instance {
    /// Closed before the door goes: finalizers may still call the functions that know it. (Fields drop in order.)
    lua: Lua,
    door: Door,
    /// The main thread of `lua`.
    state: *mut lua_State,
    /// Stack index of the traceback function; the callers of [`Handler::ALL`] follow.
    base: c_int,
    /// Bytes, 0 = none.
    memory_limit: usize,
    /// From how many KiB on the heap is near the limit.
    crowded: c_int,
    pace: Pace,
}

impl Instance {
    /// Prepares the calls of `service`'s handlers. `memory_limit` in bytes, 0 = none.
    pub(crate) fn new(lua: Lua, door: Door, service: &Table, memory_limit: usize) -> mlua::Result<Instance> {
        let doorway = door.0.as_ptr();
        let mut refs = [0; 1 + Handler::ALL.len()];
        let mut state = std::ptr::null_mut();
        let traceback = door.function(&lua, traceback)?;
        // SAFETY: both closures run protected, capture nothing that has a destructor, and leave nothing on the stack.
        // No callback is running, so the state that they get is the main thread.
        unsafe {
            lua.exec_raw::<()>(traceback, |main| {
                state = main;
                refs[0] = ffi::luaL_ref(main, ffi::LUA_REGISTRYINDEX);
            })?;
            for (handler, place) in Handler::ALL.iter().zip(&mut refs[1..]) {
                lua.exec_raw::<()>((service, handler.name()), |main| {
                    ffi::lua_pushlightuserdata(main, doorway.cast());
                    ffi::lua_insert(main, 1);
                    ffi::lua_pushcclosure(main, call_handler, 3);
                    *place = ffi::luaL_ref(main, ffi::LUA_REGISTRYINDEX);
                })?;
            }
        }
        // SAFETY: the main thread was just given to us and lives as long as `lua`. `lua_checkstack` does not raise;
        // with room made, neither do the others. mlua leaves alone what lies below the top that it finds.
        let base = unsafe {
            if ffi::lua_checkstack(state, ffi::LUA_MINSTACK) == 0 {
                return Err(mlua::Error::StackError);
            }
            for reference in refs {
                ffi::lua_rawgeti_(state, ffi::LUA_REGISTRYINDEX, reference);
            }
            ffi::lua_gettop(state) - Handler::ALL.len() as c_int
        };
        let crowded = match memory_limit {
            0 => c_int::MAX,
            bytes => c_int::try_from(bytes / 1024 / 8 * 5).unwrap_or(c_int::MAX),
        };
        Ok(Instance { lua, door, state, base, memory_limit, crowded, pace: Pace::Normal })
    }

    /// Calls one handler of the service; it may use `port` until it returns.
    pub(crate) fn call(
        &mut self,
        port: &mut dyn Port,
        handler: Handler,
        args: Args<'_>,
    ) -> Result<Returned, FailureKind> {
        let doorway = self.door.0.as_ptr();
        // SAFETY: these extend two borrows in the type only. Both are taken away again below, after the only code that
        // uses them, and that code cannot unwind past `lua_pcall`.
        let (port, args) = unsafe {
            (
                mem::transmute::<NonNull<dyn Port + '_>, NonNull<dyn Port>>(NonNull::from(port)),
                mem::transmute::<Args<'_>, Args<'static>>(args),
            )
        };
        // SAFETY: the door and the state live as long as `self`. `lua_pushvalue` does not raise (there is room on the
        // stack, and it is as high as before at the end), `lua_pcall` catches what is raised inside.
        unsafe {
            (*doorway).port = Some(port);
            (*doorway).args = args;
            ffi::lua_pushvalue(self.state, self.base + 1 + handler as c_int);
            let status = ffi::lua_pcall(self.state, 0, 1, self.base);
            (*doorway).port = None;
            (*doorway).args = Args::None;
            let outcome = if status == ffi::LUA_OK && (*doorway).panic.is_none() {
                Ok(returned(self.state, -1))
            } else {
                Err(self.failure(status))
            };
            ffi::lua_settop(self.state, self.base + Handler::ALL.len() as c_int);
            self.pace_collector();
            outcome
        }
    }

    /// Why the call failed whose status or error value is this.
    ///
    /// # Safety
    /// The value that `lua_pcall` has left is on top of the stack.
    #[cold]
    unsafe fn failure(&mut self, status: c_int) -> FailureKind {
        let doorway = self.door.0.as_ptr();
        // SAFETY: the door lives as long as `self`, the value is as promised.
        let (panic, message, traceback) =
            unsafe { ((*doorway).panic.take(), text(self.state, -1), mem::take(&mut (*doorway).traceback)) };
        if status == ffi::LUA_ERRMEM {
            // LuaJIT has not collected the garbage before it gave up. This can itself only fail for want of memory,
            // and then the next event fails likewise.
            let _ = self.lua.gc_collect();
        }
        match (panic, status) {
            (Some(message), _) => FailureKind::Panicked { message },
            (None, ffi::LUA_ERRMEM) => FailureKind::Memory { limit: self.memory_limit },
            (None, _) => FailureKind::Raised { message, traceback },
        }
    }

    /// Paces the collector, which by itself starts when the heap has doubled.
    ///
    /// A small heap may grow to more than that, because marking it again and again would cost more than the messages.
    /// A crowded one is collected without a pause: LuaJIT does not collect when it meets the limit, it raises "not
    /// enough memory".
    fn pace_collector(&mut self) {
        // SAFETY: neither counting nor setting the collector's threshold and pace can raise.
        unsafe {
            let used = ffi::lua_gc(self.state, ffi::LUA_GCCOUNT, 0);
            let pace = self.pace.next(used, self.crowded);
            if pace != self.pace {
                ffi::lua_gc(self.state, ffi::LUA_GCSETPAUSE, pace.pause());
                ffi::lua_gc(self.state, ffi::LUA_GCSETSTEPMUL, pace.speed());
            }
            if pace > self.pace || pace == Pace::Crowded {
                ffi::lua_gc(self.state, ffi::LUA_GCRESTART, 0);
            }
            self.pace = pace;
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

/// The value at `index`, as far as the contract of `onMessage` is concerned.
///
/// # Safety
/// `index` is valid in `state`.
unsafe fn returned(state: *mut lua_State, index: c_int) -> Returned {
    // SAFETY: as promised; none of these raises.
    let (kind, is_true) = unsafe { (ffi::lua_type(state, index), ffi::lua_toboolean(state, index) != 0) };
    match kind {
        ffi::LUA_TBOOLEAN if is_true => Returned::True,
        ffi::LUA_TBOOLEAN => Returned::Other("false"),
        ffi::LUA_TNIL => Returned::Other("nil"),
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
/// `index` is valid in `state`.
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

/// The door behind a function made by [`Door::function`] or [`Instance::new`].
///
/// # Safety
/// Called from such a function, with the state it was given.
unsafe fn doorway(state: *mut lua_State) -> *mut Doorway {
    // SAFETY: the first upvalue of those functions is the door's address.
    unsafe { ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast() }
}

/// Looks the handler up in the service's table and calls it with the arguments that lie in the door.
///
/// The look-up is done anew each time, so that a service may exchange its handlers while it runs.
/// Upvalues: door, service table, the handler's name.
unsafe extern "C-unwind" fn call_handler(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this under the `lua_pcall` of `Instance::call`, where the door has been filled and the payload
    // is borrowed. Nothing here has a destructor. A C function has room for 20 values.
    unsafe {
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(3));
        ffi::lua_gettable_(state, ffi::lua_upvalueindex(2));
        let count = match (*doorway(state)).args {
            Args::None => 0,
            Args::Conn(conn) => {
                ffi::lua_pushnumber(state, conn.as_number());
                1
            }
            Args::Message(conn, opcode, payload) => {
                ffi::lua_pushnumber(state, conn.as_number());
                ffi::lua_pushinteger(state, opcode.into());
                ffi::lua_pushlstring_(state, payload.as_ptr().cast::<c_char>(), payload.len());
                3
            }
        };
        ffi::lua_call(state, count, 1);
        1
    }
}

/// The error function of every call: keeps the traceback in the door and leaves the error's text.
unsafe extern "C-unwind" fn traceback(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the error object on the stack and room for 20 values. The `String` is made between
    // calls that can raise, and given away before the next one.
    unsafe {
        let doorway = doorway(state);
        (*doorway).traceback.clear();
        ffi::lua_settop(state, 1);
        ffi::luaL_traceback(state, state, std::ptr::null(), 1);
        (*doorway).traceback = without_ourselves(text(state, 2));
        ffi::lua_settop(state, 1);
        match ffi::lua_type(state, 1) {
            ffi::LUA_TSTRING => {}
            ffi::LUA_TNUMBER => {
                ffi::lua_tolstring(state, 1, std::ptr::null_mut());
            }
            _ => {
                let described = ffi::luaL_callmeta(state, 1, c"__tostring".as_ptr()) != 0
                    && ffi::lua_type(state, -1) == ffi::LUA_TSTRING;
                if !described {
                    ffi::lua_pushfstring(
                        state,
                        c"the error value is a %s, not a text".as_ptr(),
                        ffi::luaL_typename(state, 1),
                    );
                }
            }
        }
        1
    }
}

/// The last line of a traceback is `call_handler`, which tells nobody anything.
fn without_ourselves(mut traceback: String) -> String {
    if traceback.ends_with("\n\t[C]: in ?") {
        traceback.truncate(traceback.rfind('\n').unwrap_or(0));
    }
    traceback
}

/// `ws:send(handler, opcode, message)`
unsafe extern "C-unwind" fn ws_send(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"ws:send";
    // SAFETY: Lua calls this with the door as upvalue. Only numbers and a borrowed slice are alive where it can raise;
    // the slice is on the stack as long as the call lasts.
    unsafe {
        check_self(state, c"ws:send must be called with a colon: ws:send(handler, opcode, message)");
        let conn = number(state, NAME, 1, c"handler");
        let opcode = number(state, NAME, 2, c"opcode");
        let message = string(state, NAME, 3, c"message");
        answer(state, |port| commands::send(port, conn, opcode, message))
    }
}

/// `ws:close(handler, code[, reason])`
unsafe extern "C-unwind" fn ws_close(state: *mut lua_State) -> c_int {
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
        answer(state, |port| commands::close(port, conn, code, reason))
    }
}

/// Runs `command` with the port, if there is one now, and pushes `true` or `false, message`.
///
/// # Safety
/// Called from a function that has the door as upvalue, with the state it was given; `command` owns nothing.
unsafe fn answer(
    state: *mut lua_State,
    command: impl FnOnce(Option<&mut dyn Port>) -> Result<(), &'static str>,
) -> c_int {
    // SAFETY: the port's address is in the door only while `Instance::call` has it borrowed, and a port does not call
    // back into Lua, so this is its only use. The result is plain data by the time anything can raise.
    unsafe {
        let doorway = doorway(state);
        match carry_out(&mut *doorway, command) {
            Some(Ok(())) => {
                ffi::lua_pushboolean(state, 1);
                1
            }
            Some(Err(message)) => {
                ffi::lua_pushboolean(state, 0);
                ffi::lua_pushlstring_(state, message.as_ptr().cast::<c_char>(), message.len());
                2
            }
            None => raise(state, c"the server failed to carry out this command"),
        }
    }
}

/// `None`: the port has panicked, now or earlier in this event.
fn carry_out(
    doorway: &mut Doorway,
    command: impl FnOnce(Option<&mut dyn Port>) -> Result<(), &'static str>,
) -> Option<Result<(), &'static str>> {
    if doorway.panic.is_some() {
        return None;
    }
    // SAFETY: see `answer`, the only caller.
    let port = doorway.port.map(|mut port| unsafe { port.as_mut() });
    match catch_unwind(AssertUnwindSafe(|| command(port))) {
        Ok(result) => Some(result),
        Err(panic) => {
            doorway.panic = Some(panic_text(&*panic));
            None
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no text".to_owned()
    }
}

/// The methods' first argument is the table `ws`, which is forgotten where a dot stands for the colon.
///
/// # Safety
/// Called where an error may be raised.
unsafe fn check_self(state: *mut lua_State, complaint: &'static CStr) {
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
unsafe fn number(state: *mut lua_State, function: &'static CStr, index: c_int, name: &'static CStr) -> f64 {
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
unsafe fn string<'a>(
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
unsafe fn wrong_type(
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
unsafe fn raise(state: *mut lua_State, message: &'static CStr) -> ! {
    // SAFETY: as promised.
    unsafe {
        ffi::luaL_where(state, 1);
        ffi::lua_pushstring_(state, message.as_ptr());
        ffi::lua_concat(state, 2);
        ffi::lua_error(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_line_goes_from_a_traceback() {
        let cut = |text: &str| without_ourselves(text.to_owned());
        assert_eq!(cut("stack traceback:\n\ta\n\t[C]: in ?"), "stack traceback:\n\ta");
        assert_eq!(cut("stack traceback:\n\t[C]: in ?\n\tb"), "stack traceback:\n\t[C]: in ?\n\tb");
        assert_eq!(cut(""), "");
    }
}
