//! Messages of several connections that are read one after another and delivered together: each part of the work (reading, Lua,
//! writing) is done for all of them before the next one begins, while its code and data are in the cache, and Lua is entered once.

use std::io::Write;
use std::ops::Range;

use lapps_lua::Message;
use lapps_lua::reactive::Verdict;
use lapps_parser::decoder::{Decoder, Limits};
use lapps_parser::frame::OpCode;

use super::batch::{Delivered, MESSAGES};
use super::input::FRAMES_PER_TURN;
use super::instances::fail;
use super::{Conn, Home, Pause, Worker};
use crate::engine::instance::Instance;
use crate::engine::slab::Key;
use crate::net::connection::Connection;
use crate::net::ended::Ended;
use crate::net::transport::Taken;
use crate::sys::APART;
use crate::sys::direct::Direct;

/// A read that brought more is delivered on its own: copying it would cost more than is saved.
const SMALL: usize = 4 * 1024;

/// Bytes of all reads that wait together.
const ROOM: usize = 32 * 1024;

/// After the host was asked to look at a connection so many messages are looked at before the next call: what the service does
/// for each of them may concern all others.
const AHEAD: usize = 8;

/// What has been read and not delivered yet. Nothing is left in it when the worker does something else.
#[derive(Default)]
pub(super) struct Gathered {
    /// The service that all of it is for.
    service: u16,
    messages: Vec<Entry>,
    /// Their frames, copied from the read buffer.
    bytes: Vec<u8>,
}

/// A message, and where it lies.
struct Entry {
    key: Key,
    opcode: OpCode,
    frame: u32,
    payload: u32,
    end: u32,
}

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// True when these bytes, for this service, may join what waits. `slow`: nobody is to wait for others there.
    fn may_take(&self, service: u16, slow: bool, bytes: &[u8]) -> bool {
        bytes.len() <= SMALL
            && (self.is_empty()
                || (self.service == service
                    && !slow
                    && self.messages.len() < MESSAGES
                    && self.bytes.len() + bytes.len() <= ROOM))
    }

    /// Copies whole messages from the front of `bytes`, and decodes them there, as far as their answers find `room`: an answer is taken
    /// to be as long as its message. `frames` is how many it may eat.
    fn take(
        &mut self,
        (key, service): (Key, u16),
        decoder: &mut Decoder,
        limits: &Limits,
        mut room: usize,
        frames: &mut u32,
        bytes: &[u8],
    ) -> Delivered {
        self.service = service;
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len();
        let mut rest = &mut self.bytes[begin..];
        let mut wrong = None;
        while *frames > 0 && self.messages.len() < MESSAGES {
            let frame = end - rest.len();
            match decoder.take_whole(limits, &mut rest) {
                Ok(Some((opcode, payload))) => {
                    *frames -= 1;
                    let end = end - rest.len();
                    let (frame, payload_at) = (frame as u32, (end - payload.len()) as u32);
                    let entry = Entry { key, opcode, frame, payload: payload_at, end: end as u32 };
                    self.messages.push(entry);
                    room = match room.checked_sub(payload.len()) {
                        Some(room) => room,
                        None => break,
                    };
                }
                Ok(None) => break,
                Err(violation) => {
                    wrong = Some(violation);
                    break;
                }
            }
        }
        let eaten = end - begin - rest.len();
        self.bytes.truncate(begin + eaten);
        wrong.map_or(Delivered::Eaten(eaten), Delivered::Wrong)
    }
}

impl Entry {
    fn frame(&self) -> Range<usize> {
        self.frame as usize..self.end as usize
    }

    fn payload(&self) -> Range<usize> {
        self.payload as usize..self.end as usize
    }
}

impl Worker {
    /// True when these bytes, for this service, may join what waits.
    pub(super) fn may_gather(&self, service: u16, bytes: &[u8]) -> bool {
        self.gathered.may_take(service, is_slow(&self.instances, service), bytes)
    }

