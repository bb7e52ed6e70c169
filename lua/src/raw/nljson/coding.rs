//! Documents into values, and values into documents.

use std::ffi::{CStr, OsStr, c_int};
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use lapps_parser::value::{Excess, Limits, NodeId, Tree};
use lapps_parser::{cbor, json};
use mlua::ffi::{self, lua_State};

use super::convert::Intake;
use super::message::{self, Message, Trouble};
use super::{account, fill, guarded, handle, memory, new_handle};
use crate::raw::bytes;
use crate::value::Document;

/// `decode(text)`
pub(super) unsafe extern "C-unwind" fn decode(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"nljson.decode";
    // SAFETY: Lua calls this with door and metatable as upvalues. Only a borrowed slice is alive where it can raise; it is
    // on the stack as long as the call lasts.
    unsafe {
        let text = string(state, NAME, "text");
        make(state, NAME, |limits| json::decode(text, limits).map_err(|error| not_json(&error, &error)))
    }
}

/// `from_cbor(bytes)`
pub(super) unsafe extern "C-unwind" fn from_cbor(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"nljson.from_cbor";
    // SAFETY: as for `decode`.
    unsafe {
        let bytes = string(state, NAME, "bytes");
        make(state, NAME, |limits| {
            cbor::decode(bytes, limits).map_err(|error| match error.fault {
                cbor::Fault::Excess(Excess::Bytes(_)) => Trouble::NoMemory,
                _ => Trouble::wrong(error),
            })
        })
    }
}

/// `decode_file(path)`
pub(super) unsafe extern "C-unwind" fn decode_file(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"nljson.decode_file";
    // SAFETY: as for `decode`.
    unsafe {
        let path = string(state, NAME, "path");
        make(state, NAME, |limits| {
            let path = Path::new(OsStr::from_bytes(path));
            let named = |cause: &dyn Display| Message::new(format_args!("{}: {cause}", path.display()));
            let failed = |cause: &dyn Display| Trouble::wrong(named(cause));
            let mut text = Vec::new();
            let limit = limits.bytes as u64;
            let file = File::open(path).map_err(|error| failed(&error))?;
            if !file.metadata().is_ok_and(|meta| meta.is_file()) {
                return Err(failed(&"it is not a file"));
            }
            file.take(limit.saturating_add(1)).read_to_end(&mut text).map_err(|error| failed(&error))?;
            if text.len() as u64 > limit {
                return Err(Trouble::NoMemory);
            }
            json::decode(&text, limits).map_err(|error| not_json(&error, named(&error)))
        })
    }
}

/// `new([value])`
pub(super) unsafe extern "C-unwind" fn new(state: *mut lua_State) -> c_int {
    // SAFETY: as for `decode`; the value stays at index 1.
    unsafe {
        ffi::lua_settop(state, 1);
        make(state, c"nljson.new", |limits| taken_in(state, limits))
    }
}

fn not_json(error: &json::DecodeError, message: impl Display) -> Trouble {
    match error.excess {
        Some(Excess::Bytes(_)) => Trouble::NoMemory,
        _ => Trouble::wrong(message),
    }
}

/// What is at stack index 1, as a tree of its own.
///
/// # Safety
/// As for [`Intake::value`].
unsafe fn taken_in(state: *mut lua_State, limits: Limits) -> Result<Tree, Trouble> {
    let mut tree = Tree::empty();
    let intake = Intake { state, limits, own: None };
    // SAFETY: as promised.
    let value = unsafe { intake.value(&mut tree, 1, limits.depth)? };
    let root = tree.new_single(value);
    tree.set_root(root);
    Ok(tree)
}

