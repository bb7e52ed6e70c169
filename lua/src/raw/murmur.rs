//! `murmur` behind the check of types: what it gets is a string, or a number from -2^63 to below 2^64.

use std::ffi::{c_char, c_int};

use mlua::ffi::{self, lua_State};
use mlua::{Lua, Table};

use super::{Door, bytes};
use crate::murmur;

impl Door {
    /// What the module `murmur` is made of.
    pub(crate) fn murmur(&self, lua: &Lua) -> mlua::Result<Table> {
        self.functions(lua, &[("hashstr", hashstr), ("hashnum", hashnum)])
    }
}

/// `hashstr(x)`: the hash in hexadecimal.
unsafe extern "C-unwind" fn hashstr(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with a string or number. Only plain data is alive where it can raise.
    unsafe {
        let hash = hash(state);
        let digits: [u8; 16] = std::array::from_fn(|at| {
            let digit = hash >> (60 - 4 * at) & 0xf;
            b"0123456789abcdef"[digit as usize]
        });
        ffi::lua_pushlstring_(state, digits.as_ptr().cast::<c_char>(), digits.len());
    }
    1
}

/// `hashnum(x)`: the nearest number that Lua has.
unsafe extern "C-unwind" fn hashnum(state: *mut lua_State) -> c_int {
    // SAFETY: as in `hashstr`.
    unsafe { ffi::lua_pushnumber(state, hash(state) as f64) };
    1
}

/// # Safety
/// The first value on the stack is a string or a number.
unsafe fn hash(state: *mut lua_State) -> u64 {
    // SAFETY: as promised; the string stays on the stack.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TNUMBER {
            murmur::hash_number(ffi::lua_tonumber(state, 1))
        } else {
            murmur::hash(bytes(state, 1))
        }
    }
}
