//! All that a worker's connections have still to send: where services' commands arrive.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use lapps_lua::port::{Answer, Channel, Command, ConnId, Connect, Port};
use lapps_parser::close::{self, CloseCode};
use lapps_parser::frame::{self, FrameHeader, MAX_HEADER_LEN, OpCode};

use self::answer::{Asker, LARGE};
use super::channels::Channels;
use super::clients::Calls;
use super::frames::Framing;
use super::life::Life;
use super::mail::Mail;
use super::mailbox::Postbox;
use super::presence::{Presence, ServedBy};
use super::slab::{CHUNK, Key};
use super::spsc::{Bytes, Payload};
use crate::net::write_queue::{Buffers, WriteQueue};
use crate::ops::tally::{InstanceTally, WorkerTally};
use crate::services::registry::{Entry, Registry};
use crate::sys::prefetch::prefetch;

/// In place of a service: messages that a service elsewhere sends.
const ELSEWHERE: usize = usize::MAX;

/// The outgoing half of every connection of one worker, by slot. The incoming half is elsewhere, so that a service can
/// send while a message that is still borrowed from its connection is being delivered.
pub(crate) struct Outbox {
    worker: u8,
    /// As the slab of the incoming halves has them; empty while they rest there.
    chunks: Vec<Box<[Output]>>,
    /// Slots whose output has changed and that were not flushed since.
    dirty: Vec<u32>,
    pub(crate) buffers: Buffers,
    /// To the other workers, by number; `None` at our own.
    posts: Vec<Option<Postbox<Mail>>>,
    /// Of all workers, by number.
    presence: Arc<[Presence]>,
    /// Workers that got mail from us since they were last notified.
    to_notify: Vec<u8>,
    framing: Framing,
    channels: Arc<Channels>,
    /// The outgoing connections of the worker's instances.
    pub(crate) calls: Calls,
    life: Arc<Life>,
    /// The services, for those that ask whether they are to stop.
    registry: Arc<Registry>,
    /// What the worker counts, and its instances by number of their service.
    tally: Arc<WorkerTally>,
    seats: Vec<Option<Arc<InstanceTally>>>,
    sent: Sent,
}

/// What a service has sent to connections of the worker since that was last counted: its tally is not touched for each
/// message.
#[derive(Clone, Copy)]
struct Sent {
    by: usize,
    messages: u64,
    bytes: u64,
}

/// The worker as one of its co-located instances sees it.
pub(crate) struct ServicePort<'o> {
    outbox: &'o mut Outbox,
    service: usize,
    /// The connection whose message is delivered, for large answers.
    asker: Option<Asker<'o>>,
}

/// The outgoing half of one connection.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) queue: WriteQueue,
    /// Of the connection in this slot; 0 when there is none.
    generation: u32,
    /// Bytes that may wait before the connection is given up; less than 4 GiB.
    limit: u32,
    /// The upgrade was answered with 101 and no close frame was sent: services may send.
    open: bool,
    /// A close frame is in the queue or on the wire: nothing may follow it (RFC 6455 5.5.1).
    pub(crate) close_sent: bool,
    /// More than `limit` waited. Sticky: whatever waits is dropped, and the connection with it.
    pub(crate) full: bool,
    /// The socket took no more; it says when it does.
    pub(crate) blocked: bool,
    dirty: bool,
    /// How much of the queue the worker has counted as what waits.
    counted: Kib,
}

/// KiB, rounded up, in the three bytes that were free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kib([u8; 3]);

impl Outbox {
    pub(crate) fn new(
        worker: u8,
        posts: Vec<Option<Postbox<Mail>>>,
        channels: Arc<Channels>,
        life: Arc<Life>,
        registry: Arc<Registry>,
    ) -> Outbox {
        let (presence, framing) = (Arc::clone(channels.presence()), channels.framing());
        Outbox {
            worker,
            chunks: Vec::new(),
            dirty: Vec::new(),
            buffers: Buffers::default(),
            posts,
            presence,
            to_notify: Vec::new(),
            framing,
            channels,
            calls: Calls::new(),
            life,
            registry,
            tally: Arc::default(),
            seats: Vec::new(),
            sent: Sent { by: ELSEWHERE, messages: 0, bytes: 0 },
        }
    }

