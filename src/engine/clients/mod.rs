//! The outgoing connections of one thread: made, read, written and ended there, beside whatever else the thread does.

mod beginning;
mod calls;
mod ending;
mod input;
mod names;
mod timing;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapps_lua::port::{ClientEvent, ConnId, Terms};
use lapps_lua::reactive::Verdict;
use lapps_parser::decoder::Limits;
use mio::event::Event as Readiness;
use mio::{Events, Poll, Registry, Token, Waker};
use rustls::ClientConfig;

use super::mail::Letter;
use super::mailbox::Mailbox;
use super::settings::Settings;
use super::slab::Key;
use super::wake::Wake;
use super::wheel::Wheel;
use crate::net::client::Client;
use crate::net::transport::{CIPHER, Outgoing};
use crate::sys::APART;

pub(crate) use calls::Calls;
pub(crate) use names::Names;

use calls::{Want, id, key_of};
use names::Answers;

/// From here on tokens are none of clients' connections: those of outgoing ones, and above them a thread's own.
pub(crate) const FIRST_TOKEN: usize = 1 << 62;

/// The token of the wake-up of a thread that parks; no connection has it.
const WAKE: Token = Token(usize::MAX);

/// Readiness events taken from the system at once.
const EVENTS: usize = 256;

/// How long connections have to answer the close frame of an instance that ends.
pub(crate) const GOODBYE: Duration = Duration::from_millis(500);

/// Those whom the connections belong to, on their thread.
pub(crate) trait Host {
    /// The outgoing halves.
    fn calls(&mut self) -> &mut Calls;

    /// Tells instance `owner` what has happened.
    fn deliver(&mut self, owner: usize, conn: ConnId, event: ClientEvent<'_>) -> Verdict;

    /// Tells instance `owner` what came of the attempt to connect.
    fn connected(&mut self, owner: usize, conn: ConnId, result: Result<(), String>);

    /// True when an instance wants a turn at once. Other threads make it so, too.
    fn is_ready(&self) -> bool;
}

/// The incoming halves of the outgoing connections of one thread. Nothing is allocated before the first.
pub(crate) struct Clients {
    place: Place,
    settings: Arc<Settings>,
    wake: Arc<Wake>,
    set: Option<Box<Set>>,
}

/// Where the thread sleeps.
enum Place {
    /// In a poller that is there anyway.
    Shared(Registry),
    /// It parks, until there is a first connection.
    Own(Option<(Poll, Events)>),
}

struct Set {
    /// By slot.
    conns: Vec<Option<Conn>>,
    /// Connections that have not ended for their service.
    open: usize,
    registry: Registry,
    names: Arc<Names>,
    answers: Arc<Answers>,
    wheel: Wheel,
    /// Connections that have more to do than one turn allowed, or that may go on after a pause.
    ready: Vec<Key>,
    input: Vec<u8>,
    /// For ciphertext; empty before the first connection with TLS.
    cipher: Vec<u8>,
    /// What the last connection was made with: many are made with the same.
    pact: Option<Arc<Pact>>,
    started: Instant,
    /// Now, in ticks since `started`.
    now: u64,
}

/// The incoming half of one connection.
struct Conn {
    generation: u32,
    phase: Phase,
    pause: Pause,
    /// The service has heard of its end.
    told: bool,
    /// The server will send nothing more.
    eof: bool,
    /// A ping was sent and nothing has come since.
    pinged: bool,
    /// Which instance of the thread has it.
    owner: usize,
    /// There is none while names are looked up.
    transport: Option<Outgoing>,
    protocol: Client,
    pact: Arc<Pact>,
    /// What is needed only until the handshake begins.
    attempt: Option<Box<Attempt>>,
    /// Plaintext that was read but not decoded, because the connection is paused. It owns memory only then.
    held: Vec<u8>,
    /// Bytes of messages that were delivered and whose handlers wait.
    in_flight: usize,
    /// Tick of the last bytes from the server.
    heard: u32,
    /// Tick at which the present phase began.
    since: u32,
    /// The earliest tick for which the wheel has an entry.
    scheduled: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// A helper looks for addresses and certificates.
    Naming,
    /// The TCP connection is being made.
    Connecting,
    /// It stands, and the service has not said that it goes on.
    Standing,
    /// TLS, and the upgrade.
    Upgrading,
    Open,
    /// Our close frame went first; the server's is waited for.
    Closing,
    /// Nothing that comes counts; the server closes the stream first (RFC 6455 section 7.1.1).
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    No,
    /// In `ready`, once.
    Budget,
    /// What waits, for the socket and for handlers, is over the high-water mark.
    Full,
}

struct Attempt {
    want: Box<Want>,
    /// Those that were not tried yet, the last first.
    addresses: Vec<SocketAddr>,
    tls: Option<Arc<ClientConfig>>,
    /// What the last one said.
    error: Option<io::Error>,
    /// Tick at which the time for all of them is over.
    deadline: u32,
}

/// On which terms a connection was made, in the units of the thread.
struct Pact {
    terms: Terms,
    limits: Limits,
    high_water: usize,
    handshake: u32,
    ping: u32,
    idle: u32,
    closing: u32,
}

/// What waits for a connection, for its socket and for handlers, before it is not read any more.
const HIGH_WATER: usize = 256 * 1024;

impl Clients {
    /// For a thread that sleeps in the poller of `registry`, which `wake` wakes.
    pub(crate) fn shared(registry: Registry, wake: &Arc<Wake>, settings: &Arc<Settings>) -> Clients {
        Clients {
            place: Place::Shared(registry),
            settings: Arc::clone(settings),
            wake: Arc::clone(wake),
            set: None,
        }
    }

