//! What is started and stopped, in which order.

mod deploying;
mod desk;
mod ending;
mod pollers;
mod reloading;
mod replace;
mod services;
mod start_error;
mod threads;
mod versions;
mod watchdog;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Poll, Waker};

use crate::config::{Config, Service};
use crate::engine::channels::Channels;
use crate::engine::frames::Framing;
use crate::engine::listener::{self, Listener};
use crate::engine::mail::Mail;
use crate::engine::mailbox::{Mailbox, Postbox};
use crate::engine::outbox::Outbox;
use crate::engine::presence::Presence;
use crate::engine::report::{Report, Who};
use crate::engine::settings::Settings;
use crate::engine::wake::Wake;
use crate::engine::worker::{self, Load, Worker};
use crate::net::tls;
use crate::ops::admin::Admin;
use crate::ops::control::Control;
use crate::ops::supervisor;
use crate::services::registry::Registry;
use crate::sys;
use crate::sys::poller::Poller;
use deploying::Deploying;
use reloading::Files;
use replace::{Goodbye, Order};
use threads::{Kind, Threads};
use versions::{Phase, Start, Version, Versions};
use watchdog::Watchdog;

pub use crate::net::tls::TlsError;
pub use crate::services::refused::Refused;
pub use reloading::Reloader;
pub use replace::Replacer;
pub use start_error::StartError;

/// Descriptors that are kept for everything but connections.
const RESERVED_FILES: usize = 64;

/// When the system gives up one who asks how the server is and takes nothing of the answer.
const ADMIN_STALLED: Duration = Duration::from_secs(10);

/// The page of the demo.
const PAGE: &str = include_str!("../examples/demo/page.html");

/// A running server.
pub struct Server {
    address: SocketAddr,
    pins: Vec<Option<usize>>,
    has_rings: bool,
    settings: Arc<Settings>,
    files: Files,
    channels: Arc<Channels>,
    /// What answers `GET /`, in the demo.
    page: Option<&'static str>,
    grace: Duration,
    versions: Versions,
    /// Replacements that were asked for and not begun.
    orders: VecDeque<Order>,
    /// Those who wait until a version has gone.
    goodbyes: Vec<Goodbye>,
    /// The wake-up of the thread that has the server.
    own: Arc<Wake>,
    listeners: Vec<JoinHandle<()>>,
    stop_listeners: Arc<AtomicBool>,
    listener_wakers: Vec<Waker>,
    workers: Vec<Postbox<Mail>>,
    /// The wake-ups of the workers, by number.
    worker_wakes: Vec<Arc<Wake>>,
    threads: Threads,
    /// It is to stop.
    stop_ordered: bool,
    /// It does: nobody is replaced any more.
    stopping: bool,
    deployer: Option<deploying::Handle>,
    /// These answer until everything else has ended.
    admin: Option<Admin>,
    _control: Option<Control>,
    _watchdog: Option<Watchdog>,
}

/// What became of a service at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It answers its target.
    Running,
    /// Its `auto_start` is false.
    NotStarted,
    /// It could not be started, and why; its target answers 503.
    Failed(String),
}

impl Server {
    /// Starts everything that `config` names. When it returns, clients can connect.
    ///
    /// A service that cannot be started is no error here: see [`Server::services`].
    ///
    /// # Errors
    /// Nothing runs then.
    pub fn start(config: Config) -> Result<Server, StartError> {
        Self::start_stoppable(config, |_| {})
    }

    /// As [`Server::start`]; `early` gets the stopper before the services start, which may take long. A server that is
    /// stopped by then is [stopping](Server::is_stopping): nobody can connect, and [`Server::wait`] ends it.
    ///
    /// # Errors
    /// Nothing runs then, except after [`StartError::Stopped`]: the service that keeps the server from stopping.
    pub fn start_stoppable(config: Config, early: impl FnOnce(Stopper)) -> Result<Server, StartError> {
        let tls = config.tls.as_ref().map(tls::load).transpose().map_err(StartError::Tls)?;
        let wanted = SocketAddr::new(config.listen.ip, config.listen.port);
        let listen_error = |error| StartError::Listen { address: wanted, error };
        let socket = sys::socket::listen(wanted, config.timeouts.stalled).map_err(listen_error)?;
        let address = socket.local_addr().map_err(listen_error)?;
        let files = sys::files::raise_limit();
        Self::build(config, tls, socket, address, files, early)
    }

