//! Members of values: read, written, counted, walked through.

use std::ffi::{CStr, c_int};

use lapps_parser::value::{Limits, NodeId, Tree, Value};
use mlua::ffi::{self, lua_State};

use super::convert::{Intake, is_list};
use super::message::{self, Trouble, type_name};
use super::{Handle, Out, account, guarded, handle, memory, push_out, push_text};
use crate::raw::bytes;

const NAME: &CStr = c"nljson";

/// What stands between the brackets.
#[derive(Clone, Copy)]
enum Key<'a> {
    Text(&'a [u8]),
    /// As Lua counts.
    Number(f64),
    Other(&'static str),
}

impl<'a> Key<'a> {
    /// # Safety
    /// `index` is valid in `state`; the bytes are used only while it is there.
    unsafe fn at(state: *mut lua_State, index: c_int) -> Key<'a> {
        // SAFETY: as promised; a string is not converted.
        unsafe {
            match ffi::lua_type(state, index) {
                ffi::LUA_TSTRING => Key::Text(bytes(state, index)),
                ffi::LUA_TNUMBER => Key::Number(ffi::lua_tonumber(state, index)),
                _ => Key::Other(type_name(state, index)),
            }
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Key::Text(_) => "string",
            Key::Number(_) => "number",
            Key::Other(kind) => kind,
        }
    }
}

/// The index from 0 that Lua's `number` means.
fn place(number: f64) -> Option<usize> {
    let is_index = (1.0..=4_294_967_296.0).contains(&number) && number.trunc() == number;
    is_index.then(|| number as usize - 1)
}

/// Why there is no such member, and never will be.
fn mismatch(kind: &str, key: Key<'_>) -> Trouble {
    let given = key.kind();
    match kind {
        "array" => Trouble::wrong(format_args!("the index of an array must be a number, got a {given}")),
        "object" => Trouble::wrong(format_args!("the key of an object must be a string, got a {given}")),
        kind => Trouble::wrong(format_args!("a {kind} has no members")),
    }
}

fn member(tree: &Tree, node: NodeId, key: Key<'_>) -> Result<Out, Trouble> {
    let value = tree.value(node);
    let found = match (value, key) {
        (Value::Object(_), Key::Text(key)) => tree.get(node, key),
        (Value::Array(_), Key::Number(number)) => place(number).and_then(|index| tree.at(node, index)),
        (Value::Null, _) => None,
        _ => return Err(mismatch(value.kind(), key)),
    };
    Ok(found.map_or(Out::Nil, Out::from))
}

/// `value[key]`
pub(super) unsafe extern "C-unwind" fn index(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with door and metatable as upvalues. Nothing with a destructor is alive where it can raise.
    unsafe {
        let Some(value) = handle(state, 1) else {
            message::wrong_type(state, NAME, 1, "value", "an nljson value");
        };
        let key = Key::at(state, 2);
        match guarded(state, || value.read(|tree| member(tree, value.node, key))) {
            Ok(out) => push_out(state, value, out),
            Err(trouble) => trouble.raise(state, NAME),
        }
        1
    }
}

/// `value[key] = member`
pub(super) unsafe extern "C-unwind" fn newindex(state: *mut lua_State) -> c_int {
    // SAFETY: as for `index`.
    unsafe {
        let Some(value) = handle(state, 1) else {
            message::wrong_type(state, NAME, 1, "value", "an nljson value");
        };
        let key = Key::at(state, 2);
        let account = account(state);
        memory::attempt(
            state,
            || {
                let room = memory::room(state, &*account);
                let result = guarded(state, || {
                    value.change(|tree| {
                        let intake = Intake {
                            state,
                            limits: Limits { bytes: tree.bytes().saturating_add(room), ..Limits::default() },
                            own: Some(value),
                        };
                        match set(&intake, tree, value.node, key) {
                            Ok(taken_out) => (Ok(()), taken_out),
                            Err(trouble) => (Err(trouble), None),
                        }
                    })
                });
                ffi::lua_settop(state, 3);
                result
            },
            NAME,
        );
        memory::settle(state, &*account);
        0
    }
}

