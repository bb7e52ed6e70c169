//! `nljson`: values of JSON and CBOR, with references into them; see `docs/modules/nljson.md`.
//!
//! Every service finds it as a global. Its functions are `raw::nljson`'s, but for those that call a function for each
//! member: these are in `nljson.lua`.

use mlua::{Lua, Table};

use crate::fiber;
use crate::raw::Door;

/// Makes the global `nljson`. Its values and Lua's heap may take `memory_limit` bytes together; 0 = no limit.
pub(crate) fn install(lua: &Lua, door: &Door, core: &Table, memory_limit: usize) -> mlua::Result<()> {
    let nljson = door.values(lua, memory_limit)?;
    fiber::chunk(lua, "nljson", include_str!("nljson.lua"))?.call::<()>((core, &nljson))?;
    lua.globals().set("nljson", nljson)
}
