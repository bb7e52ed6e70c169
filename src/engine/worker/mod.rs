//! An I/O worker: the loop of one thread that owns its connections, its poller and its co-located instances.

mod batch;
mod ending;
mod gather;
mod input;
mod instances;
mod leaving;
mod listing;
mod quiet;
mod ring;
#[cfg(test)]
mod simulation;
mod timing;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lapps_lua::Batch;
use lapps_lua::port::Command;
use mio::Token;
use mio::event::Event;

use super::clients::{Clients, FIRST_TOKEN};
use super::instance::Instance;
use super::link::Link;
use super::mail::Mail;
use super::mailbox::Mailbox;
use super::outbox::Outbox;
use super::report::Report;
use super::settings::Settings;
use super::slab::{Key, Slab};
use super::wheel::Wheel;
use crate::net::connection::Connection;
use crate::net::ended::{Ended, LastWord};
use crate::net::transport::{CIPHER, Transport};
use crate::ops::tally::WorkerTally;
use crate::services::current::Current;
use crate::services::registry::Registry;
use crate::sys::APART;
use crate::sys::poller::{Happenings, Poller, Readiness};
use gather::Gathered;
use leaving::Leaving;
use quiet::Quiet;
use ring::{Need, RingSide};

/// The token of the worker's own wake-up; no connection has it.
pub(crate) const WAKE: Token = Token(usize::MAX);

/// Letters taken from one sender per turn.
const MAIL_PER_TURN: usize = 4 * 1024;

/// TLS handshakes worked on per turn: each costs as much as many messages.
const HANDSHAKES_PER_TURN: u32 = 16;

/// So many events before its turn a connection is loaded into the cache, if there are so many that they do not lie there anyway.
const AHEAD: usize = 2;
const MANY: usize = 2048;

/// How busy a worker is, for the balancer.
#[derive(Default)]
pub(crate) struct Load {
    /// Connections it owns or will own. Listeners add, the worker takes away.
    pub(crate) connections: AtomicUsize,
    /// Connections that waited for their next turn when the last one ended.
    pub(crate) queued: AtomicUsize,
}

/// What a worker is made of.
pub(crate) struct Parts {
    pub(crate) poller: Poller,
    pub(crate) mailbox: Mailbox<Mail>,
    pub(crate) outbox: Outbox,
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) load: Arc<Load>,
    pub(crate) reports: Sender<Report>,
}

/// The state of one worker's loop.
pub(crate) struct Worker {
    poller: Poller,
    mailbox: Mailbox<Mail>,
    conns: Slab<Conn>,
    outbox: Outbox,
    /// To every dedicated instance, by number.
    links: Vec<Option<Link>>,
    /// The senders in the mailbox that instances with a thread of their own are, by number.
    senders: Vec<Option<usize>>,
    /// The co-located instances, by number of their service.
    instances: Vec<Option<Instance>>,
    /// Their outgoing connections.
    clients: Clients,
    /// Connections that are served by each service, by number.
    served: Vec<usize>,
    /// Services that are on their way out, and those whose turn to go came with this turn's mail.
    leaving: Vec<Leaving>,
    leave_ordered: Vec<Leaving>,
    registry: Arc<Registry>,
    settings: Arc<Settings>,
    load: Arc<Load>,
    tally: Arc<WorkerTally>,
    reports: Sender<Report>,
    wheel: Wheel,
    quiet: Quiet,
    /// Connections that have more to do than one turn allowed, or that may go on after a pause.
    ready: Vec<Key>,
    /// So may some that waited for an instance's ring.
    room_came: bool,
    /// What the ring is to be asked for with the next sleep; empty without one.
    wanted: Vec<(Key, Need)>,
    /// The worker's one read buffer, and the one for ciphertext.
    input: Vec<u8>,
    batch: Batch,
    gathered: Gathered,
    cipher: Vec<u8>,
    started: Instant,
    /// Now, in ticks since `started`.
    now: u64,
    /// TLS handshakes that may still be worked on in this turn.
    handshakes_left: u32,
    /// The order to drain came with this turn's mail.
    drain_ordered: Option<Instant>,
    /// Set when connections are to go: the end of the grace.
    drain: Option<Instant>,
}

