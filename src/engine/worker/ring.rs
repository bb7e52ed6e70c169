//! Connections that a ring serves: their bytes come as completions, and what they send goes with the next sleep.

use mio::Token;

use super::input::FRAMES_PER_TURN;
use super::{Conn, Fin, Pause, Worker, key_of, token_of};
use crate::engine::outbox::Outbox;
use crate::engine::slab::{Key, Slab};
use crate::net::ended::Ended;
use crate::net::write_queue::WriteQueue;
use crate::sys::APART;
use crate::sys::poller::Readiness;
use crate::sys::ring::{Asked, BUFFER_SIZE, Batch, News, Order, Sent, What, Wish, is_blocked};

/// What may come for a paused connection before receiving is cancelled. What the kernel has received by then comes, too.
const HELD: usize = 4 * BUFFER_SIZE;

/// Output up to this many bytes is sent by the ring. It keeps its memory until the worker wakes up.
const SMALL: usize = 16 * 1024;

/// A connection that fills a buffer is read by calls from then on: buffers that are filled ahead are in no cache when their turn
/// comes, and messages are cut at their ends. After so many reads in a row that brought little the ring brings its bytes again.
const LITTLE_READS: u8 = 32;

/// What is little.
const LITTLE: usize = BUFFER_SIZE / 4;

/// What the ring does for a connection; nothing where the worker has none.
#[derive(Default)]
pub(super) struct RingSide {
    receiving: Receiving,
    /// Its output goes with the next sleep, or is on its way.
    pub(super) sending: bool,
    /// The ring says when the socket becomes readable or writable.
    watches: bool,
    /// Reads in a row that brought little.
    little_reads: u8,
    /// The ring will say when the socket has room.
    awaits_room: bool,
    /// The ring will say when the socket fails.
    awaits_fault: bool,
}

/// How the bytes of a connection come.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    /// They are read when the socket is ready.
    #[default]
    ByReading,
    /// The ring brings them when it is asked.
    Unasked,
    /// The ring brings them.
    Asked,
    /// The ring brings them until it says that it has stopped.
    Stopping,
    /// So, and then they are read.
    Leaving,
}

/// What the ring is to be asked for with the next sleep, if the connection is there by then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    Last(Asked),
    Send,
}

/// How many frames may still be taken in this turn from the connection whose bytes came last.
pub(super) struct Allowance {
    key: Option<Key>,
    frames: u32,
}

impl RingSide {
    /// True when bytes come, and go, by the ring.
    pub(super) fn carries(&self) -> bool {
        self.receiving != Receiving::ByReading
    }
}

impl Allowance {
    pub(super) fn new() -> Allowance {
        Allowance { key: None, frames: 0 }
    }

    fn of(&mut self, key: Key) -> &mut u32 {
        if self.key != Some(key) {
            *self = Allowance { key: Some(key), frames: FRAMES_PER_TURN };
        }
        &mut self.frames
    }
}

impl Conn {
    /// True when what waits is to go with the next sleep: a call of its own is dear only for what is small, and what the
    /// worker has to do after a write should not wait until it wakes up again.
    pub(super) fn may_send_by_ring(&self, queue: &WriteQueue) -> bool {
        let fits = if self.transport.is_plain() {
            queue.len() <= SMALL && queue.is_one_piece()
        } else {
            // TLS makes one record of it, with nothing before it that has to go along.
            queue.len() <= LITTLE && !self.transport.wants_write()
        };
        fits && !queue.is_empty() && self.ring.carries() && !self.has_more_to_do_when_written()
    }

    fn has_more_to_do_when_written(&self) -> bool {
        self.fin == Fin::Wanted || self.pause == Pause::Output
    }
}

impl Worker {
    /// True when something has to be done as soon as what is wanted of the ring is done: there is no time to sleep.
    pub(super) fn wants_to_go_on(&self) -> bool {
        self.wanted.iter().filter(|(_, need)| *need == Need::Send).any(|(key, _)| {
            let conn = self.conns.get(*key);
            conn.is_some_and(|conn| {
                let goes = if conn.transport.is_plain() { self.outbox.front(*key).len() } else { 0 };
                conn.has_more_to_do_when_written() || goes < self.outbox.waiting(*key)
            })
        })
    }

