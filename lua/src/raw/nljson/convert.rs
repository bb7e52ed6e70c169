//! Plain Lua values into trees, and trees into plain Lua values.

use std::ffi::{CStr, c_int};
use std::fmt::Write;

use lapps_parser::value::{Excess, Limits, NodeId, Tree, Value};
use mlua::ffi::{self, lua_State};

use super::message::{self, Message, Trouble, type_name};
use super::{Handle, Out, guarded, handle, push_out, push_text};
use crate::raw::bytes;

/// How Lua values become part of a tree.
pub(super) struct Intake<'a> {
    pub(super) state: *mut lua_State,
    pub(super) limits: Limits,
    /// A value of the document that is being written: it cannot be read beside that.
    pub(super) own: Option<&'a Handle>,
}

impl From<Excess> for Trouble {
    fn from(excess: Excess) -> Trouble {
        match excess {
            Excess::Depth(_) => Trouble::wrong(format_args!("{excess}, or it contains itself")),
            Excess::Bytes(_) => Trouble::NoMemory,
        }
    }
}

/// A number as it is kept: a whole one as an integer.
pub(super) fn number(number: f64) -> Value<'static> {
    // 2^63 and 2^64, which floats can say.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if number.trunc() != number {
        return Value::Float(number);
    }
    if (-END..END).contains(&number) {
        Value::Int(number as i64)
    } else if (END..END * 2.0).contains(&number) {
        Value::UInt(number as u64)
    } else {
        Value::Float(number)
    }
}

impl Intake<'_> {
    /// What is at `index`, ready to be put into a container of `tree`. A text is Lua's, and to be copied at once.
    ///
    /// # Safety
    /// `index` is absolute and valid in `self.state`; called from a function that has the metatable as second upvalue.
    /// Nothing here raises, and on errors there may be more on the stack than before.
    pub(super) unsafe fn value<'v>(
        &self,
        tree: &mut Tree,
        index: c_int,
        levels: usize,
    ) -> Result<Value<'v>, Trouble> {
        let state = self.state;
        // SAFETY: as promised.
        unsafe {
            Ok(match ffi::lua_type(state, index) {
                ffi::LUA_TNIL | ffi::LUA_TNONE => Value::Null,
                ffi::LUA_TBOOLEAN => Value::Bool(ffi::lua_toboolean(state, index) != 0),
                ffi::LUA_TNUMBER => number(ffi::lua_tonumber(state, index)),
                ffi::LUA_TSTRING => {
                    let text = bytes(state, index);
                    if tree.bytes().saturating_add(text.len()) > self.limits.bytes {
                        return Err(Trouble::NoMemory);
                    }
                    Value::Text(text)
                }
                ffi::LUA_TTABLE => Value::Array(self.table(tree, index, levels)?),
                _ => match handle(state, index) {
                    Some(given) => Value::Array(self.graft(tree, given, levels)?),
                    None => {
                        let given = type_name(state, index);
                        return Err(Trouble::wrong(format_args!("a {given} cannot be part of a value")));
                    }
                },
            })
        }
    }

    fn graft(&self, tree: &mut Tree, given: &Handle, levels: usize) -> Result<NodeId, Trouble> {
        let limits = Limits { depth: levels, ..self.limits };
        let copied = match self.own {
            Some(own) if own.document == given.document => tree.graft_own(given.node, limits),
            _ => given.read(|from| tree.graft(from, given.node, limits)),
        };
        copied.map_err(|excess| match excess {
            // It says how many there were left.
            Excess::Depth(_) => Excess::Depth(self.limits.depth).into(),
            Excess::Bytes(_) => excess.into(),
        })
    }

    unsafe fn table(&self, tree: &mut Tree, index: c_int, levels: usize) -> Result<NodeId, Trouble> {
        let levels = levels.checked_sub(1).ok_or(Excess::Depth(self.limits.depth))?;
        // SAFETY: as promised by the caller; there is room for what is pushed.
        unsafe {
            if ffi::lua_checkstack(self.state, 4) == 0 {
                return Err(Trouble::NoMemory);
            }
            let len = ffi::lua_objlen(self.state, index);
            let node = if is_list(self.state, index, len) { tree.new_array(0) } else { tree.new_object(0) };
            let filled = match tree.value(node) {
                Value::Array(_) => self.items(tree, node, index, len, levels),
                _ => self.entries(tree, node, index, levels),
            };
            filled.map(|()| node).inspect_err(|_| tree.free(node, |_| false))
        }
    }

    unsafe fn items(
        &self,
        tree: &mut Tree,
        node: NodeId,
        index: c_int,
        len: usize,
        levels: usize,
    ) -> Result<(), Trouble> {
        for place in 1..=len as c_int {
            // SAFETY: as for `table`; a raw access to what is there does not raise.
            let value = unsafe {
                ffi::lua_rawgeti_(self.state, index, place);
                self.value(tree, ffi::lua_gettop(self.state), levels)?
            };
            let _ = tree.push(node, value);
            // SAFETY: it is what was pushed.
            unsafe { ffi::lua_pop(self.state, 1) };
            self.has_room(tree)?;
        }
        Ok(())
    }

    unsafe fn entries(
        &self,
        tree: &mut Tree,
        node: NodeId,
        index: c_int,
        levels: usize,
    ) -> Result<(), Trouble> {
        let state = self.state;
        // SAFETY: as for `table`. `lua_next` raises only for a key that is not in the table; a number that is a key is not
        // turned into a string, which would confuse it.
        unsafe {
            ffi::lua_pushnil(state);
            while ffi::lua_next(state, index) != 0 {
                let top = ffi::lua_gettop(state);
                let value = self.value(tree, top, levels)?;
                match ffi::lua_type(state, top - 1) {
                    ffi::LUA_TSTRING => drop(tree.add_unsorted(node, bytes(state, top - 1), value)),
                    ffi::LUA_TNUMBER => {
                        let key = key_of(ffi::lua_tonumber(state, top - 1));
                        let _ = tree.add_unsorted(node, key.as_bytes(), value);
                    }
                    _ => {
                        if let Some(node) = value.node() {
                            tree.free(node, |_| false);
                        }
                        let given = type_name(state, top - 1);
                        return Err(Trouble::wrong(format_args!(
                            "a table with a {given} as key cannot be an object"
                        )));
                    }
                }
                ffi::lua_pop(state, 1);
                self.has_room(tree)?;
            }
        }
        tree.sort(node);
        Ok(())
    }

    fn has_room(&self, tree: &Tree) -> Result<(), Trouble> {
        if tree.bytes() <= self.limits.bytes { Ok(()) } else { Err(Trouble::NoMemory) }
    }
}