    /// Takes whole messages from the front of `bytes`, as many as the connection's output allows: more than `high_water` bytes may
    /// not wait. `frames` is how many it may eat.
    pub(super) fn gather(
        &mut self,
        key: Key,
        service: u16,
        limits: &Limits,
        high_water: usize,
        frames: &mut u32,
        bytes: &[u8],
    ) -> Delivered {
        let Worker { conns, outbox, gathered, .. } = self;
        let Some(Conn { protocol: Connection::Open(decoder), in_flight, .. }) = conns.get_mut(key) else {
            return Delivered::Eaten(0);
        };
        let room = high_water.saturating_sub(outbox.waiting(key) + *in_flight);
        gathered.take((key, service), decoder, limits, room, frames, bytes)
    }

    /// What [`Worker::read`] does, for a connection as nearly all of them are nearly always, with nothing looked up or asked twice.
    /// False: this is another one, and nothing was done.
    pub(super) fn read_small(&mut self, key: Key) -> bool {
        let Worker {
            poller, conns, outbox, gathered, instances, registry, input, cipher, tally, now, ..
        } = self;
        let Some(conn) = conns.get_mut(key) else { return true };
        let is_usual = conn.pause == Pause::No && conn.held.is_none() && !conn.eof && !poller.has_ring();
        let (Connection::Open(decoder), Home::Here { service }) = (&mut conn.protocol, conn.home) else {
            return false;
        };
        let entry = registry.entry(usize::from(service));
        let high_water = entry.service.outgoing_high_water;
        let waiting = outbox.waiting_if_usual(key).map(|waiting| waiting + conn.in_flight);
        let Some(waiting) = waiting.filter(|waiting| is_usual && *waiting <= high_water) else {
            return false;
        };
        let taken = conn.transport.read(cipher, &mut input[APART..]);
        let len = match taken {
            Ok(Taken { len, drained: true, end: false, .. }) if len <= SMALL => len,
            _ => {
                self.read_on(key, taken);
                return true;
            }
        };
        let bytes = &input[APART..APART + len];
        if !gathered.may_take(service, is_slow(instances, service), bytes) {
            self.read_on(key, taken);
            return true;
        }
        if len > 0 {
            tally.bytes_in.add(len as u64);
            conn.heard = *now as u32;
            conn.pinged = false;
            let (mut frames, room) = (FRAMES_PER_TURN, high_water - waiting);
            match gathered.take((key, service), decoder, &entry.limits(), room, &mut frames, bytes) {
                Delivered::Eaten(eaten) if eaten == len => {}
                Delivered::Eaten(eaten) => self.digest_rest(key, APART + eaten..APART + len, frames),
                Delivered::Wrong(violation) => self.end(key, Ended::Violation(violation)),
            }
        }
        // TLS may have to answer something by itself.
        if self.conns.get(key).is_some_and(|conn| conn.transport.wants_write()) {
            self.flush(key);
        }
        true
    }

    /// The usual case of [`Worker::flush`]: all that waits is in one piece, and the socket takes it.
    fn flush_small(&mut self, key: Key) {
        let Worker { conns, outbox, tally, .. } = self;
        let Some(conn) = conns.get_mut(key) else { return };
        if let Some(socket) = conn.transport.plain()
            && conn.protocol.is_open()
            && conn.pause == Pause::No
            && !conn.awaits_close
        {
            let (row, buffers) = outbox.row_and_buffers(key);
            if row.is_usual()
                && let Some(waiting) = row.queue.only_piece()
            {
                if waiting.is_empty() {
                    return;
                }
                // What is wrong with the socket is seen to below, where it is met again.
                let (len, written) = (waiting.len(), Direct(socket).write(waiting).unwrap_or(0));
                tally.bytes_out.add(written as u64);
                row.queue.consume(written, buffers);
                if written == len {
                    return;
                }
            }
        }
        self.flush(key);
    }

