//! `mqr` behind the check of types: queues as Lua objects, and values on their way into and out of them.
//!
//! What has left a queue and is not in Lua yet lies in the door's *hands*: making a Lua value of it may raise, and then it is
//! put back where it came from. It may also run finalizers, which may receive something themselves meanwhile.

use std::collections::LinkedList;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::Arc;

use mlua::ffi::{self, lua_State};
use mlua::{Lua, Table};

use super::functions::doorway;
use super::{Door, bytes, nljson};
use crate::queue::{Message, Parcel, Queue};

/// By name.
const FUNCTIONS: &[(&str, ffi::lua_CFunction)] = &[
    ("open", open),
    ("name", name),
    ("post", post),
    ("take", take),
    ("listen", listen),
    ("settle", settle),
    ("withdraw", withdraw),
];

/// The name in the registry under which the metatable of queues is found.
const CLASS: &CStr = c"lapps.mqr";

/// Values that have left their queues: the last is the innermost. They do not move in there.
#[derive(Default)]
pub(super) struct Hands(LinkedList<(Arc<Queue>, Message)>);

/// What a queue is in Lua; `None` after its finalizer.
type Handle = Option<Arc<Queue>>;

impl Hands {
    /// Puts back all that could not be used. Not to be called while Lua runs.
    pub(super) fn clear(&mut self) {
        self.shorten(0);
    }