    /// Hands a new connection to the ring: as a whole, or with TLS its readiness until the handshake is done. False: the
    /// worker has none.
    pub(super) fn give_to_ring(&mut self, key: Key) -> bool {
        let Some(conn) = self.conns.get_mut(key).filter(|_| self.poller.has_ring()) else { return false };
        if conn.transport.is_plain() {
            conn.ring.receiving = Receiving::Unasked;
            self.ask_for_bytes(key);
        } else {
            self.watch(key);
            if let Some(conn) = self.conns.get_mut(key) {
                conn.ring.little_reads = LITTLE_READS;
            }
        }
        true
    }

    /// Lets the ring say when there is something to read, and room.
    fn watch(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.ring.receiving = Receiving::ByReading;
            conn.ring.watches = true;
            conn.ring.little_reads = 0;
            self.wanted.push((key, Need::Last(Asked::Watch)));
        }
    }

    /// Lets the ring bring the bytes of a connection again that was read by calls, if these brought little for long.
    pub(super) fn after_reading(&mut self, key: Key, len: usize) {
        // One that brought nothing tells nothing: the poll reports every piece, and the first read takes them all.
        let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.ring.watches && len > 0) else { return };
        conn.ring.little_reads = if len <= LITTLE { conn.ring.little_reads.saturating_add(1) } else { 0 };
        let is_calm = conn.ring.little_reads >= LITTLE_READS && conn.pause == Pause::No && !conn.eof;
        let is_written = self.outbox.waiting(key) == 0 && !conn.transport.wants_write();
        if is_calm && is_written && !conn.transport.is_handshaking() {
            conn.ring.watches = false;
            conn.ring.receiving = Receiving::Unasked;
            if let Some(ring) = self.poller.ring() {
                ring.cancel(token_of(key).0 as u64, Asked::Watch);
            }
            self.ask_for_bytes(key);
        }
    }

    /// Ends what the ring does for a connection that is removed; until then the kernel keeps the socket open.
    pub(super) fn take_from_ring(&mut self, key: Key, conn: &Conn) {
        let Some(ring) = self.poller.ring() else { return };
        let token = token_of(key).0 as u64;
        let side = &conn.ring;
        let lasting = [
            (side.receiving == Receiving::Asked, Asked::Receive),
            (side.watches, Asked::Watch),
            (side.awaits_room, Asked::Writable),
            (side.awaits_fault, Asked::Fault),
        ];
        for (_, asked) in lasting.into_iter().filter(|(is_asked, _)| *is_asked) {
            ring.cancel(token, asked);
        }
    }

    /// Lets the ring bring what comes, unless it does, or the connection has nothing more to say.
    pub(super) fn ask_for_bytes(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.eof {
            self.end(key, Ended::Eof);
        } else if conn.ring.receiving == Receiving::Unasked {
            conn.ring.receiving = Receiving::Asked;
            self.wanted.push((key, Need::Last(Asked::Receive)));
        }
    }

    /// Lets the ring send what is first in the queue of a connection, or was made of it by TLS.
    pub(super) fn send_by_ring(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.ring.sending = true;
            self.wanted.push((key, Need::Send));
        }
    }

    /// Lets the ring say when a socket has room again.
    pub(super) fn await_room(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.ring.carries() && !std::mem::replace(&mut conn.ring.awaits_room, true) {
            self.wanted.push((key, Need::Last(Asked::Writable)));
        }
    }

    /// Sees to what the ring has done.
    pub(super) fn take_batch(&mut self, batch: &mut Batch) {
        // What was sent leaves all queues before anybody does something about one of them.
        for Sent { token, result, .. } in &batch.sent {
            let key = key_of(Token(*token as usize));
            let Some(conn) = self.conns.get_mut(key) else { continue };
            conn.ring.sending = false;
            let written = *result.as_ref().unwrap_or(&0);
            if conn.transport.is_plain() {
                self.outbox.consume(key, written);
                self.tally.bytes_out.add(written as u64);
            } else {
                conn.transport.consume(written);
            }
        }
        for sent in batch.sent.drain(..) {
            self.on_sent(sent);
        }
        let mut allowance = Allowance::new();
        for News { token, what, more } in batch.news.drain(..) {
            let key = key_of(Token(token as usize));
            match what {
                What::Bytes(mut bytes) => {
                    self.on_bytes(key, &mut bytes, more, &mut allowance);
                    if let Some(ring) = self.poller.ring() {
                        ring.give(bytes);
                    }
                }
                What::End | What::Failed(_) | What::Stopped => self.on_end(key, what),
                What::Ready(asked, readiness) => self.on_asked(key, asked, readiness, more),
            }
        }
    }

    fn on_sent(&mut self, sent: Sent) {
        let key = key_of(Token(sent.token as usize));
        if self.conns.get(key).is_none_or(|conn| conn.ring.sending) {
            // It has gone, or somebody has flushed it meanwhile.
            return;
        }
        match sent.result {
            Ok(len) if len < sent.asked => self.after_write(key, Ok(false)),
            Ok(_) if self.outbox.waiting(key) == 0 => self.after_write(key, Ok(true)),
            Ok(_) => self.flush(key),
            result if is_blocked(&result) => self.after_write(key, Ok(false)),
            Err(error) => self.after_write(key, Err(error)),
        }
    }

    fn on_bytes(&mut self, key: Key, bytes: &mut [u8], more: bool, allowance: &mut Allowance) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if !more {
            conn.ring.receiving = Receiving::Unasked;
        }
        let most = if conn.transport.is_plain() { BUFFER_SIZE } else { LITTLE + 1 };
        if bytes.len() >= most && conn.pause == Pause::No {
            match conn.ring.receiving {
                Receiving::Unasked => self.watch(key),
                Receiving::Asked => self.stop_receiving(key, Receiving::Leaving),
                _ => {}
            }
        }
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.transport.is_plain() {
            return self.on_plaintext(key, bytes, allowance);
        }
        if conn.eof {
            // It has said goodbye: what follows is nobody's.
            return;
        }
        let mut input = std::mem::take(&mut self.input);
        match conn.transport.open(bytes, &mut self.cipher, &mut input[APART..]) {
            Ok(taken) => {
                conn.eof = taken.end;
                let owes_answer = conn.transport.wants_write();
                self.on_plaintext(key, &mut input[APART..][..taken.len], allowance);
                if owes_answer {
                    self.flush(key);
                }
            }
            Err(error) => self.end(key, Ended::Io(error.kind())),
        }
        self.input = input;
    }

    fn on_plaintext(&mut self, key: Key, bytes: &mut [u8], allowance: &mut Allowance) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        self.tally.bytes_in.add(bytes.len() as u64);
        if conn.pause != Pause::No {
            conn.hold(bytes);
            let held = conn.held.as_ref().map_or(0, |held| held.0.len());
            if held > HELD && conn.ring.receiving == Receiving::Asked {
                self.stop_receiving(key, Receiving::Stopping);
            }
            return;
        }
        if !bytes.is_empty() {
            conn.heard = self.now as u32;
            conn.pinged = false;
        }
        // What it answers is flushed at the end of the turn, together with the answers to what else comes.
        if self.digest(key, bytes, allowance.of(key)) {
            self.ask_for_bytes(key);
        }
    }

    fn stop_receiving(&mut self, key: Key, until: Receiving) {
        if let (Some(conn), Some(ring)) = (self.conns.get_mut(key), self.poller.ring()) {
            conn.ring.receiving = until;
            ring.cancel(token_of(key).0 as u64, Asked::Receive);
        }
    }

    fn on_end(&mut self, key: Key, what: What) {
        self.deliver_gathered();
        let Some(conn) = self.conns.get_mut(key) else { return };
        let receiving = std::mem::replace(&mut conn.ring.receiving, Receiving::Unasked);
        conn.eof |= matches!(what, What::End);
        let paused = conn.pause != Pause::No;
        match what {
            What::Failed(error) => self.end(key, Ended::Io(error.kind())),
            What::Stopped if receiving == Receiving::Leaving => self.watch(key),
            What::Stopped if paused && !std::mem::replace(&mut conn.ring.awaits_fault, true) => {
                // It is not read: this is the only way to hear of a reset.
                self.wanted.push((key, Need::Last(Asked::Fault)));
            }
            _ if !paused => self.ask_for_bytes(key),
            _ => {}
        }
    }

    fn on_asked(&mut self, key: Key, asked: Asked, readiness: Readiness, more: bool) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        match asked {
            Asked::Writable => {
                conn.ring.awaits_room = false;
                self.on_readiness(key, Readiness { writable: true, ..Readiness::default() });
            }
            Asked::Fault => {
                conn.ring.awaits_fault = false;
                if readiness.error && conn.pause != Pause::No {
                    self.end(key, Ended::Io(std::io::ErrorKind::ConnectionReset));
                }
            }
            Asked::Watch | Asked::Receive => {
                if !more && conn.ring.watches {
                    self.wanted.push((key, Need::Last(asked)));
                }
                self.on_readiness(key, readiness);
            }
        }
    }
}