    /// Delivers what was gathered, and writes the answers.
    #[inline]
    pub(super) fn deliver_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.deliver_all_gathered();
        }
    }

    #[inline(never)]
    fn deliver_all_gathered(&mut self) {
        let mut gathered = std::mem::take(&mut self.gathered);
        let held_back = self.deliver_messages(&gathered);
        for (key, frame) in held_back {
            self.hold_back(key, gathered.service, &mut gathered.bytes[frame]);
        }
        // A ring is asked at the end of the turn, for all connections at once.
        if !self.poller.has_ring() {
            let mut last = None;
            for Entry { key, .. } in &gathered.messages {
                if last != Some(*key) {
                    last = Some(*key);
                    self.flush_small(*key);
                }
            }
        }
        gathered.messages.clear();
        gathered.bytes.clear();
        self.gathered = gathered;
    }

    /// Answers whose messages, and where their frames lie, cannot be delivered because too much waits for the connection by then.
    fn deliver_messages(&mut self, gathered: &Gathered) -> Vec<(Key, Range<usize>)> {
        let Worker { conns, outbox, instances, batch, tally, registry, .. } = self;
        let Gathered { service, messages, bytes } = gathered;
        let high_water = registry.entry(usize::from(*service)).service.outgoing_high_water;
        let mut held_back = Vec::new();
        let Some(instance) = &mut instances[usize::from(*service)] else { return held_back };
        let batch = batch.begin();
        batch.extend(
            messages.iter().filter_map(|taken| {
                Message::new(outbox.id(taken.key), taken.opcode, &bytes[taken.payload()])
            }),
        );
        let (mut at, mut run) = (0, batch.len());
        while at < batch.len() {
            if run == 0 {
                let Entry { key, .. } = messages[at];
                // After our close frame nothing is delivered any more.
                if outbox.is_open(key) {
                    held_back.push((key, messages[at].frame()));
                }
                at += 1;
            } else {
                // Who asks alone, as most do where answers are large, gets those without a copy.
                let Entry { key, .. } = messages[at];
                let mut port = match conns.get(key) {
                    Some(conn) => {
                        let id = outbox.id(key);
                        outbox.port_for(usize::from(*service), id, &conn.transport)
                    }
                    None => outbox.port(usize::from(*service)),
                };
                let (count, verdict) = instance.deliver_batch(&mut port, &batch[at..at + run]);
                at += count;
                tally.messages_in.add(count as u64);
                match verdict {
                    Verdict::Keep => {}
                    Verdict::Waits { weight } => {
                        if let Some(conn) = conns.get_mut(messages[at - 1].key) {
                            conn.in_flight += weight;
                        }
                    }
                    Verdict::Fail(failure) => fail(outbox, &failure),
                }
            }
            let may_be_delivered = |taken: &&Entry| {
                let in_flight = conns.get(taken.key).map_or(0, |conn| conn.in_flight);
                outbox.is_open(taken.key) && outbox.waiting(taken.key) + in_flight <= high_water
            };
            run = messages[at..].iter().take(AHEAD).take_while(may_be_delivered).count();
        }
        held_back
    }

    /// Keeps a message of a connection for which too much waits, as it came.
    #[cold]
    fn hold_back(&mut self, key: Key, service: u16, frame: &mut [u8]) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        let Connection::Open(decoder) = &conn.protocol else { return };
        decoder.give_back(&self.registry.entry(usize::from(service)).limits(), frame, 0);
        conn.hold(frame);
        if conn.pause == Pause::No {
            self.pause(key, Pause::Output);
        }
    }
}