    /// From now on the worker counts here.
    pub(crate) fn count_in(&mut self, tally: Arc<WorkerTally>) {
        self.tally = tally;
    }

    /// From now on what the instance of this service sends is counted here.
    pub(crate) fn seat(&mut self, service: usize, tally: Arc<InstanceTally>) {
        self.settle_sent(ELSEWHERE);
        if self.seats.len() <= service {
            self.seats.resize_with(service + 1, || None);
        }
        self.seats[service] = Some(tally);
    }

    /// Counts what was sent; what is sent from now on is sent by this service.
    #[cold]
    fn settle_sent(&mut self, by: usize) {
        self.count_sent();
        self.sent.by = by;
    }

    fn count_sent(&mut self) {
        let Sent { by, messages, bytes } = self.sent;
        if messages > 0 {
            self.sent = Sent { by, messages: 0, bytes: 0 };
            self.tally.messages_out.add(messages);
            if let Some(Some(seat)) = self.seats.get(by) {
                seat.messages_out.add(messages);
                seat.bytes_out.add(bytes);
            }
        }
    }

    /// From now on these are the services.
    pub(crate) fn see(&mut self, registry: Arc<Registry>) {
        self.registry = registry;
    }

    /// The number of the worker.
    pub(crate) fn worker(&self) -> usize {
        usize::from(self.worker)
    }