/// Sets a member to the value at stack index 3. Returns what was there.
///
/// # Safety
/// As for [`Intake::value`].
unsafe fn set(
    intake: &Intake<'_>,
    tree: &mut Tree,
    node: NodeId,
    key: Key<'_>,
) -> Result<Option<NodeId>, Trouble> {
    let there = tree.value(node);
    let kind = there.kind();
    let place = match (there, key) {
        (Value::Object(_) | Value::Null, Key::Text(_)) => None,
        (Value::Array(_), Key::Text(_)) if tree.len(node) == 0 => None,
        (Value::Array(_) | Value::Null, Key::Number(number)) => {
            let Some(place) = place(number) else {
                let wrong = "the index of an array must be a whole number from 1 to 2^32";
                return Err(Trouble::wrong(format_args!("{wrong}, got {number}")));
            };
            // What would be filled up with null; members have 16 bytes.
            let missing = place.saturating_sub(tree.len(node));
            if tree.bytes().saturating_add(missing.saturating_mul(16)) > intake.limits.bytes {
                return Err(Trouble::NoMemory);
            }
            Some(place)
        }
        _ => return Err(mismatch(kind, key)),
    };
    if tree.bytes() + tree.growth(node) > intake.limits.bytes {
        return Err(Trouble::NoMemory);
    }
    // SAFETY: as promised.
    let value = unsafe { intake.value(tree, 3, Limits::DEPTH)? };
    let set = match (place, key) {
        (Some(place), _) => tree.set_at(node, place, value),
        (None, Key::Text(key)) => tree.set_key(node, key, value),
        _ => return Err(mismatch(kind, key)),
    };
    set.map_err(|_| mismatch(kind, key))
}

/// `#value`
pub(super) unsafe extern "C-unwind" fn len(state: *mut lua_State) -> c_int {
    // SAFETY: as for `index`.
    unsafe {
        let Some(value) = handle(state, 1) else {
            message::wrong_type(state, NAME, 1, "value", "an nljson value");
        };
        let len = guarded(state, || {
            value.read(|tree| match tree.value(value.node) {
                Value::Array(node) | Value::Object(node) => Ok(tree.len(node)),
                Value::Null => Ok(0),
                other => Err(mismatch(other.kind(), Key::Other("number"))),
            })
        });
        match len {
            Ok(len) => ffi::lua_pushnumber(state, len as f64),
            Err(trouble) => trouble.raise(state, NAME),
        }
        1
    }
}

/// `value == other`
pub(super) unsafe extern "C-unwind" fn eq(state: *mut lua_State) -> c_int {
    // SAFETY: as for `index`.
    unsafe {
        let is_equal = match (handle(state, 1), handle(state, 2)) {
            (Some(a), Some(b)) if a.document == b.document && a.node == b.node => true,
            (Some(a), Some(b)) => {
                guarded(state, || a.read(|tree| b.read(|other| tree.is_same(a.node, other, b.node))))
            }
            _ => false,
        };
        ffi::lua_pushboolean(state, is_equal.into());
        1
    }
}

/// `typename(value)`
pub(super) unsafe extern "C-unwind" fn typename(state: *mut lua_State) -> c_int {
    // SAFETY: as for `index`.
    unsafe {
        let kind = match (handle(state, 1), ffi::lua_type(state, 1)) {
            (Some(value), _) => guarded(state, || value.read(|tree| tree.value(value.node).kind())),
            (None, ffi::LUA_TNIL) => "null",
            (None, ffi::LUA_TBOOLEAN) => "boolean",
            (None, ffi::LUA_TNUMBER) => "number",
            (None, ffi::LUA_TSTRING) => "string",
            (None, ffi::LUA_TTABLE) => {
                if is_list(state, 1, ffi::lua_objlen(state, 1)) {
                    "array"
                } else {
                    "object"
                }
            }
            _ => message::wrong_type(state, c"nljson.typename", 1, "value", "a value"),
        };
        ffi::lua_pushlstring_(state, kind.as_ptr().cast(), kind.len());
        1
    }
}

/// `empty(value)`
pub(super) unsafe extern "C-unwind" fn empty(state: *mut lua_State) -> c_int {
    // SAFETY: as for `index`; `lua_next` gets nil.
    unsafe {
        let is_empty = match (handle(state, 1), ffi::lua_type(state, 1)) {
            (Some(value), _) => guarded(state, || {
                value.read(|tree| match tree.value(value.node) {
                    Value::Array(node) | Value::Object(node) => tree.len(node) == 0,
                    other => matches!(other, Value::Null),
                })
            }),
            (None, ffi::LUA_TNIL) => true,
            (None, ffi::LUA_TBOOLEAN | ffi::LUA_TNUMBER | ffi::LUA_TSTRING) => false,
            (None, ffi::LUA_TTABLE) => {
                ffi::lua_pushnil(state);
                ffi::lua_next(state, 1) == 0
            }
            _ => message::wrong_type(state, c"nljson.empty", 1, "value", "a value"),
        };
        ffi::lua_pushboolean(state, is_empty.into());
        1
    }
}