fn is_slow(instances: &[Option<Instance>], service: u16) -> bool {
    instances[usize::from(service)].as_ref().is_some_and(Instance::is_slow)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use lapps_parser::frame::{write_frame, write_masked_frame};

    use super::super::tests::{connect, service, serving};
    use super::*;
    use crate::sys::poller::Readiness;

    /// A worker with a service that does what its first connections are told to, and echoes.
    ///
    /// `close`: closes the second connection. `slow`: works for a millisecond. `fail`: raises. `flood`: sends more to the second
    /// connection than may wait. `late`: tells the first one.
    const SERVICE: &str = "
        local conns = {}
        return {
            onStart = function() end,
            onShutdown = function() end,
            onDisconnect = function(handler)
                for _, conn in ipairs(conns) do
                    if conn ~= handler then ws:send(conn, 1, 'gone') end
                end
            end,
            onMessage = function(handler, opcode, message)
                if message == 'hello' then conns[#conns + 1] = handler end
                if message == 'close' then ws:close(conns[2], 1000, '') end
                if message == 'slow' then
                    local begin = os.clock()
                    while os.clock() < begin + 0.001 do end
                end
                if message == 'fail' then error('as told') end
                if message == 'flood' then ws:send(conns[2], 2, ('x'):rep(70000)) end
                if message == 'late' then ws:send(conns[1], 1, 'heard') end
                ws:send(handler, opcode, message)
                return true
            end,
        }";

    struct Clients {
        worker: Worker,
        all: Vec<(Key, TcpStream)>,
    }

    impl Clients {
        /// So many, who have said hello.
        fn new(count: usize) -> Clients {
            let mut service = service("told", SERVICE);
            service.outgoing_high_water = 4096;
            let target = service.request_target.clone();
            let mut worker = serving(1000, vec![service]);
            worker.start(0);
            worker.registry.entry(0).set_running(true);
            let mut clients = Clients { worker, all: Vec::new() };
            for at in 0..count {
                let client = connect(&mut clients.worker);
                client.1.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                clients.all.push(client);
                let head = format!(
                    "GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                );
                clients.all[at].1.write_all(head.as_bytes()).unwrap();
                clients.read(at);
                clients.settle();
                let mut byte = [0];
                let mut got = Vec::new();
                while !got.ends_with(b"\r\n\r\n") {
                    clients.all[at].1.read_exact(&mut byte).unwrap();
                    got.push(byte[0]);
                }
                clients.say(at, "hello");
                clients.settle();
                clients.expect(at, &["hello"]);
            }
            clients
        }

        /// A client sends a message, and the worker reads it.
        fn say(&mut self, at: usize, message: &str) {
            let mut frame = Vec::new();
            write_masked_frame(&mut frame, true, OpCode::Text, message.as_bytes(), [1, 2, 3, 4]);
            self.all[at].1.write_all(&frame).unwrap();
            self.read(at);
        }

        fn read(&mut self, at: usize) {
            let key = self.all[at].0;
            while !self.worker.conns.get(key).is_some_and(|conn| conn.transport.has_unread()) {
                std::thread::yield_now();
            }
            self.worker.on_readiness(key, Readiness::READABLE);
        }

        /// The worker does the rest of its turn.
        fn settle(&mut self) {
            self.worker.deliver_gathered();
            self.worker.flush_all(&mut Vec::new());
        }

        /// A client gets these frames, and nothing else before them.
        #[track_caller]
        fn expect(&mut self, at: usize, messages: &[&str]) {
            let mut frames = Vec::new();
            messages.iter().for_each(|text| write_frame(&mut frames, true, OpCode::Text, text.as_bytes()));
            self.expect_bytes(at, &frames);
        }

        #[track_caller]
        fn expect_bytes(&mut self, at: usize, bytes: &[u8]) {
            let mut got = vec![0; bytes.len()];
            self.all[at].1.read_exact(&mut got).unwrap();
            assert!(got == bytes, "{}", String::from_utf8_lossy(&got));
        }

        /// Nothing more has come to a client.
        #[track_caller]
        fn expect_silence(&mut self, at: usize) {
            self.all[at].1.set_nonblocking(true).unwrap();
            let silence = self.all[at].1.read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(silence, Err(std::io::ErrorKind::WouldBlock));
            self.all[at].1.set_nonblocking(false).unwrap();
        }
    }

    #[test]
    fn messages_of_several_connections_are_delivered_together_and_each_gets_its_answers() {
        let mut clients = Clients::new(3);
        for at in 0..3 {
            for _ in 0..2 {
                clients.say(at, ["one", "two", "three"][at]);
            }
        }
        assert_eq!(clients.worker.gathered.messages.len(), 6);
        assert_eq!(clients.worker.tally.messages_in.get(), 3);
        clients.settle();
        assert_eq!(clients.worker.tally.messages_in.get(), 9);
        clients.expect(0, &["one", "one"]);
        clients.expect(1, &["two", "two"]);
        clients.expect(2, &["three", "three"]);
    }

    #[test]
    fn a_connection_that_another_message_closes_gets_nothing_after_its_close_frame() {
        let mut clients = Clients::new(3);
        clients.say(0, "close");
        clients.say(1, "late");
        clients.say(2, "other");
        clients.settle();
        clients.expect(0, &["close"]);
        clients.expect_silence(0);
        clients.expect_bytes(1, b"\x88\x02\x03\xe8");
        clients.expect_silence(1);
        clients.expect(2, &["other"]);
    }

    #[test]
    fn a_handler_that_raises_costs_only_its_own_connection() {
        let mut clients = Clients::new(3);
        clients.say(0, "before");
        clients.say(1, "fail");
        clients.say(1, "late");
        clients.say(2, "after");
        clients.settle();
        clients.expect(0, &["before"]);
        clients.expect_silence(0);
        clients.expect(2, &["after"]);
        let mut head = [0; 4];
        clients.all[1].1.read_exact(&mut head).unwrap();
        assert_eq!((head[0], &head[2..]), (0x88, &1011_u16.to_be_bytes()[..]));
        let mut reason = vec![0; usize::from(head[1]) - 2];
        clients.all[1].1.read_exact(&mut reason).unwrap();
        clients.expect_silence(1);
    }

    #[test]
    fn who_gets_too_much_by_another_message_is_not_served_before_that_is_written() {
        let mut clients = Clients::new(3);
        // The socket of the second one is full, as far as the worker knows.
        let key = clients.all[1].0;
        clients.worker.outbox.row(key).blocked = true;
        clients.say(0, "flood");
        clients.say(1, "patient");
        clients.say(2, "other");
        clients.say(1, "still");
        clients.settle();
        clients.expect(0, &["flood"]);
        clients.expect(2, &["other"]);
        let conn = clients.worker.conns.get(key).unwrap();
        assert_eq!((conn.pause, conn.held.is_some()), (Pause::Output, true));
        clients.worker.on_readiness(key, Readiness { writable: true, ..Readiness::default() });
        for key in std::mem::take(&mut clients.worker.ready) {
            clients.worker.resume(key);
        }
        clients.settle();
        let mut flood = Vec::new();
        write_frame(&mut flood, true, OpCode::Binary, &[b'x'; 70_000]);
        clients.expect_bytes(1, &flood);
        clients.expect(1, &["patient", "still"]);
    }

    #[test]
    fn nobody_waits_for_the_messages_of_others_where_handlers_are_slow() {
        let mut clients = Clients::new(2);
        clients.say(0, "slow");
        clients.settle();
        clients.expect(0, &["slow"]);
        // Calls are timed now and then.
        for _ in 0..64 {
            clients.say(0, "slow");
            clients.settle();
            clients.expect(0, &["slow"]);
        }
        clients.say(0, "first");
        clients.say(1, "second");
        clients.expect(0, &["first"]);
        clients.settle();
        clients.expect(1, &["second"]);
    }

    #[test]
    fn a_ping_is_answered_after_the_messages_that_came_before_it() {
        let mut clients = Clients::new(1);
        let mut bytes = Vec::new();
        write_masked_frame(&mut bytes, true, OpCode::Text, b"first", [1, 2, 3, 4]);
        write_masked_frame(&mut bytes, true, OpCode::Ping, b"p", [1, 2, 3, 4]);
        clients.all[0].1.write_all(&bytes).unwrap();
        clients.read(0);
        clients.settle();
        clients.expect_bytes(0, b"\x81\x05first\x8a\x01p");
    }

    #[test]
    fn an_end_is_heard_after_the_messages_that_came_before_it() {
        let mut clients = Clients::new(2);
        clients.say(1, "last");
        let key = clients.all[1].0;
        clients.worker.end(key, crate::net::ended::Ended::Eof);
        clients.settle();
        clients.expect(1, &["last"]);
        clients.expect(0, &["gone"]);
    }

    #[test]
    fn what_is_wrong_is_refused_after_the_messages_that_came_before_it() {
        let mut clients = Clients::new(1);
        let mut bytes = Vec::new();
        write_masked_frame(&mut bytes, true, OpCode::Text, b"first", [1, 2, 3, 4]);
        write_masked_frame(&mut bytes, true, OpCode::Text, b"\xff", [1, 2, 3, 4]);
        clients.all[0].1.write_all(&bytes).unwrap();
        clients.read(0);
        clients.settle();
        clients.expect_bytes(0, b"\x81\x05first\x88\x02\x03\xef");
    }
}