    /// The door for the instance of this service.
    pub(crate) fn port(&mut self, service: usize) -> ServicePort<'_> {
        if self.sent.by != service {
            self.settle_sent(service);
        }
        ServicePort { outbox: self, service, asker: None }
    }

    /// The number by which services know the connection with this key.
    pub(crate) fn id(&self, key: Key) -> ConnId {
        ConnId::new(self.worker, key.slot, key.generation)
    }

    /// Makes the row of a new connection.
    pub(crate) fn add(&mut self, key: Key) {
        let number = key.slot as usize / CHUNK;
        if self.chunks.len() <= number {
            self.chunks.resize_with(number + 1, Default::default);
        }
        if self.chunks[number].is_empty() {
            self.chunks[number] = (0..CHUNK).map(|_| Output::default()).collect();
        }
        *self.row(key) = Output { generation: key.generation, ..Output::default() };
    }

    /// Lets services send to the connection, which this instance serves: the upgrade is answered.
    pub(crate) fn open(&mut self, key: Key, limit: usize, by: ServedBy) {
        self.presence[usize::from(self.worker)].arrive(self.id(key), by);
        let row = self.row(key);
        row.open = true;
        row.limit = u32::try_from(limit).unwrap_or(u32::MAX);
    }

    /// Lets nobody send any more. What waits is still sent.
    pub(crate) fn shut(&mut self, key: Key) {
        let conn = self.id(key);
        self.presence[usize::from(self.worker)].leave(conn);
        if std::mem::take(&mut self.row(key).open) {
            self.channels.forget(conn);
        }
    }

    /// Counts what still waits, after a write or while none is possible.
    #[cold]
    pub(crate) fn count_waiting(&mut self, key: Key) {
        let row = row_of(&mut self.chunks, key.slot);
        let waiting = row.to_count();
        self.tally.queued.shift(row.counted.bytes(), waiting.bytes());
        row.counted = waiting;
    }

    /// Forgets the connection and what waits for it.
    pub(crate) fn remove(&mut self, key: Key) {
        self.shut(key);
        let row = row_of(&mut self.chunks, key.slot);
        self.tally.queued.shift(row.counted.bytes(), 0);
        row.queue.clear(&mut self.buffers);
        *row = Output::default();
    }

    /// Gives back the memory of chunks whose connections are all gone, and what is kept for the next output.
    pub(crate) fn rest(&mut self, chunks: &[usize]) {
        let rows = &self.chunks;
        self.dirty.retain(|slot| rows[*slot as usize / CHUNK][*slot as usize % CHUNK].dirty);
        for number in chunks {
            if let Some(chunk) = self.chunks.get_mut(*number) {
                *chunk = Box::default();
            }
        }
        self.dirty.shrink_to_fit();
        self.buffers.rest();
    }

    /// The outgoing half of a connection that is there.
    pub(crate) fn row(&mut self, key: Key) -> &mut Output {
        row_of(&mut self.chunks, key.slot)
    }

    /// Lets the outgoing half of a connection be loaded, which will be asked for soon. The key may be invented.
    #[inline]
    pub(crate) fn prefetch(&self, key: Key) {
        let chunk = self.chunks.get(key.slot as usize / CHUNK);
        if let Some(row) = chunk.and_then(|chunk| chunk.get(key.slot as usize % CHUNK)) {
            prefetch(row);
        }
    }

    /// The outgoing half together with the stock of buffers, for a write.
    pub(crate) fn row_and_buffers(&mut self, key: Key) -> (&mut Output, &mut Buffers) {
        let row = row_of(&mut self.chunks, key.slot);
        row.dirty = false;
        (row, &mut self.buffers)
    }

    /// True while services may send. The key may be invented.
    pub(crate) fn is_open(&self, key: Key) -> bool {
        let chunk = self.chunks.get(key.slot as usize / CHUNK);
        let output = chunk.and_then(|chunk| chunk.get(key.slot as usize % CHUNK));
        output.is_some_and(|output| output.open && output.generation == key.generation)
    }

    /// Bytes that wait, if services may send and the socket took all that it was given. The connection is there.
    #[inline]
    pub(crate) fn waiting_if_usual(&mut self, key: Key) -> Option<usize> {
        let row = row_of(&mut self.chunks, key.slot);
        (row.open && !row.blocked).then(|| row.queue.len())
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self, key: Key) -> usize {
        self.chunks[key.slot as usize / CHUNK][key.slot as usize % CHUNK].queue.len()
    }

    /// The first of the bytes that wait, as far as they lie in one piece.
    pub(crate) fn front(&self, key: Key) -> &[u8] {
        self.chunks[key.slot as usize / CHUNK][key.slot as usize % CHUNK].queue.front()
    }

    /// Forgets bytes that were written elsewhere.
    pub(crate) fn consume(&mut self, key: Key, written: usize) {
        row_of(&mut self.chunks, key.slot).queue.consume(written, &mut self.buffers);
    }

    /// Appends bytes that are no frame: an HTTP response.
    pub(crate) fn append(&mut self, key: Key, write: impl FnOnce(&mut Vec<u8>)) {
        let row = row_of(&mut self.chunks, key.slot);
        row.queue.append(&mut self.buffers, 0, write);
        self.touch(key.slot);
    }

    /// Answers a ping.
    pub(crate) fn pong(&mut self, key: Key, payload: &[u8]) {
        let row = row_of(&mut self.chunks, key.slot);
        if !row.close_sent {
            let mut pong = [0; MAX_HEADER_LEN + 125];
            let header = FrameHeader::unmasked(OpCode::Pong, payload.len()).encode();
            let end = header.len() + payload.len();
            pong[..header.len()].copy_from_slice(&header);
            pong[header.len()..end].copy_from_slice(payload);
            row.queue.append_pong(&mut self.buffers, row.blocked, &pong[..end]);
            self.touch(key.slot);
        }
    }

    /// Asks whether the peer is still there.
    pub(crate) fn ping(&mut self, key: Key) {
        let row = row_of(&mut self.chunks, key.slot);
        if !row.close_sent {
            row.queue.append(&mut self.buffers, 2, |out| frame::write_frame(out, true, OpCode::Ping, &[]));
            self.touch(key.slot);
        }
    }

    /// Sends a close frame, the last thing that is sent; `None` sends one without a code. Does nothing the second time.
    pub(crate) fn close(&mut self, key: Key, code: Option<CloseCode>, reason: &str) {
        self.shut(key);
        let row = row_of(&mut self.chunks, key.slot);
        if !row.close_sent {
            row.close_sent = true;
            row.queue.append(&mut self.buffers, 32, |out| {
                let mut payload = Vec::new();
                if let Some(code) = code {
                    close::write_payload(&mut payload, code, reason);
                }
                frame::write_frame(out, true, OpCode::Close, &payload);
            });
            self.touch(key.slot);
        }
    }

    /// The connections whose output has changed since they were flushed.
    pub(crate) fn take_dirty(&mut self, keys: &mut Vec<Key>) {
        for slot in self.dirty.drain(..) {
            let row = row_of(&mut self.chunks, slot);
            if row.dirty {
                row.dirty = false;
                keys.push(Key { slot, generation: row.generation });
            }
        }
    }

    /// Wakes the workers that got mail from us, and counts what was sent.
    pub(crate) fn notify(&mut self) {
        self.count_sent();
        for worker in self.to_notify.drain(..) {
            if let Some(post) = &mut self.posts[usize::from(worker)] {
                post.notify();
            }
        }
    }

    fn touch(&mut self, slot: u32) {
        let row = row_of(&mut self.chunks, slot);
        if !row.dirty {
            row.dirty = true;
            self.dirty.push(slot);
        }
    }

    fn send(&mut self, conn: ConnId, opcode: OpCode, payload: &[u8]) -> Answer {
        let framing = self.framing;
        let answer = if payload.len() < LARGE && !framing.cuts(payload.len()) {
            self.admit(conn, |queue, buffers| queue.append_frame(buffers, opcode, payload))
        } else {
            self.write(conn, framing.room(payload.len()), |out| framing.write(out, opcode, payload))
        };
        if answer == Answer::Done {
            self.sent.messages += 1;
            self.sent.bytes += payload.len() as u64;
        }
        answer
    }

    /// Appends frames of about so many bytes to the output of an open connection of this worker.
    fn write(&mut self, conn: ConnId, expected: usize, write: impl FnOnce(&mut Vec<u8>)) -> Answer {
        self.admit(conn, |queue, buffers| queue.append(buffers, expected, write))
    }

    /// Lets `append` put frames into the output of an open connection of this worker.
    fn admit(&mut self, conn: ConnId, append: impl FnOnce(&mut WriteQueue, &mut Buffers)) -> Answer {
        let slot = conn.slot();
        let Some(row) = self
            .chunks
            .get_mut(slot as usize / CHUNK)
            .and_then(|chunk| chunk.get_mut(slot as usize % CHUNK))
            .filter(|row| row.open && row.generation == conn.generation())
        else {
            return Answer::Closed;
        };
        if row.queue.len() > row.limit as usize {
            row.full = true;
            row.open = false;
            self.presence[usize::from(self.worker)].leave(conn);
            self.channels.forget(conn);
            self.touch(slot);
            return Answer::Full;
        }
        append(&mut row.queue, &mut self.buffers);
        if !row.dirty {
            row.dirty = true;
            self.dirty.push(slot);
        }
        Answer::Done
    }

    /// Sends a message to all listeners of a channel: to all workers that have some, or to none.
    fn publish(&mut self, channel: Channel, payload: &[u8]) -> Answer {
        if !self.channels.has(channel) {
            return Answer::NoChannel;
        }
        let Outbox { channels, posts, .. } = self;
        let mut others = Vec::new();
        for (worker, post) in posts.iter_mut().enumerate() {
            let Some(post) = post else { continue };
            let listeners = channels.listeners(worker, channel);
            if listeners.is_empty() {
                continue;
            }
            if !post.has_room() {
                return Answer::Full;
            }
            others.push((worker, listeners));
        }
        let frames = self.channels.frames(payload);
        let own = self.channels.listeners(self.worker(), channel);
        for (worker, listeners) in others {
            if let Some(post) = &mut self.posts[worker] {
                let put = post.put(Mail::Publish { listeners, frames: Arc::clone(&frames) });
                debug_assert!(put.is_ok(), "has_room was asked");
                self.note(worker as u8);
            }
        }
        self.deliver(&own, &frames);
        Answer::Done
    }

    /// Appends the frames of a broadcast to the output of listeners that this worker has.
    pub(crate) fn deliver(&mut self, listeners: &[ConnId], frames: &Arc<[u8]>) {
        for conn in listeners {
            // Who has gone meanwhile, or does not read, is no concern of the others.
            if self.admit(*conn, |queue, buffers| queue.append_shared(buffers, frames)) == Answer::Done {
                self.tally.deliveries.add(1);
            }
        }
    }

    /// Appends frames that another thread has made to the output of a connection of this worker.
    pub(crate) fn pass_on(&mut self, conn: ConnId, frames: Bytes<'_>) {
        // What has become of the connection is known to its service already, or will be in a moment.
        let answer = match frames {
            Bytes::Here(frames) => self.write(conn, frames.len(), |out| out.extend_from_slice(frames)),
            Bytes::Owned(frames, 0) => self.admit(conn, |queue, buffers| {
                queue.append_owned(buffers, std::mem::take(frames));
            }),
            Bytes::Owned(frames, from) => {
                self.write(conn, frames.len() - from, |out| out.extend_from_slice(&frames[from..]))
            }
        };
        if answer == Answer::Done {
            self.tally.messages_out.add(1);
        }
    }

    /// Hands a command about a connection of another worker to that worker.
    fn forward(&mut self, conn: ConnId, mail: Mail, payload: Payload<'_>) -> Answer {
        let Some(presence) = self.presence.get(usize::from(conn.worker())) else {
            return Answer::Closed;
        };
        let Some(post) = &mut self.posts[usize::from(conn.worker())] else {
            return Answer::Closed;
        };
        if !presence.has(conn) {
            return Answer::Closed;
        }
        let closes = matches!(mail, Mail::Close { .. });
        if post.put_with(mail, payload).is_err() {
            return Answer::Full;
        }
        if closes {
            presence.leave(conn);
        }
        self.note(conn.worker());
        Answer::Done
    }

    /// Remembers a worker that got mail.
    fn note(&mut self, worker: u8) {
        if !self.to_notify.contains(&worker) {
            self.to_notify.push(worker);
        }
    }

    /// Carries out a command of an instance, here or elsewhere.
    pub(crate) fn command(&mut self, command: Command<'_>) -> Answer {
        match command {
            Command::Send { conn, opcode, payload } if conn.worker() == self.worker => {
                self.send(conn, opcode, payload)
            }
            Command::Send { conn, opcode, payload } => {
                let framing = self.framing;
                framing.post(opcode, payload, |frames| self.forward(conn, Mail::Frames(conn), frames))
            }
            Command::Close { conn, code, reason } if conn.worker() == self.worker => {
                let key = Key { slot: conn.slot(), generation: conn.generation() };
                if !self.is_open(key) {
                    return Answer::Closed;
                }
                self.close(key, Some(code), reason);
                Answer::Done
            }
            Command::Close { conn, code, reason } => {
                self.forward(conn, Mail::Close { conn, code, reason: reason.into() }, Payload::NONE)
            }
            Command::CreateChannel(channel) => self.channels.create(channel),
            Command::Subscribe { conn, channel } => self.channels.subscribe(channel, conn),
            Command::Unsubscribe { conn, channel } => self.channels.unsubscribe(channel, conn),
            Command::Publish { channel, payload } => self.publish(channel, payload),
        }
    }
}