/// The incoming half of one connection.
struct Conn {
    transport: Transport,
    protocol: Connection,
    /// Address and port of the peer, in fewer bytes than a `SocketAddr` has.
    ip: std::net::IpAddr,
    port: u16,
    home: Home,
    /// Plaintext that was read but not decoded, because the connection is paused.
    held: Option<Box<Held>>,
    /// Why it is not read at the moment.
    pause: Pause,
    fin: Fin,
    ring: RingSide,
    /// What is to be said when the dedicated instance has answered what came before the end.
    last_word: Option<LastWord>,
    /// Bytes that were given to its instance and are not handled: on their way to or from a dedicated one, or waiting.
    in_flight: usize,
    /// How many of them a dedicated instance says when it has handled, at most 4 GiB; 0 while it was not asked.
    marked: u32,
    /// The peer will send nothing more.
    eof: bool,
    /// A ping was sent and nothing has come since.
    pinged: bool,
    /// Our close frame went first; the peer's is waited for.
    awaits_close: bool,
    /// Tick of the last bytes from the peer; of the accept before the first.
    heard: u32,
    /// Tick at which the present phase (upgrading, open, or closing) began, or output last went on that was blocked or waited
    /// for the end.
    since: u32,
    /// The earliest tick for which the wheel has an entry.
    scheduled: u32,
}

/// Bytes that are not decoded yet.
struct Held(Vec<u8>);