/// What is asked of the ring, if the connection is still there.
pub(super) fn order<'w>(
    conns: &'w Slab<Conn>,
    outbox: &'w Outbox,
    key: Key,
    need: Need,
) -> Option<Order<'w>> {
    let conn = conns.get(key)?;
    let wish = match need {
        Need::Last(Asked::Receive) => Wish::Receive,
        Need::Last(Asked::Watch) => Wish::Watch,
        Need::Last(Asked::Writable) => Wish::Writable,
        Need::Last(Asked::Fault) => Wish::Fault,
        Need::Send => Wish::Send(conn.transport.front(outbox.front(key))),
    };
    Some(Order::new(token_of(key).0 as u64, conn.transport.socket(), wish))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Duration;

    use rustls::{ClientConnection, StreamOwned};

    use super::super::Held;
    use super::super::tests::{connect, sleeping_in};
    use super::*;
    use crate::net::tls::Identity;
    use crate::net::tls::session::testing::{client_config, localhost, server_config};
    use crate::sys::poller::{Happenings, Poller};
    use crate::sys::ring::{BUFFERS, Ring, reason};

    const LONG: Option<Duration> = Some(Duration::from_secs(30));

    /// A worker with a ring, and what it is brought.
    fn worker() -> Option<(Worker, Happenings)> {
        worker_with(None)
    }

    fn worker_with(tls: Option<Identity>) -> Option<(Worker, Happenings)> {
        if let Err(error) = Ring::probe() {
            println!("skipped: no io_uring: {}", reason(&error));
            return None;
        }
        let mut poller = Poller::with_ring().unwrap();
        poller.enable().unwrap();
        Some((sleeping_in(poller, tls, 1000, Vec::new()), Happenings::with_capacity(8)))
    }

    #[test]
    fn what_comes_late_for_a_connection_never_reaches_the_next_one_in_its_slot() {
        let Some((mut worker, mut happenings)) = worker() else { return };
        let (old, mut client) = connect(&mut worker);
        client.write_all(b"GET / HT").unwrap();
        while happenings.batch.news.is_empty() {
            worker.wait(&mut happenings, LONG).unwrap();
        }
        worker.remove(old);
        let (new, _client) = connect(&mut worker);
        assert_eq!(new.slot, old.slot);
        worker.take_batch(&mut happenings.batch);
        assert!(!worker.conns.get(new).unwrap().protocol.has_partial_head());
    }

    #[test]
    fn a_connection_that_is_removed_leaves_nothing_open() {
        let Some((mut worker, mut happenings)) = worker() else { return };
        let (key, mut client) = connect(&mut worker);
        worker.wait(&mut happenings, Some(Duration::ZERO)).unwrap();
        worker.remove(key);
        worker.wait(&mut happenings, Some(Duration::ZERO)).unwrap();
        client.set_read_timeout(LONG).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    /// One turn, but for mail and timers.
    fn turn(worker: &mut Worker, happenings: &mut Happenings) {
        worker.wait(happenings, LONG).unwrap();
        worker.handshakes_left = u32::MAX;
        worker.take_happenings(happenings);
        worker.flush_all(&mut Vec::new());
    }

    /// A connection with TLS whose handshake is done and whose bytes are the ring's, and the client's end.
    fn secured(
        worker: &mut Worker,
        happenings: &mut Happenings,
    ) -> (Key, impl Read + Write + Send + 'static) {
        let (key, socket) = connect(worker);
        socket.set_read_timeout(LONG).unwrap();
        let session = ClientConnection::new(client_config(), localhost()).unwrap();
        let client = std::thread::spawn(move || {
            let mut stream = StreamOwned::new(session, socket);
            stream.write_all(b"GET / HT").unwrap();
            stream
        });
        let is_secured = |conn: &Conn| conn.ring.carries() && conn.protocol.has_partial_head();
        while !is_secured(worker.conns.get(key).unwrap()) {
            turn(worker, happenings);
        }
        let client = client.join().unwrap();
        (key, client)
    }

    #[test]
    fn tls_is_received_and_sent_by_the_ring_when_the_handshake_is_done() {
        let Some((mut worker, mut happenings)) = worker_with(Some(Identity::of(server_config()))) else {
            return;
        };
        let (key, mut client) = secured(&mut worker, &mut happenings);
        client.write_all(b"X: ").unwrap();
        let before = worker.tally.bytes_in.get();
        while worker.tally.bytes_in.get() < before + 3 {
            turn(&mut worker, &mut happenings);
        }
        assert!(worker.conns.get(key).unwrap().ring.receiving == Receiving::Asked);
        worker.outbox.append(key, |out| out.extend_from_slice(b"second"));
        worker.flush(key);
        assert!(worker.conns.get(key).unwrap().ring.sending && worker.outbox.waiting(key) == 0);
        // It comes with the next sleep, which begins with what it has to say.
        worker.wait(&mut happenings, Some(Duration::ZERO)).unwrap();
        worker.take_happenings(&mut happenings);
        let side = &worker.conns.get(key).unwrap();
        assert!(!side.ring.sending && !side.transport.wants_write());
        let mut got = [0; 6];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"second");
        // What is ordered and not sent when the connection goes is sent nevertheless.
        worker.outbox.append(key, |out| out.extend_from_slice(b"third"));
        worker.flush(key);
        worker.remove(key);
        let mut got = [0; 5];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"third");
    }

    #[test]
    fn what_comes_for_a_paused_connection_is_bounded_and_nothing_of_it_is_lost() {
        if let Some((mut worker, mut happenings)) = worker() {
            let (key, client) = connect(&mut worker);
            pause_and_go_on(worker, &mut happenings, key, client);
        }
        if let Some((mut worker, mut happenings)) = worker_with(Some(Identity::of(server_config()))) {
            let (key, client) = secured(&mut worker, &mut happenings);
            pause_and_go_on(worker, &mut happenings, key, client);
        }
    }

    fn pause_and_go_on(
        mut worker: Worker,
        happenings: &mut Happenings,
        key: Key,
        mut client: impl Write + Send + 'static,
    ) {
        worker.conns.get_mut(key).unwrap().pause = Pause::Output;
        let sent: Vec<u8> = (0..16 << 20).map(|at| (at / 5) as u8).collect();
        let writer = std::thread::spawn({
            let sent = sent.clone();
            // Cut short when the connection goes.
            move || drop(client.write_all(&sent))
        });
        let mut received = Vec::new();
        for _ in 0..3 {
            while worker.conns.get(key).unwrap().ring.receiving != Receiving::Unasked {
                worker.wait(happenings, LONG).unwrap();
                worker.take_batch(&mut happenings.batch);
            }
            let conn = worker.conns.get_mut(key).unwrap();
            let Held(held) = *conn.held.take().unwrap();
            assert!(HELD < held.len() && held.len() <= HELD + BUFFERS * BUFFER_SIZE, "{}", held.len());
            received.extend(held);
            assert!(conn.ring.awaits_fault);
            worker.ask_for_bytes(key);
        }
        assert!(received == sent[..received.len()]);
        worker.remove(key);
        worker.wait(happenings, Some(Duration::ZERO)).unwrap();
        writer.join().unwrap();
    }
}