    fn build(
        config: Config,
        tls: Option<tls::Identity>,
        socket: std::net::TcpListener,
        address: SocketAddr,
        files: usize,
        early: impl FnOnce(Stopper),
    ) -> Result<Server, StartError> {
        let is_tls = tls.is_some();
        let settings = Arc::new(Settings::new(&config, tls, std::env::var("LUA_PATH").ok()));
        let admin = config.admin.map(|address| admin(address, &settings)).transpose()?;
        let mut threads = Threads::new();
        let reception = desk::Reception {
            reports: threads.sender().clone(),
            ledger: Arc::clone(&settings.ledger),
            address,
            tls: is_tls,
            started: Instant::now(),
        };
        let page = config.demo.then_some(PAGE);
        let registry = Arc::new(Registry::new(std::iter::empty(), page));
        let count = config.workers.count;
        let presence: Arc<[Presence]> = (0..count).map(|_| Presence::new()).collect();
        let framing = Framing { auto_fragment: config.workers.auto_fragment };
        let channels = Arc::new(Channels::new(presence, framing));
        let own = Arc::new(Wake::thread());
        own.adopt();

        // Everybody's mailbox first, then everybody's way to each of them.
        let pollers = pollers::make(config.workers.io, count)?;
        let has_rings = pollers.iter().any(Poller::has_ring);
        let mut mailboxes = Vec::new();
        for poller in &pollers {
            mailboxes.push(Mailbox::new(Arc::new(Wake::poll(poller.waker(worker::WAKE)?))));
        }
        let worker_wakes: Vec<Arc<Wake>> =
            mailboxes.iter().map(|mailbox| Arc::clone(mailbox.wake())).collect();

        let to_workers = |mailboxes: &mut Vec<Mailbox<Mail>>, from: &Arc<Wake>| -> Vec<Postbox<Mail>> {
            mailboxes.iter_mut().map(|mailbox| mailbox.sender(from)).collect()
        };
        let control = to_workers(&mut mailboxes, &own);
        // Made here, because all ways to a mailbox are; it begins when clients are served.
        let watchdog = supervisor::patience().map(|patience| {
            let wake = Arc::new(Wake::thread());
            let workers = to_workers(&mut mailboxes, &wake);
            watchdog::Order { workers, wake, life: Arc::clone(&settings.life), patience }
        });
        let loads: Vec<Arc<Load>> = (0..count).map(|_| Arc::default()).collect();
        let max_total = files.saturating_sub(RESERVED_FILES);
        let exhausted = Arc::new(AtomicUsize::new(0));
        let stop_listeners = Arc::new(AtomicBool::new(false));
        let mut listeners = Vec::new();
        let mut listener_wakers = Vec::new();
        for _ in 0..config.listen.listeners {
            let poll = Poll::new()?;
            listener_wakers.push(Waker::new(poll.registry(), listener::WAKE)?);
            listeners.push(Listener {
                poll,
                socket: mio::net::TcpListener::from_std(socket.try_clone()?),
                // Listeners never wait for room, so nobody needs to wake them.
                posts: to_workers(&mut mailboxes, &own),
                loads: loads.clone(),
                weight: config.workers.connection_weight,
                max_connections: config.workers.max_connections,
                max_total,
                acl: Arc::clone(&settings.acl),
                tls: is_tls,
                stop: Arc::clone(&stop_listeners),
                exhausted: Arc::clone(&exhausted),
                tally: settings.ledger.listener(),
            });
        }
        let mut outboxes = Vec::new();
        for (id, wake) in worker_wakes.iter().enumerate() {
            let posts = mailboxes.iter_mut().enumerate();
            let posts = posts.map(|(to, mailbox)| (to != id).then(|| mailbox.sender(wake))).collect();
            let (channels, life) = (Arc::clone(&channels), Arc::clone(&settings.life));
            outboxes.push(Outbox::new(id as u8, posts, channels, life, Arc::clone(&registry)));
        }

        let pins = pins(count, config.workers.pin);
        let parts = pollers.into_iter().zip(mailboxes).zip(outboxes);
        for (id, ((poller, mailbox), outbox)) in parts.enumerate() {
            let parts = worker::Parts {
                poller,
                mailbox,
                outbox,
                registry: Arc::clone(&registry),
                settings: Arc::clone(&settings),
                load: Arc::clone(&loads[id]),
                reports: threads.sender().clone(),
            };
            let pin = pins[id];
            threads.spawn(Kind::Worker, format!("worker-{id}"), move || {
                if let Some(core) = pin
                    && !sys::affinity::pin(core)
                {
                    tracing::warn!("worker {id} cannot be pinned to core {core}");
                }
                Worker::new(parts)?.run()
            })?;
        }

        let mut server = Server {
            address,
            pins,
            has_rings,
            settings,
            files: Files::new(&config),
            channels,
            page,
            grace: config.timeouts.shutdown_grace,
            versions: Versions::default(),
            orders: VecDeque::new(),
            goodbyes: Vec::new(),
            own,
            listeners: Vec::new(),
            stop_listeners,
            listener_wakers,
            workers: control,
            worker_wakes,
            threads,
            stop_ordered: false,
            stopping: false,
            deployer: None,
            admin,
            _control: config.control.as_deref().and_then(|path| control_socket(path, reception)),
            _watchdog: None,
        };
        early(server.stopper());
        let mut deploying = Deploying::begin(&config)?;
        let services = deploying.as_mut().map_or(config.services, Deploying::prepare);
        server.start_services(services)?;
        if let Some(deploying) = deploying {
            server.deploy(deploying)?;
        }
        if server.stop_ordered {
            return Ok(server);
        }
        for (id, listener) in listeners.into_iter().enumerate() {
            let thread = thread::Builder::new().name(format!("listener-{id}"));
            let reports = server.threads.sender().clone();
            server.listeners.push(thread.spawn(move || {
                if let Err(error) = listener.run() {
                    let _ = reports.send(Report::Died(format!("listener {id}: {error}")));
                }
            })?);
        }
        server.settings.ledger.set_ready(true);
        server._watchdog = watchdog.map(watchdog::Order::begin).transpose()?;
        supervisor::ready(&server.in_one_line());
        Ok(server)
    }

