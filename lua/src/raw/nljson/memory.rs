//! Lua's collector knows nothing of what documents take: lets it work for that, and holds the limit.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use super::message::{self, Trouble};
use crate::value::Account;

/// So much has to be added before the collector is asked to do something.
const STEP: usize = 64 << 10;

/// Bytes that may be added beside Lua's heap as it is.
///
/// # Safety
/// `state` is valid.
pub(super) unsafe fn room(state: *mut lua_State, account: &Account) -> usize {
    // SAFETY: as promised; counting does not raise.
    let heap = unsafe { ffi::lua_gc(state, ffi::LUA_GCCOUNT, 0) };
    account.room(heap as usize * 1024)
}

/// Does something that needs memory; if there is none, a second time when the garbage is gone. Raises if that fails.
///
/// # Safety
/// Called where an error may be raised, and where a collection does no harm; `attempt` raises nothing.
pub(super) unsafe fn attempt<R: Copy>(
    state: *mut lua_State,
    mut attempt: impl FnMut() -> Result<R, Trouble>,
    name: &std::ffi::CStr,
) -> R {
    for is_last in [false, true] {
        // SAFETY: as promised; what is alive here is plain data.
        unsafe {
            match attempt() {
                Ok(result) => return result,
                Err(Trouble::NoMemory) if !is_last => ffi::lua_gc(state, ffi::LUA_GCCOLLECT, 0),
                Err(trouble) => trouble.raise(state, name),
            };
        }
    }
    // SAFETY: as promised.
    unsafe { message::no_memory(state) }
}

/// To be called after documents have grown: lets the collector do its share, and raises if there is too much for the limit
/// even so.
///
/// # Safety
/// Called where an error may be raised, and where a collection does no harm.
#[inline]
pub(super) unsafe fn settle(state: *mut lua_State, account: &Account) {
    if account.grown() >= STEP {
        // SAFETY: as promised.
        unsafe { collect(state, account) }
    }
}

#[cold]
unsafe fn collect(state: *mut lua_State, account: &Account) {
    let grown = account.take_grown();
    // SAFETY: as promised.
    unsafe {
        if account.is_due() {
            // For each byte that was added the collector goes over so many of its own heap, and finalizes what is garbage.
            let kib = c_int::try_from(grown / 1024).unwrap_or(c_int::MAX);
            if ffi::lua_gc(state, ffi::LUA_GCSTEP, kib) != 0 {
                account.collected();
            }
        }
        if room(state, account) == 0 {
            ffi::lua_gc(state, ffi::LUA_GCCOLLECT, 0);
            account.collected();
            if room(state, account) == 0 {
                message::no_memory(state);
            }
        }
    }
}