/// Pushes a new document.
///
/// # Safety
/// Called where an error may be raised, from a function that has door and metatable as upvalues; `decode` raises nothing.
unsafe fn make(
    state: *mut lua_State,
    name: &CStr,
    decode: impl Fn(Limits) -> Result<Tree, Trouble>,
) -> c_int {
    // SAFETY: as promised. The userdata is there before the document is: nothing can be lost.
    unsafe {
        let account = account(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
        let made = new_handle(state);
        let top = ffi::lua_gettop(state);
        memory::attempt(
            state,
            || {
                let limits = Limits { bytes: memory::room(state, &*account), ..Limits::default() };
                let result = guarded(state, || {
                    decode(limits).map(|tree| {
                        fill(made, tree.root(), account, |account| Document::of_tree(tree, account));
                    })
                });
                ffi::lua_settop(state, top);
                result
            },
            name,
        );
        memory::settle(state, &*account);
        1
    }
}

/// `encode(value)`
pub(super) unsafe extern "C-unwind" fn encode(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with door and metatable as upvalues. Nothing with a destructor is alive where it can raise.
    unsafe { write(state, c"nljson.encode", as_json) }
}

/// `tostring(value)`
pub(super) unsafe extern "C-unwind" fn tostring(state: *mut lua_State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe { write(state, c"nljson", as_json) }
}

/// `to_cbor(value)`
pub(super) unsafe extern "C-unwind" fn to_cbor(state: *mut lua_State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        write(state, c"nljson.to_cbor", |tree, node, out| {
            cbor::encode(tree, node, out).map_err(Trouble::wrong)
        })
    }
}

/// `encode_pretty(value[, indent])`
pub(super) unsafe extern "C-unwind" fn encode_pretty(state: *mut lua_State) -> c_int {
    const NAME: &CStr = c"nljson.encode_pretty";
    // SAFETY: as for `encode`.
    unsafe {
        let indent = match ffi::lua_isnoneornil(state, 2) {
            0 if ffi::lua_type(state, 2) != ffi::LUA_TNUMBER => {
                message::wrong_type(state, NAME, 2, "indent", "a number");
            }
            0 => ffi::lua_tonumber(state, 2),
            _ => 4.0,
        };
        if !((0.0..=16.0).contains(&indent) && indent.trunc() == indent) {
            let text = Message::new(format_args!("argument 2 (indent) must be from 0 to 16, got {indent}"));
            message::raise(state, NAME, &text);
        }
        write(state, NAME, |tree, node, out| {
            json::encode_pretty(tree, node, indent as usize, out).map_err(Trouble::wrong)
        })
    }
}

fn as_json(tree: &Tree, node: NodeId, out: &mut Vec<u8>) -> Result<(), Trouble> {
    json::encode(tree, node, out).map_err(Trouble::wrong)
}

/// Pushes what `encode` makes of the value at index 1, which may be plain Lua's.
///
/// # Safety
/// As for [`make`].
unsafe fn write(
    state: *mut lua_State,
    name: &CStr,
    encode: impl Fn(&Tree, NodeId, &mut Vec<u8>) -> Result<(), Trouble>,
) -> c_int {
    // SAFETY: as promised. The buffer is lent to Lua: a finalizer that encodes something finds another one. If there is no
    // memory for the string, the buffer is taken back later.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TNONE {
            message::wrong_type(state, name, 1, "value", "a value");
        }
        let account = account(state);
        let top = ffi::lua_gettop(state);
        let (start, len, lent) = memory::attempt(
            state,
            || {
                let limits = Limits { bytes: memory::room(state, &*account), ..Limits::default() };
                let result = guarded(state, || {
                    let mut out = (*account).buffer();
                    match handle(state, 1) {
                        Some(value) => value.read(|tree| encode(tree, value.node, &mut out))?,
                        None => {
                            let tree = taken_in(state, limits)?;
                            encode(&tree, tree.root(), &mut out)?;
                        }
                    }
                    let (start, len) = (out.as_ptr(), out.len());
                    Ok((start, len, (*account).lend(out)))
                });
                ffi::lua_settop(state, top);
                result
            },
            name,
        );
        ffi::lua_pushlstring_(state, start.cast(), len);
        (*account).take_back(lent);
        1
    }
}

/// The first argument, a string.
///
/// # Safety
/// Called where an error may be raised; the bytes are used only while it is on the stack.
unsafe fn string<'a>(state: *mut lua_State, name: &CStr, what: &str) -> &'a [u8] {
    // SAFETY: as promised; a string is not converted.
    unsafe {
        if ffi::lua_type(state, 1) != ffi::LUA_TSTRING {
            message::wrong_type(state, name, 1, what, "a string");
        }
        bytes(state, 1)
    }
}