    /// Where clients connect; the port is the real one where any was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where those who watch may ask, if that is configured; the port is the real one where any was asked for.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// The core of each worker, where it is pinned.
    pub fn pins(&self) -> &[Option<usize>] {
        &self.pins
    }

    /// True when the workers serve their connections by io_uring.
    pub fn has_rings(&self) -> bool {
        self.has_rings
    }

    /// All services in the order of their start, with what became of them.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &Outcome)> {
        self.versions.current().map(|(_, version)| (&version.entry.service, &version.outcome))
    }

    /// What is there, for a person who asks the supervisor.
    fn in_one_line(&self) -> String {
        let services = self.services().filter(|(service, _)| service.auto_start).count();
        let running = self.services().filter(|(_, outcome)| **outcome == Outcome::Running).count();
        let scheme = if self.settings.tls.is_some() { "wss" } else { "ws" };
        format!("{running} of {services} services run at {scheme}://{}", self.address)
    }

    /// True when it was ordered to stop before all services had started.
    pub fn is_stopping(&self) -> bool {
        self.stop_ordered
    }

    /// A handle by which another thread can order the server to stop.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.threads.sender().clone())
    }

    /// A handle by which another thread can have services replaced.
    pub fn replacer(&self) -> Replacer {
        Replacer::new(self.threads.sender().clone())
    }

    /// Waits until the server is ordered to stop, then stops it: no new connections, `onShutdown`, close 1001, until all
    /// are gone and all handlers have ended or the grace is over; then the fibers that are left are interrupted.
    ///
    /// # Errors
    /// A thread ended by itself; the text says which and why.
    pub fn wait(mut self) -> Result<(), String> {
        while !self.stop_ordered {
            if let Some(order) = self.orders.pop_front() {
                self.carry_out(order);
            } else if let Turn::Died(error) = self.turn(None) {
                return Err(error);
            }
        }
        self.stop();
        Ok(())
    }

    /// Sees to the next report, and to the versions that are on their way out; `until` is how long it waits at most.
    fn turn(&mut self, until: Option<Instant>) -> Turn {
        let next = [until, self.next_deadline()].into_iter().flatten().min();
        let turn = match self.threads.next(next) {
            Some(report) => self.on_report(report),
            None => Turn::Over,
        };
        self.see_off();
        turn
    }

    fn on_report(&mut self, report: Report) -> Turn {
        match report {
            Report::Waits(who) => self.on_start(who, Start::Waits),
            Report::Started(who, result) => {
                self.on_start(who, Start::Over);
                if let (Err(error), Some(version)) = (result, self.versions.get_mut(who.service))
                    && version.phase == Phase::Starting
                {
                    version.outcome = Outcome::Failed(error);
                }
            }
            Report::Stopped(who) => {
                if let Some(member) = self.versions.member(who) {
                    member.stopped = true;
                }
            }
            Report::Left { service } => {
                if let Some(Version { phase: Phase::Leaving { workers, .. }, .. }) =
                    self.versions.get_mut(service)
                {
                    *workers -= 1;
                }
            }
            Report::Ended(thread) => {
                if let Some(member) = self.versions.of_thread(thread) {
                    member.ended = true;
                }
            }
            Report::Signal => self.stop_ordered = true,
            // Whoever asks hears that the server stops.
            Report::Replace { .. } if self.stopping => {}
            Report::Replace { services, answer } => {
                self.orders.push_back(Order { services, answer, sees_off: false });
            }
            Report::Asked(inquiry) => self.on_inquiry(inquiry),
            Report::Died(error) => return Turn::Died(error),
        }
        Turn::Seen
    }

    fn on_start(&mut self, who: Who, start: Start) {
        if let Some(member) = self.versions.member(who) {
            member.start = start;
        }
    }
}