/// Who serves a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    /// Nobody: the upgrade is not answered with 101, or the service has been told of the end.
    None,
    /// The co-located instance of this service.
    Here { service: u16 },
    /// This dedicated instance of this service.
    Dedicated { service: u16, instance: u16 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    No,
    /// In `ready`, once: its budget for this turn is used up, or what it waited for has come.
    Budget,
    /// Its output, with what is in flight, is over the high-water mark.
    Output,
    /// In the `waiting` of its link: the instance's ring is full.
    Ring,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fin {
    No,
    /// To be sent when all output is written.
    Wanted,
    Sent,
}

impl Worker {
    /// # Errors
    /// The system refused a descriptor.
    pub(crate) fn new(parts: Parts) -> io::Result<Worker> {
        let input = parts.settings.read_buffer.max(CIPHER);
        let cipher = if parts.settings.tls.is_some() { CIPHER } else { 0 };
        let registry = parts.poller.registry().try_clone()?;
        let tally = parts.settings.ledger.worker(parts.outbox.worker());
        let mut worker = Worker {
            clients: Clients::shared(registry, parts.mailbox.wake(), &parts.settings),
            poller: parts.poller,
            mailbox: parts.mailbox,
            conns: Slab::new(),
            outbox: parts.outbox,
            links: Vec::new(),
            senders: Vec::new(),
            instances: Vec::new(),
            served: Vec::new(),
            leaving: Vec::new(),
            leave_ordered: Vec::new(),
            registry: Arc::clone(&parts.registry),
            settings: parts.settings,
            load: parts.load,
            tally: Arc::clone(&tally),
            reports: parts.reports,
            wheel: Wheel::new(),
            quiet: Quiet::new(),
            ready: Vec::new(),
            room_came: false,
            wanted: Vec::new(),
            input: vec![0; APART + input],
            batch: Batch::default(),
            gathered: Gathered::default(),
            cipher: vec![0; cipher],
            started: Instant::now(),
            now: 0,
            handshakes_left: 0,
            drain_ordered: None,
            drain: None,
        };
        worker.outbox.count_in(tally);
        worker.see(parts.registry);
        Ok(worker)
    }

    /// Turns until the server has stopped.
    ///
    /// # Errors
    /// The poller failed; nothing can be served without it.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.poller.enable()?;
        let mut happenings = Happenings::with_capacity(self.settings.max_poll_events);
        let mut keys = Vec::new();
        while !self.is_done() {
            let timeout = self.time_to_next();
            self.wait(&mut happenings, timeout)?;
            self.turn(&mut happenings, &mut keys);
        }
        for key in self.conns.keys() {
            self.end(key, Ended::Shutdown);
        }
        self.settle_links();
        self.wind_down(&mut happenings)
    }

    /// Sees to what has happened, and to what comes of it. `keys` is room that is used again.
    fn turn(&mut self, happenings: &mut Happenings, keys: &mut Vec<Key>) {
        self.tick();
        self.handshakes_left = HANDSHAKES_PER_TURN;
        let mut events = happenings.len();
        self.take_happenings(happenings);
        std::mem::swap(keys, &mut self.ready);
        for key in keys.drain(..) {
            self.resume(key);
        }
        self.let_waiting_go_on();
        self.deliver_gathered();
        events += self.take_mail();
        self.take_due();
        self.turn_instances();
        self.turn_clients();
        self.flush_all(keys);
        self.rest(events);
        self.turn_links();
        if !self.leaving.is_empty() {
            self.see_off();
        }
        self.outbox.notify();
        self.load.queued.store(self.ready.len(), Ordering::Relaxed);
    }

    fn turn_links(&mut self) {
        self.room_came = false;
        for link in self.links.iter_mut().flatten() {
            self.room_came |= link.turn();
        }
    }

    /// Flushes all output that has changed. A flush can end a connection, whose service may send to others then: so
    /// until nothing is left, because nobody would come back to it before the next event.
    fn flush_all(&mut self, keys: &mut Vec<Key>) {
        loop {
            self.outbox.take_dirty(keys);
            if keys.is_empty() {
                return;
            }
            for key in keys.drain(..) {
                self.flush(key);
            }
        }
    }

    /// Sleeps until there is something to do, or for so long.
    fn wait(&mut self, happenings: &mut Happenings, mut timeout: Option<Duration>) -> io::Result<()> {
        if timeout != Some(Duration::ZERO) && self.has_garbage() {
            self.sleep(happenings, Some(Duration::ZERO))?;
            if !happenings.is_empty() {
                return Ok(());
            }
            self.collect_in_idle_time();
            // There may be more of it, and mail.
            timeout = Some(Duration::ZERO);
        }
        if timeout != Some(Duration::ZERO) {
            self.mailbox.wake().prepare();
            if !self.mailbox.is_empty()
                || self.has_ready_instances()
                || self.clients.has_news()
                || self.wants_to_go_on()
                || self.links.iter_mut().flatten().any(Link::goes_on)
            {
                timeout = Some(Duration::ZERO);
            }
        }
        let slept = self.sleep(happenings, timeout);
        self.mailbox.wake().awake();
        slept
    }

    /// Sleeps in the poller; what is wanted of the ring goes with it.
    fn sleep(&mut self, happenings: &mut Happenings, timeout: Option<Duration>) -> io::Result<()> {
        let Worker { poller, conns, outbox, wanted, .. } = self;
        let (conns, outbox) = (&*conns, &*outbox);
        let orders = wanted.drain(..).filter_map(|(key, need)| ring::order(conns, outbox, key, need));
        poller.wait(orders, happenings, timeout)
    }

    /// Sees to what has happened while the worker slept.
    fn take_happenings(&mut self, happenings: &mut Happenings) {
        self.take_batch(&mut happenings.batch);
        let mut ahead = happenings.events.iter().skip(AHEAD);
        for event in &happenings.events {
            self.prefetch(ahead.next().map(Event::token));
            if event.token().0 >= FIRST_TOKEN {
                self.on_other_readiness(event);
            } else {
                self.on_readiness(key_of(event.token()), Readiness::of(event));
            }
        }
        #[cfg(test)]
        for (at, (token, readiness)) in happenings.simulated.iter().enumerate() {
            self.prefetch(happenings.simulated.get(at + AHEAD).map(|ahead| ahead.0));
            self.on_readiness(key_of(*token), *readiness);
        }
        #[cfg(test)]
        happenings.simulated.clear();
        self.deliver_gathered();
    }

    /// Lets what is known of a connection be loaded while others are served: where there are many of them it is in no cache.
    #[inline]
    fn prefetch(&self, token: Option<Token>) {
        if let Some(token) = token
            && self.conns.len() >= MANY
        {
            self.conns.prefetch(key_of(token));
            self.outbox.prefetch(key_of(token));
        }
    }

    fn time_to_next(&self) -> Option<Duration> {
        if !self.ready.is_empty() || self.room_came || self.clients.has_work(&self.outbox.calls) {
            return Some(Duration::ZERO);
        }
        let tick = [self.wheel.earliest(), self.quiet.next()].into_iter().flatten().min();
        let due = tick.map(|tick| timing::time_of(self.started, tick));
        let leaving = self.leaving.iter().map(Leaving::next).min();
        let next =
            [self.next_turn(), due, self.clients.next_due(), self.drain, leaving].into_iter().flatten().min();
        let wait = next.map(|next| next.saturating_duration_since(Instant::now()));
        [wait, self.settings.max_poll_wait].into_iter().flatten().min()
    }

    fn on_readiness(&mut self, key: Key, readiness: Readiness) {
        // Who is readable is nearly always writable, too.
        if (Readiness { writable: false, ..readiness }) == Readiness::READABLE && self.read_small(key) {
            return;
        }
        if readiness.writable && self.conns.get(key).is_some() {
            let row = self.outbox.row(key);
            if row.blocked {
                row.blocked = false;
                self.flush(key);
            }
        }
        if readiness.error && self.conns.get(key).is_some_and(|conn| conn.pause != Pause::No) {
            // A paused connection is not read, so this is the only way to hear of a reset.
            self.end(key, Ended::Io(io::ErrorKind::ConnectionReset));
        } else if readiness.readable || readiness.read_closed || readiness.error {
            self.read(key, readiness.read_closed);
        }
    }

    /// Takes letters, and tells how many.
    fn take_mail(&mut self) -> usize {
        let mut all = 0;
        for sender in 0..self.mailbox.senders() {
            let mut taken = 0;
            while taken < MAIL_PER_TURN {
                let Some((mail, payload)) = self.mailbox.front(sender) else { break };
                if let Mail::Frames(conn) = mail {
                    self.outbox.pass_on(*conn, payload);
                }
                let Some(mail) = self.mailbox.take(sender) else { break };
                self.on_mail(mail);
                taken += 1;
            }
            if taken > 0 {
                self.mailbox.settle(sender);
            }
            all += taken;
        }
        // Only now: the other senders' mail that was there before the order, such as a goodbye, has been taken.
        for leaving in std::mem::take(&mut self.leave_ordered) {
            self.begin_to_leave(leaving);
        }
        if let Some(deadline) = self.drain_ordered.take() {
            self.drain = Some(deadline);
            for key in self.conns.keys() {
                self.dismiss(key);
            }
        }
        all
    }

    fn on_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Accepted(stream, peer) => self.adopt(stream, peer),
            // Passed on where they lay.
            Mail::Frames(_) => {}
            Mail::Close { conn, code, reason } => {
                let _ = self.outbox.command(Command::Close { conn, code, reason: &reason });
            }
            Mail::Publish { listeners, frames } => self.outbox.deliver(&listeners, &frames),
            Mail::Marked(conn) => {
                self.on_marked(Key { slot: conn.slot(), generation: conn.generation() });
            }
            Mail::Farewell(conn) => {
                self.say_last_word(Key { slot: conn.slot(), generation: conn.generation() });
            }
            Mail::Registry(registry) => self.see(registry),
            Mail::Connect { instance, link, inlet } => self.connect(instance, link.map(|link| *link), *inlet),
            Mail::Disconnect { instance } => self.disconnect(instance),
            Mail::Start { service } => self.start(service),
            Mail::Stop { service } => self.stop(service),
            Mail::Leave { service, deadline } => self.leave_ordered.push(Leaving::new(service, deadline)),
            Mail::List { service, limit, answer } => drop(answer.send(self.list(service.as_deref(), limit))),
            Mail::Kick { conn, answer } => drop(answer.send(self.kick(conn))),
            Mail::Turn { answer } => drop(answer.send(())),
            Mail::Drain { deadline } => self.drain_ordered = Some(deadline),
        }
    }

    /// Takes over a connection that a listener accepted.
    fn adopt(&mut self, stream: mio::net::TcpStream, peer: std::net::SocketAddr) {
        if self.drain.is_some() {
            self.load.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let now = self.now as u32;
        let tls = self.settings.tls.as_ref().map(Current::get);
        let inserted = Transport::new(stream, tls.as_ref().map(|tls| tls.config()))
            .map_err(|error| error.to_string())
            .and_then(|transport| {
                let conn = Conn::new(transport, peer, now);
                self.conns.insert(conn).map_err(|_| "all slots are taken".to_owned())
            });
        let key = match inserted {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(%peer, "cannot serve a connection: {error}");
                self.load.connections.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        };
        self.greet(key);
    }

    /// Begins to listen to a new connection.
    fn greet(&mut self, key: Key) {
        self.outbox.add(key);
        self.tally.adopted.add(1);
        if self.give_to_ring(key) {
            return self.schedule(key);
        }
        let Some(conn) = self.conns.get_mut(key) else { return };
        if let Err(error) = conn.transport.register(self.poller.registry(), token_of(key)) {
            let peer = conn.peer();
            tracing::error!(%peer, "cannot watch a connection: {error}");
            return self.remove(key);
        }
        self.schedule(key);
    }

    /// Says goodbye to a connection because the server stops.
    fn dismiss(&mut self, key: Key) {
        let Some(conn) = self.conns.get(key) else { return };
        if conn.protocol.is_open() {
            self.outbox.close(key, Some(lapps_parser::close::CloseCode::GOING_AWAY), "the server stops");
        } else if conn.protocol.is_upgrading() {
            self.end(key, Ended::Shutdown);
        }
    }

    fn is_done(&self) -> bool {
        self.drain.is_some_and(|deadline| {
            (self.conns.len() == 0 && self.instances_are_done()) || Instant::now() >= deadline
        })
    }

    /// Waits until every dedicated instance has room for what it must still hear; for a second at most, because an
    /// instance whose handler never returns hears nothing more anyway.
    fn settle_links(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while !self.links.iter().flatten().all(Link::is_settled) && Instant::now() < deadline {
            for link in self.links.iter_mut().flatten() {
                link.turn();
            }
            // Mail is still taken, so that an instance that waits for us goes on.
            self.take_mail();
            std::thread::yield_now();
        }
        for link in self.links.iter_mut().flatten() {
            link.notify();
        }
    }
}

