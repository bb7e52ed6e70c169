//! The modules of the server that services find as globals or by `require`: one file each, named like the module.

pub(crate) mod bcast;
pub(crate) mod cws;
pub(crate) mod nljson;
pub(crate) mod ws;

use mlua::{Lua, Table};

use crate::fiber;
use crate::raw::Door;

/// Loads those that `require` and "preload" find by name.
pub(crate) fn install(lua: &Lua, door: &Door, core: &Table) -> mlua::Result<()> {
    fiber::chunk(lua, "nap", include_str!("nap.lua"))?.call::<()>(core)?;
    fiber::chunk(lua, "murmur", include_str!("murmur.lua"))?.call::<()>((core, door.murmur(lua)?))?;
    fiber::chunk(lua, "mqr", include_str!("mqr.lua"))?.call::<()>((core, door.mqr(lua)?))?;
    fiber::chunk(lua, "pam_auth", include_str!("pam_auth.lua"))?.call::<()>((core, door.logins(lua)?))
}