/// Whether the keys of a table are 1 to `len`, all of them and no others. Those of an empty one are.
///
/// # Safety
/// `index` is that of a table; Lua's stack has room for two more.
pub(super) unsafe fn is_list(state: *mut lua_State, index: c_int, len: usize) -> bool {
    // SAFETY: as promised. `lua_next` gets keys that it has given.
    unsafe {
        let mut found = 0;
        ffi::lua_pushnil(state);
        while ffi::lua_next(state, index) != 0 {
            ffi::lua_pop(state, 1);
            let is_index = ffi::lua_type(state, -1) == ffi::LUA_TNUMBER && {
                let key = ffi::lua_tonumber(state, -1);
                key >= 1.0 && key <= len as f64 && key.trunc() == key
            };
            if !is_index {
                ffi::lua_pop(state, 1);
                return false;
            }
            found += 1;
        }
        found == len
    }
}

/// A number as an object's key.
fn key_of(key: f64) -> String {
    let mut text = String::new();
    let _ = match number(key) {
        Value::Int(whole) => write!(text, "{whole}"),
        Value::UInt(whole) => write!(text, "{whole}"),
        _ => write!(text, "{key}"),
    };
    text
}

const TOTABLE: &CStr = c"nljson.totable";

/// `totable(value)`: a copy made of Lua's own tables.
pub(super) unsafe extern "C-unwind" fn totable(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with door and metatable as upvalues. Nothing with a destructor is alive.
    unsafe {
        let Some(value) = handle(state, 1) else {
            message::wrong_type(state, TOTABLE, 1, "value", "an nljson value");
        };
        let root = value.node;
        let out = guarded(state, || value.read(|tree| Out::from(tree.value(root))));
        copy_out(state, value, out, Limits::DEPTH);
        1
    }
}

/// Pushes what was just read, containers as tables.
///
/// # Safety
/// As for [`push_out`].
unsafe fn copy_out(state: *mut lua_State, of: &Handle, out: Out, levels: usize) {
    // SAFETY: as promised; each time anew is looked what there is, because finalizers may change it meanwhile. Whatever
    // they do to a node, reading it is defined.
    unsafe {
        let Out::Node(node) = out else {
            push_out(state, of, out);
            return;
        };
        if levels == 0 {
            let message = Message::new(Excess::Depth(Limits::DEPTH));
            message::raise(state, TOTABLE, &message);
        }
        ffi::luaL_checkstack(state, 4, c"nljson.totable".as_ptr());
        let (is_array, len) =
            guarded(state, || of.read(|tree| (matches!(tree.value(node), Value::Array(_)), tree.len(node))));
        let size = c_int::try_from(len).unwrap_or(c_int::MAX);
        if is_array {
            ffi::lua_createtable(state, size, 0);
        } else {
            ffi::lua_createtable(state, 0, size);
        }
        for index in 0..size {
            let at = index as usize;
            if is_array {
                let out = guarded(state, || of.read(|tree| tree.at(node, at).map(Out::from)));
                copy_out(state, of, out.unwrap_or(Out::Nil), levels - 1);
                ffi::lua_rawseti_(state, -2, index + 1);
                continue;
            }
            let key = guarded(state, || {
                of.read(|tree| tree.entry(node, at).map(|(key, _)| (key.as_ptr(), key.len())))
            });
            let Some((start, len)) = key else { return };
            push_text(state, of, start, len);
            let out = guarded(state, || {
                let key = bytes(state, ffi::lua_gettop(state));
                of.read(|tree| tree.get(node, key).map(Out::from))
            });
            copy_out(state, of, out.unwrap_or(Out::Nil), levels - 1);
            ffi::lua_rawset(state, -3);
        }
    }
}