impl Conn {
    /// A connection that was accepted at this tick.
    fn new(transport: Transport, peer: std::net::SocketAddr, now: u32) -> Conn {
        Conn {
            transport,
            protocol: Connection::new(),
            ip: peer.ip(),
            port: peer.port(),
            home: Home::None,
            held: None,
            pause: Pause::No,
            fin: Fin::No,
            ring: RingSide::default(),
            last_word: None,
            in_flight: 0,
            marked: 0,
            eof: false,
            pinged: false,
            awaits_close: false,
            heard: now,
            since: now,
            scheduled: u32::MAX,
        }
    }

    fn peer(&self) -> std::net::SocketAddr {
        (self.ip, self.port).into()
    }
}

fn token_of(key: Key) -> Token {
    Token((key.generation as usize) << 32 | key.slot as usize)
}

fn key_of(token: Token) -> Key {
    Key { slot: token.0 as u32, generation: (token.0 >> 32) as u32 }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::config::{ClientTls, TlsVersion};
    use crate::engine::channels::Channels;
    use crate::engine::frames::Framing;
    use crate::engine::life::Life;
    use crate::engine::outbox::Output;
    use crate::engine::presence::Presence;
    use crate::engine::settings::Timeouts;
    use crate::engine::wake::Wake;
    use crate::net::client::tls::Trust;
    use crate::net::tls::Identity;
    use crate::services::registry::Entry;

    /// `ARCHITECTURE.md` shows these; each of them times a million connections is so many megabytes.
    #[test]
    fn an_idle_connection_is_small() {
        println!(
            "Conn {} Connection {} Transport {} Output {}",
            size_of::<Conn>(),
            size_of::<Connection>(),
            size_of::<Transport>(),
            size_of::<Output>()
        );
        assert!(size_of::<Connection>() <= 64);
        // Simulated sockets, and what mio checks in debug builds, make a transport larger than it is; where it lies, that is held, too.
        let transport = size_of::<Transport>();
        assert!(size_of::<Conn>() - transport <= 152 - 16);
        assert!(Slab::<Conn>::SLOT - transport <= 160 - 16);
        assert!(size_of::<Output>() <= 64);
    }

    fn worker(handshake: u32) -> Worker {
        serving(handshake, Vec::new())
    }

    pub(super) fn serving(handshake: u32, services: Vec<crate::config::Service>) -> Worker {
        sleeping_in(Poller::epoll().unwrap(), None, handshake, services)
    }

    pub(super) fn sleeping_in(
        poller: Poller,
        tls: Option<Identity>,
        handshake: u32,
        services: Vec<crate::config::Service>,
    ) -> Worker {
        patient(poller, tls, Timeouts { handshake, ping: 1, idle: 2, stalled: 1, closing: 1 }, services)
    }

    pub(super) fn patient(
        poller: Poller,
        tls: Option<Identity>,
        timeouts: Timeouts,
        services: Vec<crate::config::Service>,
    ) -> Worker {
        let waker = poller.waker(WAKE).unwrap();
        let life = Arc::new(Life::new());
        let settings = Settings {
            life: Arc::clone(&life),
            ledger: Arc::default(),
            tls: tls.map(Current::new),
            acl: Arc::new(Current::new(crate::services::acl::Acl::default())),
            heads: lapps_parser::http::HeadLimits::default(),
            no_messages: lapps_parser::Limits { max_message: 0, max_fragments: 0 },
            read_buffer: 1024,
            max_poll_events: 8,
            max_poll_wait: None,
            timeouts,
            logins: Arc::new(crate::engine::helper::Helper::default()),
            queues: lapps_lua::queue::Queues::new(lapps_lua::queue::Bounds::default()),
            names: Arc::new(crate::engine::clients::Names::new(Trust::new(&ClientTls {
                ca: None,
                minimum: TlsVersion::Tls12,
            }))),
            applications: "".into(),
            lua_path: None,
        };
        let framing = Framing { auto_fragment: false };
        let channels = Arc::new(Channels::new(Arc::from([Presence::new()]), framing));
        let entries: Vec<_> = services.into_iter().map(|service| Arc::new(Entry::new(service, 0))).collect();
        let registry = Arc::new(Registry::new(entries.iter().map(|entry| Some((entry, true))), None));
        Worker::new(Parts {
            poller,
            mailbox: Mailbox::new(Arc::new(Wake::poll(waker))),
            outbox: Outbox::new(0, vec![None], channels, life, Arc::clone(&registry)),
            registry,
            settings: Arc::new(settings),
            load: Arc::default(),
            reports: std::sync::mpsc::channel().0,
        })
        .unwrap()
    }

    /// Gives the worker a connection, and keeps the client's end of it.
    pub(super) fn connect(worker: &mut Worker) -> (Key, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        worker.adopt(mio::net::TcpStream::from_std(stream), peer);
        let newest = worker.conns.keys().last().copied();
        (newest.expect("it was just adopted"), client)
    }

    /// A service whose start is this.
    pub(super) fn service(name: &str, start: &'static str) -> crate::config::Service {
        let mut service = crate::config::demo().services.remove(0);
        service.name = name.to_owned();
        service.source = crate::config::Source::Embedded(start);
        service
    }

    #[test]
    fn what_another_service_sends_is_not_slept_through() {
        const WAITS: &str = "
            local function nothing() end
            local function wait() require('mqr').create('q'):recv() end
            return { onStart = function() spawn(wait):detach() end, onMessage = nothing, onDisconnect = nothing,
                     onShutdown = nothing }";
        const POSTS: &str = "
            local function nothing() end
            local function post() assert(require('mqr').create('q'):post(1)) end
            return { onStart = post, onMessage = nothing, onDisconnect = nothing, onShutdown = nothing }";
        let services = vec![service("waits", WAITS), service("posts", POSTS)];
        let mut worker = serving(1, services);
        worker.start(0);
        worker.turn_instances();
        assert!(!worker.has_ready_instances(), "it waits");
        // Nobody wakes a worker that is awake; so it has to look before it sleeps.
        worker.start(1);
        let start = Instant::now();
        worker.wait(&mut Happenings::with_capacity(8), Some(Duration::from_secs(30))).unwrap();
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        worker.turn_instances();
        assert!(worker.instances[0].as_ref().unwrap().has_ended());
    }

    #[test]
    fn a_timeout_beyond_the_horizon_of_the_wheel_comes() {
        let mut worker = worker(3000);
        let (_, _client) = connect(&mut worker);
        for now in [500, 1500, 2500, 2999] {
            worker.now = now;
            worker.take_due();
            assert_eq!(worker.conns.len(), 1, "not yet at {now}");
        }
        worker.now = 3000;
        worker.take_due();
        assert_eq!(worker.conns.len(), 0);
    }

    #[test]
    fn a_connection_that_is_flushed_twice_goes_on_once() {
        let mut worker = worker(1);
        let (key, _client) = connect(&mut worker);
        worker.conns.get_mut(key).unwrap().pause = Pause::Output;
        for _ in 0..2 {
            worker.outbox.append(key, |out| out.push(b'x'));
            worker.flush(key);
        }
        assert_eq!(worker.ready, [key]);
    }
}
