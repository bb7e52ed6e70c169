//! Flushing output, and the end of outgoing connections.

use std::io;

use lapps_lua::port::ClientEvent;
use lapps_parser::close::CloseCode;

use super::beginning::plainly;
use super::calls::{Calls, id};
use super::input::see_to;
use super::{Host, Phase, Set};
use crate::engine::number;
use crate::engine::slab::Key;

/// What stands for the code of a close frame without one, and for a close frame that did not come (RFC 6455 section 7.4.1).
const NO_CODE: u16 = 1005;
const NO_FRAME: u16 = 1006;

/// How a connection ends.
pub(super) enum End<'a> {
    /// It could not be opened, or broke: why, and what the server is told, where frames can be sent.
    Failed(&'a str, Option<CloseCode>),
    /// The server's close frame has come.
    Closed(Option<CloseCode>, &'a str),
    /// The service has closed it, and the server's close frame did not come.
    Unanswered,
}

impl Set {
    /// Writes what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self, key: Key, host: &mut impl Host) {
        let now = self.now as u32;
        let calls = host.calls();
        let recalled = calls.is_recalled(key);
        let conn = self.conns.get_mut(key.slot as usize).and_then(Option::as_mut);
        let Some(conn) = conn.filter(|conn| conn.generation == key.generation) else { return };
        if recalled && matches!(conn.phase, Phase::Standing | Phase::Upgrading | Phase::Open) {
            return self.end(key, End::Unanswered, host);
        }
        let Some((row, buffers)) = calls.row_and_buffers(key) else { return };
        let Some(transport) = &mut conn.transport else { return };
        if row.close_sent && conn.phase == Phase::Open {
            // The service has closed it: from now on the server has little time to answer.
            conn.phase = Phase::Closing;
            conn.since = now;
            self.schedule(key);
            return self.flush(key, host);
        }
        if row.blocked || (row.queue.is_empty() && !transport.wants_write()) {
            return self.let_go_on(key, calls);
        }
        match transport.write(&mut row.queue, buffers, &mut self.cipher) {
            Ok(true) if conn.eof && conn.phase == Phase::Ended => return self.remove(key, calls),
            Ok(all) => row.blocked = !all,
            Err(error) => return self.broken(key, &error, host),
        }
        if matches!(conn.phase, Phase::Closing | Phase::Ended) {
            // The server still reads what came before the end; its time begins when that is written.
            conn.since = now;
        }
        self.let_go_on(key, calls);
    }

    /// The server has closed the stream.
    pub(super) fn end_of_stream(&mut self, key: Key, host: &mut impl Host) {
        match self.get(key).map(|conn| conn.phase) {
            // It may have shut its half only, and still read our last word.
            Some(Phase::Ended) if host.calls().waiting(key) > 0 => {}
            Some(Phase::Ended) => self.remove(key, host.calls()),
            Some(Phase::Closing) => self.end(key, End::Unanswered, host),
            Some(Phase::Upgrading) => {
                self.end(key, End::Failed("the server closed the stream instead of answering", None), host);
            }
            Some(_) => {
                self.end(key, End::Failed("the server closed the stream without a close frame", None), host);
            }
            None => {}
        }
    }

    /// The socket, or TLS, has failed.
    pub(super) fn broken(&mut self, key: Key, error: &io::Error, host: &mut impl Host) {
        match self.get(key).map(|conn| conn.phase) {
            Some(Phase::Ended) | None => {}
            Some(Phase::Closing) => self.end(key, End::Unanswered, host),
            // TLS's own words.
            Some(_) if error.get_ref().is_some() => {
                self.end(key, End::Failed(&format!("TLS failed: {error}"), None), host);
            }
            Some(_) => self.end(key, End::Failed(&plainly(error), None), host),
        }
        self.cut(key, host.calls());
    }

    /// Ends a connection: its service hears of it, the server is told if that is possible, and it is removed at once or when
    /// the server has closed the stream.
    pub(super) fn end(&mut self, key: Key, how: End<'_>, host: &mut impl Host) {
        let now = self.now as u32;
        let Some(conn) = self.get(key) else { return };
        let frames = conn.protocol.is_open();
        let was_closing = conn.phase == Phase::Closing;
        conn.protocol.close();
        conn.held = Vec::new();
        conn.phase = Phase::Ended;
        conn.since = now;
        tracing::debug!(conn = number(id(key)), "outgoing connection ended: {}", how.text());
        let calls = host.calls();
        let lingers = frames
            && match how {
                // RFC 6455 section 5.5.1: the answer to a close frame carries its code, if it has one.
                End::Closed(code, _) => {
                    calls.close(key, code, "");
                    true
                }
                End::Failed(_, Some(code)) => {
                    calls.close(key, Some(code), "");
                    true
                }
                End::Failed(_, None) | End::Unanswered => false,
            };
        calls.shut(key);
        self.tell(key, &how, was_closing, host);
        if lingers {
            self.schedule(key);
            host.calls().touch(key);
        } else {
            self.remove(key, host.calls());
        }
    }

    /// Tells the service, once.
    fn tell(&mut self, key: Key, how: &End<'_>, was_closing: bool, host: &mut impl Host) {
        let Some(conn) = self.get(key) else { return };
        if std::mem::replace(&mut conn.told, true) {
            return;
        }
        let owner = conn.owner;
        self.open -= 1;
        let event = match *how {
            // What happens after the service has closed it is no error of anybody's.
            End::Failed(..) if was_closing => ClientEvent::Closed { code: NO_FRAME, reason: "" },
            End::Failed(text, _) => ClientEvent::Failed(text),
            End::Closed(code, reason) => {
                ClientEvent::Closed { code: code.map_or(NO_CODE, |code| code.get()), reason }
            }
            End::Unanswered => ClientEvent::Closed { code: NO_FRAME, reason: "" },
        };
        see_to(host.deliver(owner, id(key), event), key, host.calls());
    }

    /// Says goodbye to a connection because its instance ends.
    pub(super) fn dismiss(&mut self, key: Key, host: &mut impl Host) {
        match self.get(key).map(|conn| conn.phase) {
            Some(Phase::Naming | Phase::Connecting) => {
                self.unconnected(key, "the server stops".to_owned(), host)
            }
            Some(Phase::Standing | Phase::Upgrading) => {
                self.end(key, End::Failed("the server stops", None), host);
            }
            Some(Phase::Open) => host.calls().close(key, Some(CloseCode::GOING_AWAY), ""),
            Some(Phase::Closing | Phase::Ended) | None => {}
        }
    }

    /// Removes a connection that has ended and whose stream has, too.
    fn cut(&mut self, key: Key, calls: &mut Calls) {
        if self.get(key).is_some_and(|conn| conn.phase == Phase::Ended) {
            self.remove(key, calls);
        }
    }

    /// Removes a connection without a word; dropping the socket closes it.
    pub(super) fn remove(&mut self, key: Key, calls: &mut Calls) {
        let Some(conn) = self.get(key) else { return };
        if !conn.told {
            self.open -= 1;
        }
        if let Some(mut conn) = self.conns[key.slot as usize].take()
            && let Some(transport) = &mut conn.transport
        {
            let _ = self.registry.deregister(transport.stream());
        }
        calls.remove(key);
    }
}

impl End<'_> {
    fn text(&self) -> String {
        match self {
            End::Failed(text, _) => (*text).to_owned(),
            End::Closed(Some(code), _) => format!("closed by the server with {code}"),
            End::Closed(None, _) => "closed by the server without a code".to_owned(),
            End::Unanswered => "closed by the service".to_owned(),
        }
    }
}