impl Output {
    /// True when nothing has to be thought of but to write what waits.
    #[inline]
    pub(crate) fn is_usual(&self) -> bool {
        self.open && !self.full && !self.close_sent && !self.blocked && self.counted == Kib::default()
    }

    /// True when what waits is not what is counted.
    #[inline]
    pub(crate) fn is_miscounted(&self) -> bool {
        self.to_count() != self.counted
    }

    fn to_count(&self) -> Kib {
        Kib::of(self.queue.len())
    }
}

impl Kib {
    fn of(bytes: usize) -> Kib {
        let [low, middle, high, _] = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).to_le_bytes();
        Kib([low, middle, high])
    }

    fn bytes(self) -> u64 {
        let [low, middle, high] = self.0;
        u64::from(u32::from_le_bytes([low, middle, high, 0])) * 1024
    }
}

impl Port for ServicePort<'_> {
    fn command(&mut self, command: Command<'_>) -> Answer {
        match command {
            Command::Send { conn, opcode, payload }
                if payload.len() < LARGE && conn.worker() == self.outbox.worker =>
            {
                self.outbox.send(conn, opcode, payload)
            }
            Command::Send { conn, payload, .. } if conn.worker() != self.outbox.worker => {
                let answer = if conn.is_client() {
                    self.outbox.calls.command(self.service, command)
                } else {
                    self.outbox.command(command)
                };
                if let (Answer::Done, Some(Some(seat))) = (answer, self.outbox.seats.get(self.service)) {
                    seat.count_sent(payload.len());
                }
                answer
            }
            Command::Close { conn, .. } if conn.worker() != self.outbox.worker && conn.is_client() => {
                self.outbox.calls.command(self.service, command)
            }
            Command::Send { conn, opcode, payload } if payload.len() >= LARGE => match self.asker {
                Some(asker) if asker.conn == conn => self.outbox.send_directly(asker, opcode, payload),
                _ => self.outbox.command(command),
            },
            command => self.outbox.command(command),
        }
    }

    fn now(&mut self) -> Duration {
        self.outbox.life.now()
    }

    fn serves(&mut self, conn: ConnId) -> bool {
        let Outbox { worker, presence, .. } = &*self.outbox;
        conn.worker() == *worker
            && presence[usize::from(*worker)].is_served(conn, ServedBy::service(self.service))
    }

    fn is_stopping(&mut self) -> bool {
        let Outbox { life, registry, .. } = &*self.outbox;
        life.is_stopping() || registry.get(self.service).is_some_and(Entry::is_stopping)
    }

    fn connect(&mut self, request: &Connect<'_>) -> Result<ConnId, String> {
        self.outbox.calls.connect(self.service, request)
    }

    fn begin(&mut self, conn: ConnId) {
        self.outbox.calls.begin(self.service, conn);
    }

    fn abandon(&mut self, conn: ConnId) {
        self.outbox.calls.abandon(self.service, conn);
    }
}

