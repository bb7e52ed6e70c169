//! `bcast`: one message to all who listen to a channel, whichever service, worker or instance serves them.
//!
//! - `bcast:create(channel)`: makes a channel. Channels are whole numbers, and the same in all services.
//! - `bcast:subscribe(channel, handler)`, `bcast:unsubscribe(channel, handler)`: twice is one subscription. A connection that
//!   closes leaves all its channels by itself.
//! - `bcast:send(channel, message)`: sends an out-of-order notification of the LAppS protocol to all who listen. It is encoded
//!   once.
//!
//! All return `true`, or `false` and a message. Arguments of a wrong type raise an error.

use mlua::Lua;

use crate::raw::Door;

/// Makes the global `bcast`.
pub(crate) fn install(lua: &Lua, door: &Door) -> mlua::Result<()> {
    lua.globals().set("bcast", door.bcast(lua)?)
}
