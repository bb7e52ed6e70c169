//! When an instance's garbage is collected.

use std::ffi::c_int;

use mlua::ffi::{self, lua_State};

use super::{Entry, Instance};
use crate::pace::Pace;

/// Modes of LuaJIT's engine as a whole: `LUAJIT_MODE_ENGINE` is 0.
const JIT_OFF: c_int = 0;
const JIT_ON: c_int = 0x100;

unsafe extern "C-unwind" {
    /// Part of LuaJIT's API, but not of the binding's.
    fn luaJIT_setmode(state: *mut lua_State, index: c_int, mode: c_int) -> c_int;
}

/// KiB that one step of a collection in idle time counts for.
const STEP: ffi::lua_Integer = 16;

impl Instance {
    /// Collects all garbage. Needs no memory for the call itself: there may be none.
    pub(super) fn collect(&self) {
        // SAFETY: the entry takes nothing, and what it returns is dropped; an error is taken off again.
        unsafe {
            self.push(Entry::Collect);
            if ffi::lua_pcall(self.state, 0, 0, 0) != ffi::LUA_OK {
                ffi::lua_settop(self.state, -2);
            }
        }
    }

    /// Paces the collector, which by itself starts when the heap has doubled.
    ///
    /// A crowded heap is collected without a pause: LuaJIT does not collect when it meets the limit, it raises "not
    /// enough memory". Nor does it compile meanwhile: its recorder, when it finds no memory for the list of its traces,
    /// punishes bytecode that has nothing to do with that, and may write where no bytecode is any more.
    pub(super) fn pace_collector(&mut self) {
        self.unpaced = 0;
        self.doorway().account.take_back(0);
        let mut used = self.used();
        // From three quarters of the limit on whoever comes next is not to pay for what was before; not again and again
        // where all that is alive.
        let grown = used.saturating_sub(self.collected);
        if used.saturating_sub(self.crowded) >= self.crowded / 5 && grown >= self.crowded / 10 {
            self.collect();
            used = self.used();
            self.collected = used;
        }
        self.collected = self.collected.min(used);
        let crowded = used >= self.crowded;
        // SAFETY: neither setting the collector's pace and threshold can raise, nor can setting the engine outside of a
        // finalizer. No Lua code is running.
        unsafe {
            if crowded != self.is_crowded {
                self.is_crowded = crowded;
                self.set_pace(if crowded { Pace::CROWDED } else { self.pace });
                luaJIT_setmode(self.state, 0, if crowded { JIT_OFF } else { JIT_ON });
            }
            if crowded {
                ffi::lua_gc(self.state, ffi::LUA_GCRESTART, 0);
            }
        }
    }

    pub(super) fn set_pace(&self, pace: Pace) {
        // SAFETY: setting these cannot raise.
        unsafe {
            ffi::lua_gc(self.state, ffi::LUA_GCSETPAUSE, pace.pause);
            ffi::lua_gc(self.state, ffi::LUA_GCSETSTEPMUL, pace.speed);
        }
    }

    /// KiB of the heap.
    fn used(&self) -> c_int {
        // SAFETY: counting cannot raise.
        unsafe { ffi::lua_gc(self.state, ffi::LUA_GCCOUNT, 0) }
    }

    /// Whether [`Instance::collect_a_little`] has something to do.
    pub(crate) fn wants_collecting(&mut self) -> bool {
        self.seen = self.used();
        self.resting.wants(self.seen, self.pace)
    }

    /// Bytes of the heap when [`Instance::wants_collecting`] was last asked.
    pub(crate) fn heap(&self) -> usize {
        self.seen as usize * 1024
    }

    /// Makes one step of a collection. True: with it the collection is over.
    pub(crate) fn collect_a_little(&mut self) -> bool {
        // SAFETY: the entry takes a number and returns a boolean; finalizers that it runs find no port in the door.
        let finished = unsafe {
            self.push(Entry::Step);
            ffi::lua_pushinteger(self.state, STEP);
            let status = ffi::lua_pcall(self.state, 1, 1, 0);
            let finished = status != ffi::LUA_OK || ffi::lua_toboolean(self.state, -1) != 0;
            self.settle_stack();
            finished
        };
        self.resting.stepped(finished, self.used());
        finished
    }
}