fn row_of(chunks: &mut [Box<[Output]>], slot: u32) -> &mut Output {
    &mut chunks[slot as usize / CHUNK][slot as usize % CHUNK]
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const KEY: Key = Key { slot: 300, generation: 5 };

    pub(super) fn outbox() -> Outbox {
        let life = Arc::new(Life::new());
        let framing = Framing { auto_fragment: false };
        let channels = Arc::new(Channels::new(Arc::from([Presence::new()]), framing));
        let registry = Arc::new(Registry::new(std::iter::empty(), None));
        let mut outbox = Outbox::new(0, vec![None], channels, life, registry);
        outbox.add(KEY);
        outbox.open(KEY, 100, ServedBy::service(1));
        outbox
    }

    pub(super) fn send(outbox: &mut Outbox, conn: ConnId, payload: &[u8]) -> Answer {
        outbox.command(Command::Send { conn, opcode: OpCode::Binary, payload })
    }

    #[test]
    fn a_command_becomes_a_frame() {
        let mut outbox = outbox();
        let conn = outbox.id(KEY);
        assert_eq!(send(&mut outbox, conn, b"hello"), Answer::Done);
        assert_eq!(outbox.row(KEY).queue.front(), b"\x82\x05hello");
        let mut dirty = Vec::new();
        outbox.take_dirty(&mut dirty);
        assert_eq!(dirty, [KEY]);
    }

    #[test]
    fn a_stale_or_invented_handle_is_closed_and_touches_nobody() {
        let mut outbox = outbox();
        for conn in [
            ConnId::new(0, 300, 4),
            ConnId::new(0, 300, 6),
            ConnId::new(0, 301, 5),
            ConnId::new(0, 9_999_999, 5),
            ConnId::new(7, 300, 5),
        ] {
            assert_eq!(send(&mut outbox, conn, b"x"), Answer::Closed);
            let close = Command::Close { conn, code: CloseCode::NORMAL, reason: "" };
            assert_eq!(outbox.command(close), Answer::Closed);
        }
        assert!(outbox.row(KEY).queue.is_empty());
    }

    #[test]
    fn a_chunk_that_rests_is_there_again_for_the_next_connection() {
        let mut outbox = outbox();
        let (conn, chunk) = (outbox.id(KEY), KEY.slot as usize / CHUNK);
        assert_eq!(send(&mut outbox, conn, b"x"), Answer::Done);
        outbox.remove(KEY);
        outbox.rest(&[chunk, chunk + 1]);
        outbox.take_dirty(&mut Vec::new());
        assert_eq!(send(&mut outbox, conn, b"late"), Answer::Closed);
        let close = Command::Close { conn, code: CloseCode::NORMAL, reason: "" };
        assert_eq!(outbox.command(close), Answer::Closed);
        let next = Key { slot: KEY.slot + 1, generation: 1 };
        outbox.add(next);
        outbox.open(next, 100, ServedBy::service(1));
        let conn = outbox.id(next);
        assert_eq!(send(&mut outbox, conn, b"hello"), Answer::Done);
    }

    #[test]
    fn a_service_is_told_which_connections_it_serves() {
        let mut outbox = outbox();
        let conn = outbox.id(KEY);
        assert!(outbox.port(1).serves(conn) && !outbox.port(0).serves(conn));
        let elsewhere = ConnId::new(1, conn.slot(), conn.generation());
        assert!(!outbox.port(1).serves(elsewhere) && !outbox.port(1).serves(ConnId::new(0, 301, 5)));
        outbox.command(Command::Close { conn, code: CloseCode::NORMAL, reason: "" });
        assert!(!outbox.port(1).serves(conn));
    }

    #[test]
    fn nothing_is_sent_after_a_close_frame() {
        let mut outbox = outbox();
        let conn = outbox.id(KEY);
        let close = Command::Close { conn, code: CloseCode::NORMAL, reason: "bye" };
        assert_eq!(outbox.command(close), Answer::Done);
        assert_eq!(outbox.command(close), Answer::Closed);
        assert_eq!(send(&mut outbox, conn, b"late"), Answer::Closed);
        outbox.pong(KEY, b"late");
        outbox.ping(KEY);
        outbox.close(KEY, Some(CloseCode::INTERNAL), "");
        assert_eq!(outbox.row(KEY).queue.front(), b"\x88\x05\x03\xe8bye");
    }

    #[test]
    fn nothing_is_sent_after_the_limit_was_reached() {
        let mut outbox = outbox();
        let conn = outbox.id(KEY);
        assert_eq!(send(&mut outbox, conn, &[1; 200]), Answer::Done);
        assert_eq!(send(&mut outbox, conn, b"over"), Answer::Full);
        assert_eq!(send(&mut outbox, conn, b"late"), Answer::Closed);
        assert!(outbox.row(KEY).full);
    }

    #[test]
    fn a_broadcast_reaches_every_listener_that_is_open() {
        let mut outbox = outbox();
        let channel = Channel::from_number(7.0).unwrap();
        let publish = Command::Publish { channel, payload: b"x" };
        assert_eq!(outbox.command(publish), Answer::NoChannel);
        assert_eq!(outbox.command(Command::CreateChannel(channel)), Answer::Done);
        let other = Key { slot: 2, generation: 9 };
        outbox.add(other);
        outbox.open(other, 100, ServedBy::service(4));
        for key in [KEY, other] {
            let conn = outbox.id(key);
            assert_eq!(outbox.command(Command::Subscribe { conn, channel }), Answer::Done);
        }
        assert_eq!(outbox.command(publish), Answer::Done);
        outbox.close(other, None, "");
        assert_eq!(outbox.command(publish), Answer::Done);
        assert_eq!(outbox.row(KEY).queue.front(), b"\x82\x01x\x82\x01x");
        assert_eq!(outbox.row(other).queue.front(), b"\x82\x01x\x88\x00");
    }
}
