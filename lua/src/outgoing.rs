//! The calls of `cws` behind the check of their types: numbers and bytes in, one command out, the answer in words.

use std::time::Duration;

use crate::commands::{CLOSED, CODE, close_code, data_opcode, in_words, sendable};
use crate::port::{Command, ConnId, Connect, Port, Terms};

/// `cws:send` behind the check of types; `Err` is the message for the service.
pub(crate) fn send(
    port: Option<&mut dyn Port>,
    handler: f64,
    message: &[u8],
    opcode: f64,
) -> Result<(), &'static str> {
    let opcode = data_opcode(opcode)?;
    let conn = ConnId::from_number(handler).filter(|conn| conn.is_client());
    let (Some(port), Some(conn)) = (port, conn) else { return Err(CLOSED) };
    in_words(port.command(Command::Send { conn, opcode, payload: message }))
}

/// `cws:close` behind the check of types; `Err` is the message for the service.
pub(crate) fn close(
    port: Option<&mut dyn Port>,
    handler: f64,
    code: f64,
    reason: &[u8],
) -> Result<(), &'static str> {
    let code = close_code(code).ok_or(CODE)?;
    let conn = ConnId::from_number(handler).filter(|conn| conn.is_client());
    let (Some(port), Some(conn)) = (port, conn) else { return Err(CLOSED) };
    in_words(port.command(Command::Close { conn, code, reason: sendable(reason) }))
}

/// What `cws:new` has gathered, checked but for the URI: pairs of names and values, subprotocols, a file.
pub(crate) struct Wanted<'a> {
    pub(crate) uri: &'a [u8],
    /// Each name and each value ends with a NUL byte.
    pub(crate) headers: &'a [u8],
    /// Each ends with a NUL byte.
    pub(crate) protocols: &'a [u8],
    pub(crate) ca: Option<&'a [u8]>,
    /// In seconds: connect, handshake, ping, idle, closing; in bytes: the largest message, the largest queue.
    pub(crate) terms: [f64; 7],
}

/// `cws:new` behind the check of types; `Err` is the message for the service.
pub(crate) fn connect(port: Option<&mut dyn Port>, wanted: &Wanted<'_>) -> Result<ConnId, String> {
    let Some(port) = port else { return Err(CLOSED.to_owned()) };
    let text = |bytes| str::from_utf8(bytes).map_err(|_| "the URI and the options must be UTF-8".to_owned());
    let list = |bytes| text(bytes).map(|text: &str| text.split_terminator('\0').collect::<Vec<_>>());
    let headers = list(wanted.headers)?;
    let headers: Vec<(&str, &str)> = headers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let protocols = list(wanted.protocols)?;
    let [connect, handshake, ping, idle, closing, max_message, max_queue] = wanted.terms;
    port.connect(&Connect {
        uri: text(wanted.uri)?,
        headers: &headers,
        protocols: &protocols,
        ca: wanted.ca.map(text).transpose()?,
        terms: Terms {
            connect: Duration::from_secs_f64(connect),
            handshake: Duration::from_secs_f64(handshake),
            ping: Duration::from_secs_f64(ping),
            idle: Duration::from_secs_f64(idle),
            closing: Duration::from_secs_f64(closing),
            max_message: max_message as usize,
            max_queue: max_queue as usize,
        },
    })
}
