//! The fiber system, whose scheduler is written in Lua: loads it into a state.
//!
//! Waiting, waking and switching between coroutines happen inside Lua, where they need no call across languages; the host
//! calls it for an event and for a turn, and lends it the clock.

use mlua::{Function, Lua, Table};

use crate::raw::Door;

/// The library, in the order of loading. Each part gets the table that the first one returns.
const CORE: &str = include_str!("fiber/core.lua");
const PARTS: [(&str, &str); 13] = [
    ("wheel", include_str!("fiber/wheel.lua")),
    ("scope", include_str!("fiber/scope.lua")),
    ("fibers", include_str!("fiber/fibers.lua")),
    ("mutex", include_str!("fiber/mutex.lua")),
    ("condition_variable", include_str!("fiber/condition_variable.lua")),
    ("future", include_str!("fiber/future.lua")),
    ("channel", include_str!("fiber/channel.lua")),
    ("semaphore", include_str!("fiber/semaphore.lua")),
    ("barrier", include_str!("fiber/barrier.lua")),
    ("time", include_str!("fiber/time.lua")),
    ("select", include_str!("fiber/select.lua")),
    ("with_timeout", include_str!("fiber/with_timeout.lua")),
    ("modules", include_str!("fiber/modules.lua")),
];
const EVENTS: &str = include_str!("fiber/events.lua");

/// Loads everything but the dispatch loop: what services see.
pub(crate) fn install(lua: &Lua, door: &Door) -> mlua::Result<Table> {
    let core: Table = chunk(lua, "core", CORE)?.call(door.host(lua)?)?;
    for (name, text) in PARTS {
        chunk(lua, name, text)?.call::<()>(&core)?;
    }
    Ok(core)
}

/// Loads the dispatch loop, which takes its handlers from `service`.
pub(crate) fn serve(lua: &Lua, core: &Table, service: &Table) -> mlua::Result<()> {
    core.set("service", service)?;
    chunk(lua, "events", EVENTS)?.call(core)
}

/// A part of the library under the name by which tracebacks would call it: these lines are taken out there.
pub(crate) fn chunk(lua: &Lua, name: &str, text: &str) -> mlua::Result<Function> {
    lua.load(text).set_name(format!("=lapps/fiber/{name}")).into_function()
}