    /// For a thread that parks, which `wake` wakes.
    pub(crate) fn own(wake: &Arc<Wake>, settings: &Arc<Settings>) -> Clients {
        Clients { place: Place::Own(None), settings: Arc::clone(settings), wake: Arc::clone(wake), set: None }
    }

    /// Connections that have not ended for their service.
    pub(crate) fn open(&self) -> usize {
        self.set.as_ref().map_or(0, |set| set.open)
    }

    /// True when there may be something to do at once.
    pub(crate) fn has_work(&self, calls: &Calls) -> bool {
        calls.has_work() || self.set.as_ref().is_some_and(|set| !set.ready.is_empty() || set.answers.any())
    }

    /// True when an answer has come for which the thread is woken: to be asked before it sleeps.
    pub(crate) fn has_news(&self) -> bool {
        self.set.as_ref().is_some_and(|set| set.answers.any())
    }

    /// When something is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let set = self.set.as_ref()?;
        set.wheel.earliest().map(|tick| timing::time_of(set.started, tick))
    }

    /// Does what was asked for and what is due, and writes what waits. To be called once a turn, after Lua.
    pub(crate) fn turn(&mut self, host: &mut impl Host) {
        if self.set.is_none() {
            if !host.calls().has_work() {
                return;
            }
            match self.furnish() {
                Ok(set) => self.set = Some(Box::new(set)),
                Err(error) => return refuse_all(host, &error),
            }
        }
        let Some(set) = &mut self.set else { return };
        set.tick();
        set.take_wishes(host);
        set.take_answers(host);
        for key in std::mem::take(&mut set.ready) {
            set.resume(key, host);
        }
        set.take_due(host);
        // A flush can end a connection, whose service may send to others then.
        loop {
            let dirty = host.calls().take_dirty();
            if dirty.is_empty() {
                return;
            }
            for key in dirty {
                set.flush(key, host);
            }
        }
    }

    /// Does what a socket is ready for.
    pub(crate) fn on_readiness(&mut self, event: &Readiness, host: &mut impl Host) {
        if let Some(set) = &mut self.set
            && event.token() != WAKE
        {
            set.on_readiness(event, host);
        }
    }

    /// An instance has handled a message that waited.
    pub(crate) fn on_handled(&mut self, conn: ConnId, weight: usize, calls: &mut Calls) {
        if let Some(set) = &mut self.set {
            set.on_handled(key_of(conn), weight, calls);
        }
    }

    /// Connections of one instance that have not ended for it.
    pub(crate) fn open_of(&self, owner: usize) -> usize {
        let conns = self.set.iter().flat_map(|set| set.conns.iter().flatten());
        conns.filter(|conn| conn.owner == owner && !conn.told).count()
    }

    /// Closes the connections of one instance, or of all, with 1001 because it ends; of all: and lets no more be made. What
    /// comes of it is delivered in the turns that follow.
    pub(crate) fn dismiss(&mut self, owner: Option<usize>, host: &mut impl Host) {
        host.calls().dismissed |= owner.is_none();
        if let Some(set) = &mut self.set {
            for key in set.all_of(owner) {
                set.dismiss(key, host);
            }
        }
    }

    /// Drops all connections of an instance that is not there any more.
    pub(crate) fn forget(&mut self, owner: usize, calls: &mut Calls) {
        if let Some(set) = &mut self.set {
            for key in set.all_of(Some(owner)) {
                set.remove(key, calls);
            }
        }
    }