/// `find(value, key)`: the member, or nil whatever the reason.
pub(super) unsafe extern "C-unwind" fn find(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"nljson.find";
    // SAFETY: as for `index`.
    unsafe {
        let (value, key) = value_and_key(state, NAME);
        match guarded(state, || value.read(|tree| member(tree, value.node, key))) {
            Ok(out) => push_out(state, value, out),
            Err(_) => ffi::lua_pushnil(state),
        }
        1
    }
}

/// `erase(value, key or index from 0)`: whether there was such a member.
pub(super) unsafe extern "C-unwind" fn erase(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"nljson.erase";
    // SAFETY: as for `index`.
    unsafe {
        let (value, key) = value_and_key(state, NAME);
        let node = value.node;
        let was_there: Result<bool, Trouble> = guarded(state, || {
            let is_there = value.read(|tree| match (tree.value(node), key) {
                (Value::Object(_), Key::Text(key)) => Ok(tree.get(node, key).is_some()),
                (Value::Array(_), Key::Number(number)) => {
                    Ok(place(number + 1.0).is_some_and(|index| index < tree.len(node)))
                }
                (there, key) => Err(mismatch(there.kind(), key)),
            })?;
            if is_there {
                value.change(|tree| {
                    let erased = match key {
                        Key::Text(key) => tree.erase_key(node, key),
                        Key::Number(number) => tree.erase_at(node, number as usize),
                        Key::Other(_) => None,
                    };
                    ((), erased.flatten())
                });
            }
            Ok(is_there)
        });
        match was_there {
            Ok(was_there) => ffi::lua_pushboolean(state, was_there.into()),
            Err(trouble) => trouble.raise(state, NAME),
        }
        1
    }
}

/// The first two arguments.
///
/// # Safety
/// As for [`handle`], and called where an error may be raised.
unsafe fn value_and_key<'a>(state: *mut lua_State, name: &CStr) -> (&'a Handle, Key<'a>) {
    // SAFETY: as promised.
    unsafe {
        let Some(value) = handle(state, 1) else {
            message::wrong_type(state, name, 1, "value", "an nljson value");
        };
        let key = Key::at(state, 2);
        if let Key::Other(_) = key {
            message::wrong_type(state, name, 2, "key", "a string or a number");
        }
        (value, key)
    }
}

/// `step(value, key or nil)`: the member after that one, as key and value; nil at the end. For `nljson.lua`.
pub(super) unsafe extern "C-unwind" fn step(state: *mut lua_State) -> c_int {
    // SAFETY: as for `index`. The key is copied before anything else is.
    unsafe {
        let Some(value) = handle(state, 1) else { return 0 };
        let node = value.node;
        let key = Key::at(state, 2);
        let next = guarded(state, || {
            value.read(|tree| match (tree.value(node), key) {
                (Value::Array(_), Key::Text(_)) => None,
                (Value::Array(_), key) => {
                    let index = if let Key::Number(number) = key { number as usize } else { 0 };
                    tree.at(node, index).map(|value| (Err(index), Out::from(value)))
                }
                (Value::Object(_), Key::Number(_)) => None,
                (Value::Object(_), key) => {
                    let key = if let Key::Text(key) = key { Some(key) } else { None };
                    let next = tree.after(node, key);
                    next.map(|(key, value)| (Ok((key.as_ptr(), key.len())), Out::from(value)))
                }
                _ => None,
            })
        });
        let Some((key, out)) = next else { return 0 };
        match key {
            Err(index) => {
                ffi::lua_pushnumber(state, index as f64 + 1.0);
                push_out(state, value, out);
            }
            Ok((start, len)) => {
                push_text(state, value, start, len);
                // A finalizer may have changed it meanwhile.
                let out = guarded(state, || {
                    let key = bytes(state, ffi::lua_gettop(state));
                    value.read(|tree| tree.get(node, key).map(Out::from))
                });
                push_out(state, value, out.unwrap_or(Out::Nil));
            }
        }
        2
    }
}
