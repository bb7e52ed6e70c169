//! `ws`: what a service can do with its connections.
//!
//! - `ws:send(handler, opcode, message)`: sends one message; opcode 1 is text, 2 is binary. The bytes of a text are the
//!   service's affair.
//! - `ws:close(handler, code[, reason])`: starts the closing handshake. Of a reason goes out what fits a close frame:
//!   its longest beginning that is UTF-8 and at most 123 bytes long.
//! - `ws.conn(handler)`: the connection as an object, with data and fibers of its own; see `conn.lua`.
//!
//! The first two return `true`, or `false` and a message. Outside of handlers and fibers no connection can be reached.
//! Arguments of a wrong type raise an error.

use mlua::{Function, Lua, Table};

use crate::fiber;
use crate::raw::Door;

/// Makes the global `ws`.
pub(crate) fn install(lua: &Lua, door: &Door, core: &Table) -> mlua::Result<()> {
    let ws = lua.create_table()?;
    let send = door.ws_send(lua)?;
    let send: Function = match core.get::<Table>("host")?.get::<Option<Table>>("compiled")? {
        Some(compiled) => fiber::chunk(lua, "send", include_str!("send.lua"))?.call((compiled, send))?,
        None => send,
    };
    ws.set("send", send)?;
    ws.set("close", door.ws_close(lua)?)?;
    fiber::chunk(lua, "conn", include_str!("conn.lua"))?.call::<()>((core, &ws))?;
    lua.globals().set("ws", ws)
}
