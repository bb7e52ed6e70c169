//! The calls of `ws` and `bcast` behind the check of their types: numbers and bytes in, one command out, the answer in words.

use lapps_parser::cbor;
use lapps_parser::close::{CloseCode, MAX_REASON_LEN};
use lapps_parser::frame::OpCode;
use lapps_parser::lapps;

use crate::port::{Answer, Channel, Command, ConnId, Port};
use crate::value::Shared;

pub(crate) const CLOSED: &str = "connection closed";
const EARLY: &str = "connection is not open yet";
const FULL: &str = "queue is full";
const CHANNEL: &str = "a channel must be a whole number";
const TOO_EARLY: &str = "only in handlers and fibers: the service's file is still being loaded";
const NO_CHANNEL: &str = "no such channel: bcast:create makes it";
const NOT_SUBSCRIBED: &str = "not subscribed";
const OPCODE: &str = "opcode must be 1 (text) or 2 (binary)";
pub(crate) const CODE: &str = "code must be 1000-1003, 1007-1011 or 3000-4999";

/// All that [`send`] may answer.
pub(crate) const SEND_REFUSALS: [&str; 4] = [CLOSED, FULL, EARLY, OPCODE];

/// `ws:send` behind the check of types; `Err` is the message for the service.
pub(crate) fn send(
    port: Option<&mut dyn Port>,
    handler: f64,
    opcode: f64,
    message: &[u8],
) -> Result<(), &'static str> {
    let opcode = data_opcode(opcode)?;
    let (Some(port), Some(conn)) = (port, conn_of(handler)) else { return Err(CLOSED) };
    in_words(port.command(Command::Send { conn, opcode, payload: message }))
}

/// `ws:send` of a value: a message of the LAppS protocol, encoded into `out`.
pub(crate) fn send_value(
    port: Option<&mut dyn Port>,
    handler: f64,
    value: &Shared,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    lapps::check_outgoing(&value.tree, value.root)?;
    let (Some(port), Some(conn)) = (port, conn_of(handler)) else { return Err(CLOSED) };
    encode(value, out)?;
    in_words(port.command(Command::Send { conn, opcode: OpCode::Binary, payload: out }))
}

pub(crate) fn data_opcode(number: f64) -> Result<OpCode, &'static str> {
    match number {
        1.0 => Ok(OpCode::Text),
        2.0 => Ok(OpCode::Binary),
        _ => Err(OPCODE),
    }
}

/// `ws:close` behind the check of types; `Err` is the message for the service.
pub(crate) fn close(
    port: Option<&mut dyn Port>,
    handler: f64,
    code: f64,
    reason: &[u8],
) -> Result<(), &'static str> {
    let code = close_code(code).ok_or(CODE)?;
    let (Some(port), Some(conn)) = (port, conn_of(handler)) else { return Err(CLOSED) };
    in_words(port.command(Command::Close { conn, code, reason: sendable(reason) }))
}

/// `bcast:create` behind the check of types.
pub(crate) fn create(port: Option<&mut dyn Port>, channel: f64) -> Result<(), &'static str> {
    let (channel, port) = (channel_of(channel)?, port.ok_or(TOO_EARLY)?);
    match port.command(Command::CreateChannel(channel)) {
        Answer::Full => Err("there are too many channels"),
        answer => in_words(answer),
    }
}

/// `bcast:subscribe` behind the check of types.
pub(crate) fn subscribe(port: Option<&mut dyn Port>, channel: f64, handler: f64) -> Result<(), &'static str> {
    let (channel, port) = (channel_of(channel)?, port.ok_or(TOO_EARLY)?);
    let conn = conn_of(handler).ok_or(CLOSED)?;
    in_words(port.command(Command::Subscribe { conn, channel }))
}

/// `bcast:unsubscribe` behind the check of types.
pub(crate) fn unsubscribe(
    port: Option<&mut dyn Port>,
    channel: f64,
    handler: f64,
) -> Result<(), &'static str> {
    let (channel, port) = (channel_of(channel)?, port.ok_or(TOO_EARLY)?);
    let conn = conn_of(handler).ok_or(CLOSED)?;
    in_words(port.command(Command::Unsubscribe { conn, channel }))
}

/// `bcast:send` behind the check of types: a message of the LAppS protocol, encoded into `out`.
pub(crate) fn publish(
    port: Option<&mut dyn Port>,
    channel: f64,
    value: &Shared,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let (channel, port) = (channel_of(channel)?, port.ok_or(TOO_EARLY)?);
    lapps::check_broadcast(&value.tree, value.root)?;
    encode(value, out)?;
    in_words(port.command(Command::Publish { channel, payload: out }))
}

fn encode(value: &Shared, out: &mut Vec<u8>) -> Result<(), &'static str> {
    cbor::encode(&value.tree, value.root, out).map_err(|_| "the message is nested too deeply")
}

fn channel_of(number: f64) -> Result<Channel, &'static str> {
    Channel::from_number(number).ok_or(CHANNEL)
}

/// The connection of a client; an outgoing one is none.
fn conn_of(handler: f64) -> Option<ConnId> {
    ConnId::from_number(handler).filter(|conn| !conn.is_client())
}

pub(crate) fn in_words(answer: Answer) -> Result<(), &'static str> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Closed => Err(CLOSED),
        Answer::Full => Err(FULL),
        Answer::Early => Err(EARLY),
        Answer::NoChannel => Err(NO_CHANNEL),
        Answer::NotSubscribed => Err(NOT_SUBSCRIBED),
    }
}

/// The codes a service may use: those of RFC 6455 7.4.1 that go on the wire, and those for libraries and applications.
pub(crate) fn close_code(number: f64) -> Option<CloseCode> {
    let code = number as u16;
    (f64::from(code) == number && matches!(code, 1000..=1011 | 3000..=4999))
        .then(|| CloseCode::new(code))
        .flatten()
}

/// What of a reason fits a close frame: its longest beginning that is UTF-8.
pub(crate) fn sendable(reason: &[u8]) -> &str {
    let reason = &reason[..reason.len().min(MAX_REASON_LEN)];
    let valid = match str::from_utf8(reason) {
        Ok(_) => reason.len(),
        Err(error) => error.valid_up_to(),
    };
    str::from_utf8(&reason[..valid]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes() {
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 3000, 4999] {
            assert_eq!(close_code(f64::from(code)).map(CloseCode::get), Some(code));
        }
        for code in [-1000.0, 0.0, 999.0, 1000.5, 1004.0, 1005.0, 1006.0, 1012.0, 1015.0, 2999.0, 5000.0] {
            assert_eq!(close_code(code), None, "{code}");
        }
        for code in [f64::NAN, f64::INFINITY, 65536.0 + 1000.0] {
            assert_eq!(close_code(code), None, "{code}");
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(sendable(b""), "");
        assert_eq!(sendable(b"bye"), "bye");
        assert_eq!(sendable("ä".repeat(70).as_bytes()), "ä".repeat(61));
        assert_eq!(sendable(b"good \xff bad"), "good ");
    }
}
