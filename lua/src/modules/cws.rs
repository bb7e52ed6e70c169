//! `cws`: WebSocket connections to other servers; see `cws.lua`.

use mlua::{Lua, Table};

use crate::fiber;
use crate::raw::Door;

/// Makes the module `cws`.
pub(crate) fn install(lua: &Lua, door: &Door, core: &Table) -> mlua::Result<()> {
    let cws = door.cws(lua)?;
    fiber::chunk(lua, "cws", include_str!("cws.lua"))?.call::<()>((core, &cws, door.cws_native(lua)?))?;
    core.get::<Table>("modules")?.set("cws", cws)
}