/// What came of waiting for a report.
enum Turn {
    /// One was seen to.
    Seen,
    /// None came in time.
    Over,
    /// A thread has ended by an error: the server is not to go on.
    Died(String),
}

/// Orders a server to stop.
#[derive(Debug, Clone)]
pub struct Stopper(Sender<Report>);

impl Stopper {
    /// The server's [`Server::wait`] goes on to stop it.
    pub fn stop(&self) {
        let _ = self.0.send(Report::Signal);
    }
}

impl Stopper {
    /// A handle by which another thread can have the server read its files again.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(self.0.clone())
    }
}

/// Lets those who watch ask at `address`.
fn admin(address: SocketAddr, settings: &Settings) -> Result<Admin, StartError> {
    sys::socket::listen(address, ADMIN_STALLED)
        .and_then(|socket| Admin::start(socket, Arc::clone(&settings.ledger)))
        .map_err(|error| StartError::Admin { address, error })
}

/// Lets those in charge ask and order at `path`. A server without that goes on.
fn control_socket(path: &std::path::Path, reception: desk::Reception) -> Option<Control> {
    if !path.parent().is_some_and(std::path::Path::is_dir) {
        tracing::debug!("no control socket: there is no directory for {}", path.display());
        return None;
    }
    match Control::start(path, reception) {
        Ok(control) => Some(control),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            tracing::warn!("no control socket: another server listens at {}", path.display());
            None
        }
        Err(error) => {
            tracing::warn!("no control socket at {}: {error}", path.display());
            None
        }
    }
}

/// The core for each worker: the cores that the process may use, in turn.
fn pins(workers: usize, pin: bool) -> Vec<Option<usize>> {
    let cores = if pin { sys::affinity::cores() } else { Vec::new() };
    (0..workers).map(|worker| (!cores.is_empty()).then(|| cores[worker % cores.len()])).collect()
}