    fn shorten(&mut self, len: usize) {
        while self.0.len() > len
            && let Some((queue, message)) = self.0.pop_back()
        {
            queue.give_back(message);
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Door {
    /// What the module `mqr` is made of, with the metatable of queues.
    pub(crate) fn mqr(&self, lua: &Lua) -> mlua::Result<Table> {
        let functions = self.functions(lua, FUNCTIONS)?;
        functions.set("class", class(lua)?)?;
        Ok(functions)
    }
}

/// Makes the metatable of queues.
fn class(lua: &Lua) -> mlua::Result<Table> {
    // SAFETY: runs protected, captures nothing, and leaves one table on the stack.
    unsafe {
        lua.exec_raw((), |state| {
            ffi::luaL_newmetatable(state, CLASS.as_ptr());
            ffi::lua_pushcclosure(state, collect, 0);
            ffi::lua_setfield(state, -2, c"__gc".as_ptr());
        })
    }
}

/// The queue at `index`.
///
/// # Safety
/// It is an object with our metatable, which Lua's side has looked at, and stays on the stack as long as the result is used.
unsafe fn queue<'a>(state: *mut lua_State, index: c_int) -> Option<&'a Arc<Queue>> {
    // SAFETY: as promised; `open` has initialised it before it got the metatable.
    unsafe { ffi::lua_touserdata(state, index).cast::<Handle>().as_ref()?.as_ref() }
}

/// `open(name)`: the queue of this name, nil if there is no room for another.
unsafe extern "C-unwind" fn open(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a string. The object is complete before its finalizer can see it,
    // and nothing raises after it has got the queue.
    unsafe {
        let name = bytes(state, 1);
        let handle = ffi::lua_newuserdata(state, size_of::<Handle>()).cast::<Handle>();
        ptr::write(handle, None);
        ffi::lua_getfield(state, ffi::LUA_REGISTRYINDEX, CLASS.as_ptr());
        ffi::lua_setmetatable(state, -2);
        *handle = doorway(state).queues.open(name);
        (*handle).is_some().into()
    }
}

/// The finalizer of a queue.
unsafe extern "C-unwind" fn collect(state: *mut lua_State) -> c_int {
    // SAFETY: called by the collector with an object that `open` has made.
    unsafe {
        if let Some(handle) = ffi::lua_touserdata(state, 1).cast::<Handle>().as_mut() {
            *handle = None;
        }
    }
    0
}

/// `name(queue)`
unsafe extern "C-unwind" fn name(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with a queue, which keeps its name alive.
    unsafe {
        let name = queue(state, 1).map_or(&b""[..], |queue| queue.name());
        ffi::lua_pushlstring_(state, name.as_ptr().cast::<c_char>(), name.len());
    }
    1
}

/// `post(queue, value)`: true, false if the queue is full, nil if such a value cannot be sent.
unsafe extern "C-unwind" fn post(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with a queue and any value. Nothing raises while the value is on its way.
    unsafe {
        let Some(queue) = queue(state, 1) else { return 0 };
        let parcel = match ffi::lua_type(state, 2) {
            ffi::LUA_TBOOLEAN => Parcel::Boolean(ffi::lua_toboolean(state, 2) != 0),
            ffi::LUA_TNUMBER => Parcel::Number(ffi::lua_tonumber(state, 2)),
            ffi::LUA_TSTRING => Parcel::Text(bytes(state, 2).into()),
            _ => match nljson::share(state, 2) {
                Some(value) => value.into(),
                None => return 0,
            },
        };
        ffi::lua_pushboolean(state, queue.post(parcel).into());
    }
    1
}

/// `take(queue)`: the oldest value, nil if there is none.
unsafe extern "C-unwind" fn take(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a queue.
    unsafe {
        let Some(queue) = queue(state, 1) else { return 0 };
        match queue.take() {
            Some(message) => give(state, Arc::clone(queue), message),
            None => 0,
        }
    }
}

/// `listen(queue, ticket)`: stands in line. False: there is something to take already.
unsafe extern "C-unwind" fn listen(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue, a queue and a number. Pushing a boolean does not raise.
    unsafe {
        let doorway = doorway(state);
        let ticket = ffi::lua_tonumber(state, 2) as u64;
        let wait = queue(state, 1).and_then(|queue| queue.wait(&doorway.bell, ticket));
        let waits = wait.is_some();
        if let Some(wait) = wait {
            doorway.waits.insert(ticket, wait);
        }
        ffi::lua_pushboolean(state, waits.into());
    }
    1
}

/// `settle(ticket)`: ends the wait. The value that has come, nil if none has.
unsafe extern "C-unwind" fn settle(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number.
    unsafe {
        let doorway = doorway(state);
        let wait = doorway.waits.remove(&(ffi::lua_tonumber(state, 1) as u64));
        match wait.and_then(|wait| wait.settle()) {
            Some((queue, message)) => give(state, queue, message),
            None => 0,
        }
    }
}

/// `withdraw(ticket)`: ends the wait. What has come goes back.
unsafe extern "C-unwind" fn withdraw(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the door as upvalue and a number. Nothing here raises.
    unsafe { doorway(state).waits.remove(&(ffi::lua_tonumber(state, 1) as u64)) };
    0
}

/// Pushes a value that has left its queue.
///
/// # Safety
/// Called with the door as upvalue by a function that returns what this does, and owns nothing else.
unsafe fn give(state: *mut lua_State, queue: Arc<Queue>, message: Message) -> c_int {
    // SAFETY: as promised. Where it may raise, or run others who come through here, the door has the value, which does not
    // move there; nothing is borrowed from the door itself.
    unsafe {
        let hands = &raw mut doorway(state).hands;
        (*hands).0.push_back((queue, message));
        let depth = (*hands).0.len();
        let Some((_, message)) = (*hands).0.back_mut() else { return 0 };
        match &mut message.parcel {
            Parcel::Boolean(value) => ffi::lua_pushboolean(state, (*value).into()),
            Parcel::Number(value) => ffi::lua_pushnumber(state, *value),
            Parcel::Text(text) => {
                let (start, len) = (text.as_ptr(), text.len());
                ffi::lua_pushlstring_(state, start.cast::<c_char>(), len);
            }
            Parcel::Value { value, given } => {
                *given = Some(value.clone());
                nljson::push(state, given);
            }
        }
        // Those of finalizers that have raised.
        (*hands).shorten(depth);
        if let Some((queue, message)) = (*hands).0.pop_back() {
            queue.forget(message);
        }
    }
    1
}
