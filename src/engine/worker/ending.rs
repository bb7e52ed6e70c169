//! Flushing output, and the end of connections.

use std::io;
use std::sync::atomic::Ordering;

use lapps_lua::port::Event;
use lapps_lua::reactive::Verdict;

use super::input::link_to;
use super::{Fin, Home, Pause, Worker};
use crate::engine::slab::Key;
use crate::engine::{log_failure, number};
use crate::net::ended::{Ended, LastWord};
use crate::net::upgrade;
use crate::ops::causes::Cause;

impl Worker {
    /// Writes what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let (row, buffers) = self.outbox.row_and_buffers(key);
        if row.full {
            return self.end(key, Ended::Full);
        }
        let waited = row.queue.len();
        if row.close_sent && conn.protocol.is_open() && !conn.awaits_close {
            // A service has closed it: from now on the peer has little time to answer.
            conn.awaits_close = true;
            conn.since = self.now as u32;
            self.schedule(key);
            return self.flush(key);
        }
        if row.blocked
            || conn.ring.sending
            || (waited == 0 && conn.fin != Fin::Wanted && !conn.transport.wants_write())
        {
            if row.blocked && row.is_miscounted() {
                self.outbox.count_waiting(key);
            }
            return;
        }
        let written = if conn.may_send_by_ring(&row.queue) {
            match conn.transport.seal(&mut row.queue, buffers, &mut self.cipher) {
                Ok(()) => {
                    self.tally.bytes_out.add((waited - row.queue.len()) as u64);
                    return self.send_by_ring(key);
                }
                Err(error) => Err(error),
            }
        } else {
            conn.transport.write(&mut row.queue, buffers, &mut self.cipher)
        };
        self.tally.bytes_out.add((waited - row.queue.len()) as u64);
        self.after_write(key, written);
    }

    /// Goes on with a connection whose output was written, whole (`Ok(true)`) or as far as the socket took it.
    pub(super) fn after_write(&mut self, key: Key, written: io::Result<bool>) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let row = self.outbox.row(key);
        match written {
            Ok(true) => {
                if conn.fin == Fin::Wanted {
                    conn.transport.shutdown_write();
                    conn.fin = Fin::Sent;
                    if conn.eof {
                        return self.remove(key);
                    }
                }
            }
            Ok(false) => {
                // The socket had room, if little: with TLS that need not show in the queue.
                row.blocked = true;
                if conn.protocol.is_open() {
                    conn.since = self.now as u32;
                }
            }
            Err(error) => return self.end(key, Ended::Io(error.kind())),
        }
        if conn.protocol.is_closing() || conn.awaits_close {
            // The peer still reads what came before the end; its time begins when that is written.
            conn.since = self.now as u32;
        }
        let waiting = row.queue.len();
        let blocked = row.blocked;
        if row.is_miscounted() {
            self.outbox.count_waiting(key);
        }
        if blocked {
            self.await_room(key);
            self.schedule(key);
        }
        self.let_go_on(key, waiting);
    }

    /// Lets a connection be read again whose output, with what waits for its co-located instance, fell below the low
    /// mark, half of the high-water mark. What is in flight to a dedicated instance is looked at when it is read.
    fn let_go_on(&mut self, key: Key, waiting: usize) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.pause == Pause::Output {
            let of = |service: u16| self.registry.entry(usize::from(service)).service.outgoing_high_water;
            let (high_water, in_flight) = match conn.home {
                // Not after a close frame: nothing more is delivered, and the peer's answer is still to be read.
                Home::Here { service } if self.outbox.is_open(key) => (of(service), conn.in_flight),
                Home::Here { service } | Home::Dedicated { service, .. } => (of(service), 0),
                Home::None => (0, 0),
            };
            if waiting + in_flight <= high_water / 2 {
                conn.pause = Pause::Budget;
                self.ready.push(key);
            }
        }
    }

    /// The dedicated instance has handled what was marked; all its answers to that are in the output.
    pub(super) fn on_marked(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.in_flight -= std::mem::take(&mut conn.marked) as usize;
        let waiting = self.outbox.waiting(key);
        self.let_go_on(key, waiting);
    }

    /// The co-located instance has handled a message that waited.
    pub(super) fn on_handled(&mut self, key: Key, weight: usize) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.in_flight -= weight;
        let waiting = self.outbox.waiting(key);
        self.let_go_on(key, waiting);
    }

    /// Ends a connection: its service hears of it, the peer is told if that is possible, and it is removed at once or
    /// when the peer has had time to read.
    pub(super) fn end(&mut self, key: Key, why: Ended) {
        // Nobody hears of the end before what came before it.
        self.deliver_gathered();
        let Some(conn) = self.conns.get_mut(key) else { return };
        let peer = conn.peer();
        tracing::debug!(conn = number(self.outbox.id(key)), %peer, "connection ended: {why}");
        let was_closing = conn.protocol.is_closing();
        if !was_closing {
            let closed_here = self.outbox.row(key).close_sent;
            self.tally.ended.count(cause(&why, closed_here));
        }
        let open = conn.protocol.is_open();
        let answerable = conn.can_answer();
        conn.protocol.close();
        conn.held = None;
        match why {
            Ended::Full | Ended::Stalled | Ended::Undrained => {
                conn.transport.reset_on_close();
                return self.forget(key);
            }
            Ended::Io(_) | Ended::CloseUnanswered | Ended::Shutdown | Ended::Restart => {
                return self.forget(key);
            }
            Ended::Eof if was_closing => {
                // All was said on both sides, unless our side is not written yet.
                return if conn.fin == Fin::Sent { self.forget(key) } else { self.flush(key) };
            }
            Ended::HandshakeTimeout | Ended::Eof if !open => return self.forget(key),
            _ if was_closing => return self.forget(key),
            _ => {}
        }
        if open {
            conn.last_word = Some(why.last_word());
            conn.since = self.now as u32;
            if let Home::Dedicated { .. } = conn.home {
                // Its messages may still be on their way; the instance says when they are answered.
                self.tell_service(key);
                return self.schedule(key);
            }
            return self.say_last_word(key);
        }
        if answerable {
            match why {
                Ended::BadHead(error) => self.refuse(key, error.status(), &error.to_string()),
                Ended::LateHead => self.refuse(key, 408, "the request did not come in time"),
                _ => {}
            }
        }
        self.finish(key);
    }

    /// Sends a close frame, if one is due, and then FIN. Does nothing for a connection that has not ended, or the second
    /// time.
    pub(super) fn say_last_word(&mut self, key: Key) {
        let Some(word) = self.conns.get_mut(key).and_then(|conn| conn.last_word.take()) else { return };
        match word {
            LastWord::Close(code) => self.outbox.close(key, code, ""),
            LastWord::Nothing => self.outbox.shut(key),
        }
        self.tell_service(key);
        self.finish(key);
    }

    /// Lets FIN follow what waits to be written.
    fn finish(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.fin = Fin::Wanted;
        conn.since = self.now as u32;
        self.schedule(key);
        self.flush(key);
    }

    /// Tells the service, once, that a connection is over.
    fn tell_service(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let id = self.outbox.id(key);
        match std::mem::replace(&mut conn.home, Home::None) {
            Home::None => {}
            Home::Here { service } => {
                self.served[usize::from(service)] -= 1;
                if let Verdict::Fail(failure) = self.tell(service.into(), Event::Disconnected(id)) {
                    log_failure(&failure, false);
                }
                self.settle(service.into());
            }
            Home::Dedicated { service, instance } => {
                self.registry.entry(usize::from(service)).leave(usize::from(instance));
                self.served[usize::from(service)] -= 1;
                link_to(&mut self.links, instance).disconnected(id);
            }
        }
    }

    /// Ends what a connection has with its service, and removes it.
    fn forget(&mut self, key: Key) {
        self.outbox.shut(key);
        self.tell_service(key);
        self.remove(key);
    }

    /// Removes a connection; dropping the socket closes it.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(mut conn) = self.conns.remove(key) {
            self.tally.removed.add(1);
            if conn.ring.sending {
                // What was flushed is not taken back because the ring has not sent it yet.
                let (row, buffers) = self.outbox.row_and_buffers(key);
                let _ = conn.transport.write(&mut row.queue, buffers, &mut self.cipher);
            }
            self.outbox.remove(key);
            if self.poller.has_ring() {
                self.take_from_ring(key, &conn);
            } else {
                conn.transport.deregister(self.poller.registry());
            }
            self.load.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn refuse(&mut self, key: Key, status: u16, reason: &str) {
        self.tally.answers.count(status);
        self.outbox.append(key, |out| upgrade::write_refusal(out, status, &[], reason, false));
    }
}

/// As what an end is counted. `closed_here`: our close frame went first, so it was the service or the server who ended it.
fn cause(why: &Ended, closed_here: bool) -> Cause {
    match why {
        Ended::ByPeer(_) if closed_here => Cause::ByService,
        Ended::ByPeer(_) => Cause::ByPeer,
        Ended::Eof => Cause::Eof,
        Ended::Violation(_) => Cause::Violation,
        Ended::BadHead(_) => Cause::BadHead,
        Ended::Answered(_) => Cause::Answered,
        Ended::CloseUnanswered => Cause::CloseUnanswered,
        Ended::Full => Cause::Full,
        Ended::Stalled => Cause::Stalled,
        Ended::HandshakeTimeout | Ended::LateHead => Cause::HandshakeTimeout,
        Ended::Idle => Cause::Idle,
        // This is said only after another end, which was counted.
        Ended::Undrained | Ended::Io(_) => Cause::Io,
        Ended::Shutdown => Cause::Shutdown,
        Ended::Restart => Cause::Restart,
    }
}