    /// For a thread that parks: sleeps until there is a letter, or the moment has come, or something has happened here,
    /// which is seen to, or an instance wants a turn.
    ///
    /// # Panics
    /// The poller failed; the thread cannot live without it.
    pub(crate) fn sleep(
        &mut self,
        mailbox: &mut Mailbox<Letter>,
        until: Option<Instant>,
        host: &mut impl Host,
    ) {
        let work = self.has_work(host.calls());
        let until =
            if work { Some(Instant::now()) } else { [until, self.next_due()].into_iter().flatten().min() };
        let set = &mut self.set;
        let Place::Own(Some((poll, events))) = &mut self.place else {
            return mailbox.sleep(until, || host.is_ready());
        };
        let mut wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        if wait != Some(Duration::ZERO) {
            // Whoever publishes something from here on wakes us, and what was published before is seen.
            self.wake.prepare();
            if !mailbox.is_empty() || host.is_ready() || set.as_ref().is_some_and(|set| set.answers.any()) {
                wait = Some(Duration::ZERO);
            }
        }
        let polled = poll.poll(events, wait);
        self.wake.awake();
        if let Err(error) = polled
            && error.kind() != io::ErrorKind::Interrupted
        {
            panic!("the poller failed: {error}");
        }
        if let Some(set) = set {
            set.tick();
            for event in &*events {
                if event.token() != WAKE {
                    set.on_readiness(event, host);
                }
            }
        }
    }

    /// Makes all that the first connection needs.
    fn furnish(&mut self) -> io::Result<Set> {
        let registry = match &mut self.place {
            Place::Shared(registry) => registry.try_clone()?,
            Place::Own(place) => {
                let (poll, _) = match place {
                    Some(place) => place,
                    None => {
                        let poll = Poll::new()?;
                        self.wake.poll_from_now_on(Waker::new(poll.registry(), WAKE)?);
                        place.insert((poll, Events::with_capacity(EVENTS)))
                    }
                };
                poll.registry().try_clone()?
            }
        };
        Ok(Set {
            conns: Vec::new(),
            open: 0,
            registry,
            names: Arc::clone(&self.settings.names),
            answers: Answers::new(Arc::clone(&self.wake)),
            wheel: Wheel::new(),
            ready: Vec::new(),
            input: vec![0; APART + CIPHER],
            cipher: Vec::new(),
            pact: None,
            started: Instant::now(),
            now: 0,
        })
    }
}

impl Set {
    fn get(&mut self, key: Key) -> Option<&mut Conn> {
        self.conns.get_mut(key.slot as usize)?.as_mut().filter(|conn| conn.generation == key.generation)
    }

    /// The connections of one instance, or of all.
    fn all_of(&self, owner: Option<usize>) -> Vec<Key> {
        let conns = (0..).zip(&self.conns).filter_map(|(slot, conn)| Some((slot, conn.as_ref()?)));
        conns
            .filter(|(_, conn)| owner.is_none_or(|owner| owner == conn.owner))
            .map(|(slot, conn)| Key { slot, generation: conn.generation })
            .collect()
    }

    fn tick(&mut self) {
        self.now = timing::ticks_since(self.started);
    }

    fn on_readiness(&mut self, event: &Readiness, host: &mut impl Host) {
        let key = key_of_token(event.token());
        let Some(conn) = self.get(key) else { return };
        match conn.phase {
            Phase::Naming | Phase::Standing => return,
            Phase::Connecting => return self.look_whether_connected(key, host),
            Phase::Upgrading | Phase::Open | Phase::Closing | Phase::Ended => {}
        }
        let paused = conn.pause != Pause::No;
        if event.is_writable()
            && let Some(row) = host.calls().row(key)
            && row.blocked
        {
            row.blocked = false;
            self.flush(key, host);
        }
        if event.is_error() && paused {
            // A paused connection is not read, so this is the only way to hear of a reset.
            self.broken(key, &io::ErrorKind::ConnectionReset.into(), host);
        } else if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.read(key, event.is_read_closed(), host);
        }
    }
}

fn token_of(key: Key) -> Token {
    Token(FIRST_TOKEN | (key.generation as usize) << 32 | key.slot as usize)
}

fn key_of_token(token: Token) -> Key {
    let number = token.0 & !FIRST_TOKEN;
    Key { slot: number as u32, generation: (number >> 32) as u32 }
}

/// Tells all who want a connection that there is no poller for it.
fn refuse_all(host: &mut impl Host, error: &io::Error) {
    for wish in host.calls().take_wishes() {
        if let calls::Wish::Connect(key, want) = wish {
            host.calls().remove(key);
            host.connected(want.owner, id(key), Err(format!("the system refused a poller: {error}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    /// `ARCHITECTURE.md` shows these.
    #[test]
    fn an_idle_connection_is_small() {
        println!(
            "Conn {} Client {} Row {}",
            size_of::<Option<Conn>>(),
            size_of::<Client>(),
            size_of::<calls::Row>()
        );
        assert!(size_of::<Client>() <= 80);
        assert!(size_of::<Option<Conn>>() <= 208);
        assert!(size_of::<calls::Row>() <= 112);
    }

    #[test]
    fn tokens_are_none_of_clients_and_not_the_wake_up() {
        for key in [Key { slot: 0, generation: 1 }, Key { slot: (1 << 24) - 1, generation: (1 << 21) - 1 }] {
            let token = token_of(key);
            assert!(token.0 >= FIRST_TOKEN && token != WAKE);
            assert_eq!(key_of_token(token), key);
        }
    }
}
