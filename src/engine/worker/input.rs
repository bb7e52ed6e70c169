//! Bytes from the socket to services: reading, decoding, delivering, pausing.

use std::io;
use std::ops::Range;

use lapps_lua::port::Event;
use lapps_lua::reactive::Verdict;

use super::batch::Delivered;
use super::instances::fail;
use super::{Conn, Fin, Held, Home, Pause, Worker};
use crate::engine::link::Link;
use crate::engine::presence::ServedBy;
use crate::engine::slab::Key;
use crate::engine::spsc::{Payload, SMALL};
use crate::net::connection::Happening;
use crate::net::ended::Ended;
use crate::net::transport::Taken;
use crate::net::upgrade::{self, Answer};
use crate::sys::APART;

/// Bytes read from one connection per turn.
const BYTES_PER_TURN: usize = 256 * 1024;

/// Frames taken from one connection per turn.
pub(super) const FRAMES_PER_TURN: u32 = 1000;

/// Connections that go on per turn because an instance has made room.
const WAITING_PER_TURN: usize = 256;

/// What a message counts for besides its bytes while a dedicated instance has not handled it: the letter, the entry in a
/// queue.
pub(super) const OVERHEAD: usize = 128;

/// How far decoding came.
enum Flow {
    /// All bytes were eaten.
    Eaten,
    /// The connection must wait; the bytes from here on are left.
    Paused(usize, Pause),
    /// So, and it waits already.
    Waits(usize),
    /// The connection has ended.
    Ended(Ended),
}

impl Worker {
    /// Goes on with a connection that was paused, if what it waited for has come.
    pub(super) fn resume(&mut self, key: Key) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.pause = Pause::No;
            self.read(key, true);
        }
    }

    /// Lets connections go on that wait for room in the ring of an instance, in the order in which they came to wait.
    pub(super) fn let_waiting_go_on(&mut self) {
        for instance in 0..self.links.len() {
            let waiting = self.links[instance].as_ref().map_or(0, Link::waiting);
            for _ in 0..waiting.min(WAITING_PER_TURN) {
                let Some(key) = self.links[instance].as_mut().and_then(Link::next) else { break };
                self.resume(key);
            }
        }
    }

    /// Reads a connection until its socket is drained, its budget is used up, or it must wait. `thorough`: a short read
    /// does not prove that the socket is drained, because the end of the stream or a pause is behind it.
    pub(super) fn read(&mut self, key: Key, thorough: bool) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        if conn.pause != Pause::No {
            return;
        }
        let handshaking = conn.transport.is_handshaking();
        if handshaking {
            if self.handshakes_left == 0 {
                self.pause(key, Pause::Budget);
                return;
            }
            self.handshakes_left -= 1;
        }
        if let Home::Dedicated { instance, .. } = conn.home
            && !link_to(&mut self.links, instance).has_room_for(key)
        {
            // What it has sent stays in the socket.
            return self.pause(key, Pause::Ring);
        }
        let mut frames = FRAMES_PER_TURN;
        if let Some(mut held) = conn.held.take() {
            let Held(held) = &mut *held;
            if !self.digest(key, held, &mut frames) {
                return self.flush(key);
            }
        }
        if self.conns.get(key).is_some_and(|conn| conn.ring.carries()) {
            self.ask_for_bytes(key);
            return self.flush(key);
        }
        let mut input = std::mem::take(&mut self.input);
        let len = self.read_socket(key, thorough, None, &mut input[APART..], &mut frames);
        self.input = input;
        if handshaking {
            self.count_handshake(key);
        }
        self.flush(key);
        if self.poller.has_ring() {
            self.after_reading(key, len);
        }
    }

    /// Goes on with a plain connection whose first read, into the read buffer, has come to this.
    #[inline(never)]
    pub(super) fn read_on(&mut self, key: Key, first: io::Result<Taken>) {
        let mut input = std::mem::take(&mut self.input);
        let len = self.read_socket(key, false, Some(first), &mut input[APART..], &mut { FRAMES_PER_TURN });
        self.input = input;
        self.flush(key);
        if self.poller.has_ring() {
            self.after_reading(key, len);
        }
    }

    /// Digests this part of the read buffer, which is the end of what has come.
    #[inline(never)]
    pub(super) fn digest_rest(&mut self, key: Key, rest: Range<usize>, mut frames: u32) {
        let mut input = std::mem::take(&mut self.input);
        self.digest(key, &mut input[rest], &mut frames);
        self.input = input;
        self.flush(key);
    }

    /// How many bytes have come. `first` is what the first read has brought, if that was done.
    fn read_socket(
        &mut self,
        key: Key,
        thorough: bool,
        mut first: Option<io::Result<Taken>>,
        input: &mut [u8],
        frames: &mut u32,
    ) -> usize {
        let mut len = 0;
        while let Some(conn) = self.conns.get_mut(key) {
            if conn.eof {
                self.end(key, Ended::Eof);
                break;
            }
            let taken = first.take().unwrap_or_else(|| conn.transport.read(&mut self.cipher, input));
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    self.end(key, Ended::Io(error.kind()));
                    break;
                }
            };
            len += taken.raw;
            conn.eof = taken.end;
            if taken.len > 0 {
                self.tally.bytes_in.add(taken.len as u64);
                conn.heard = self.now as u32;
                conn.pinged = false;
                if !self.digest(key, &mut input[..taken.len], frames) {
                    break;
                }
                if thorough && !self.deliver_before_reading_on(key) {
                    break;
                }
            }
            if taken.drained && !taken.end && (!thorough || taken.raw == 0) {
                break;
            }
            if len >= BYTES_PER_TURN && !taken.end {
                self.pause(key, Pause::Budget);
                break;
            }
        }
        len
    }

    /// Decodes and delivers `bytes`. False: the connection is paused (and holds what is left) or has ended.
    pub(super) fn digest(&mut self, key: Key, bytes: &mut [u8], frames: &mut u32) -> bool {
        let upgrading = self.conns.get(key).is_some_and(|conn| conn.protocol.is_upgrading());
        let flow = self.decode(key, bytes, frames);
        if upgrading {
            // An open connection may be due earlier than its handshake was.
            self.schedule(key);
        }
        match flow {
            Flow::Eaten => true,
            Flow::Paused(at, pause) => {
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.hold(&bytes[at..]);
                }
                self.pause(key, pause);
                false
            }
            Flow::Waits(at) => {
                if let Some(conn) = self.conns.get_mut(key) {
                    conn.hold(&bytes[at..]);
                }
                false
            }
            Flow::Ended(why) => {
                self.end(key, why);
                // What follows the end in these bytes is not looked at; what follows on the socket is drained.
                self.conns.get(key).is_some()
            }
        }
    }

    /// What follows is the end of the stream, perhaps: it has to find what came before it delivered. False: the connection waits.
    fn deliver_before_reading_on(&mut self, key: Key) -> bool {
        self.deliver_gathered();
        self.conns.get(key).is_some_and(|conn| conn.pause == Pause::No)
    }

    fn decode(&mut self, key: Key, bytes: &mut [u8], frames: &mut u32) -> Flow {
        let mut at = 0;
        while at < bytes.len() {
            let Some(conn) = self.conns.get_mut(key) else { return Flow::Eaten };
            // Both change when the request is answered.
            let (limits, high_water) = match conn.home {
                Home::Here { service } | Home::Dedicated { service, .. } => {
                    let entry = self.registry.entry(usize::from(service));
                    (entry.limits(), entry.service.outgoing_high_water)
                }
                Home::None => (self.settings.no_messages, usize::MAX),
            };
            if conn.home != Home::None {
                if *frames == 0 {
                    return Flow::Paused(at, Pause::Budget);
                }
                if let Home::Dedicated { instance, .. } = conn.home {
                    let link = link_to(&mut self.links, instance);
                    if conn.marked == 0 && conn.in_flight > high_water / 4 && link.has_room_for(key) {
                        link.mark(self.outbox.id(key));
                        conn.marked = u32::try_from(conn.in_flight).unwrap_or(u32::MAX);
                    }
                    if !link.has_room_for(key) {
                        return Flow::Paused(at, Pause::Ring);
                    }
                }
                // What is in flight counts as if it came back: an echo must not close a connection that reads late. Not
                // after a close frame: nothing more is delivered.
                let waiting = self.outbox.waiting(key);
                if waiting + conn.in_flight > high_water && (waiting > high_water || self.outbox.is_open(key))
                {
                    return Flow::Paused(at, Pause::Output);
                }
            }
            if conn.home != Home::None && self.outbox.is_open(key) {
                let (home, bytes) = (conn.home, &mut bytes[at..]);
                let delivered = match home {
                    Home::Here { service } if self.may_gather(service, bytes) => {
                        self.gather(key, service, &limits, high_water, frames, bytes)
                    }
                    Home::Here { service } if self.gathered.is_empty() => {
                        self.deliver_whole(key, service, &limits, high_water, frames, bytes)
                    }
                    Home::Dedicated { instance, .. } => {
                        self.post_whole(key, instance, &limits, high_water, frames, bytes)
                    }
                    _ => Delivered::Eaten(0),
                };
                match delivered {
                    Delivered::Eaten(0) => {}
                    Delivered::Eaten(eaten) => {
                        at += eaten;
                        continue;
                    }
                    Delivered::Wrong(violation) => return Flow::Ended(Ended::Violation(violation)),
                }
            }
            if !self.gathered.is_empty() {
                // What came before is delivered before; and then everything may be different.
                self.deliver_gathered();
                match self.conns.get(key) {
                    Some(conn) if conn.pause != Pause::No => return Flow::Waits(at),
                    _ => continue,
                }
            }
            let Some(conn) = self.conns.get_mut(key) else { return Flow::Eaten };
            let input = bytes[at..].as_ptr_range();
            let step = match conn.protocol.step(&self.settings.heads, &limits, &mut bytes[at..]) {
                Ok(step) => step,
                Err(why) => return Flow::Ended(why),
            };
            at += step.consumed;
            *frames = frames.saturating_sub(1);
            match step.happening {
                None => break,
                Some(Happening::Message { opcode, payload }) => {
                    // After our close frame nothing is delivered any more.
                    if !self.outbox.is_open(key) {
                        continue;
                    }
                    self.tally.messages_in.add(1);
                    let id = self.outbox.id(key);
                    match conn.home {
                        Home::Here { service } => {
                            let Some(instance) = &mut self.instances[usize::from(service)] else { continue };
                            let event = Event::Message { conn: id, opcode, payload };
                            let mut port = self.outbox.port_for(service.into(), id, &conn.transport);
                            match instance.deliver(&mut port, event) {
                                Verdict::Keep => {}
                                Verdict::Waits { weight } => conn.in_flight += weight,
                                Verdict::Fail(failure) => fail(&mut self.outbox, &failure),
                            }
                        }
                        Home::Dedicated { instance, .. } => {
                            conn.in_flight += payload.len() + OVERHEAD;
                            let link = link_to(&mut self.links, instance);
                            if payload.len() <= SMALL || input.contains(&payload.as_ptr()) {
                                link.message(id, opcode, payload);
                            } else {
                                // It was put together from several reads: it goes on where it lies.
                                let (bytes, from) =
                                    conn.protocol.take_message().expect("it is not in the input");
                                link.put(id, opcode, Payload::Owned(bytes, from));
                            }
                        }
                        Home::None => {}
                    }
                }
                Some(Happening::Ping(payload)) => self.outbox.pong(key, payload),
                Some(Happening::Pong) => {}
                Some(Happening::Close(code)) => return Flow::Ended(Ended::ByPeer(code)),
                Some(Happening::Request(head)) => {
                    let (registry, peer) = (&self.registry, conn.ip);
                    let mut answer = Answer::Close { status: 500 };
                    self.outbox.append(key, |out| answer = upgrade::answer(&head, peer, registry, out));
                    match answer {
                        Answer::Close { status } => {
                            self.tally.answers.count(status);
                            return Flow::Ended(Ended::Answered(status));
                        }
                        Answer::Open { service, admitted } => {
                            self.tally.answers.count(101);
                            let entry = self.registry.entry(service);
                            conn.protocol.open();
                            conn.since = self.now as u32;
                            let (home, by) = match entry.join(admitted) {
                                Some(instance) => (
                                    Home::Dedicated { service: service as u16, instance: instance as u16 },
                                    ServedBy::dedicated(instance),
                                ),
                                None => (Home::Here { service: service as u16 }, ServedBy::service(service)),
                            };
                            conn.home = home;
                            self.served[service] += 1;
                            self.outbox.open(key, entry.service.outgoing_limit, by);
                            let id = self.outbox.id(key);
                            if let Home::Dedicated { instance, .. } = home {
                                link_to(&mut self.links, instance).opened(id);
                            } else if let Some(instance) = &mut self.instances[service] {
                                let opened = Event::Opened(id);
                                if let Verdict::Fail(failure) =
                                    instance.deliver(&mut self.outbox.port(service), opened)
                                {
                                    fail(&mut self.outbox, &failure);
                                }
                            }
                        }
                    }
                }
            }
        }
        if let Some(conn) = self.conns.get_mut(key) {
            conn.release();
        }
        Flow::Eaten
    }

    /// Counts a TLS handshake that was under way, if it is over.
    #[cold]
    fn count_handshake(&self, key: Key) {
        match self.conns.get(key) {
            Some(conn) if conn.transport.is_handshaking() && !conn.protocol.is_closing() => {}
            Some(conn) if !conn.transport.is_handshaking() => self.tally.tls_done.add(1),
            _ => self.tally.tls_failed.add(1),
        }
    }

    /// Stops reading a connection until [`Worker::resume`].
    pub(super) fn pause(&mut self, key: Key, pause: Pause) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.pause = pause;
        match pause {
            Pause::Budget => self.tally.paused_budget.add(1),
            Pause::Output => self.tally.paused_output.add(1),
            Pause::Ring => self.tally.paused_ring.add(1),
            Pause::No => {}
        }
        match (pause, conn.home) {
            (Pause::Budget, _) => self.ready.push(key),
            (Pause::Ring, Home::Dedicated { instance, .. }) => {
                link_to(&mut self.links, instance).wait(key);
            }
            // Flushing lets it go on, or the instance.
            _ => {}
        }
    }
}

/// The line to an instance that serves a connection.
pub(super) fn link_to(links: &mut [Option<Link>], instance: u16) -> &mut Link {
    links[usize::from(instance)].as_mut().expect("an instance that serves a connection is connected")
}

impl Conn {
    /// Keeps bytes until it goes on, behind those that it keeps already.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        let Held(held) = &mut **self.held.get_or_insert_with(|| Box::new(Held(Vec::new())));
        held.extend_from_slice(bytes);
    }

    /// Gives back the memory of a message that was handed out.
    fn release(&mut self) {
        if let crate::net::connection::Connection::Open(decoder) = &mut self.protocol {
            decoder.release();
        }
    }

    /// True when the peer can still get an answer.
    pub(super) fn can_answer(&self) -> bool {
        self.fin == Fin::No
    }
}
