//! What is started and stopped, in which order.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Poll, Waker};

use crate::config::{Config, Placement, Protocol, Service};
use crate::engine::Link;
use crate::engine::dedicated;
use crate::engine::listener::{self, Listener};
use crate::engine::mail::{Letter, Mail};
use crate::engine::mailbox::{Mailbox, Postbox};
use crate::engine::outbox::Outbox;
use crate::engine::presence::Presence;
use crate::engine::report::Report;
use crate::engine::settings::Settings;
use crate::engine::wake::Wake;
use crate::engine::worker::{self, Load, Worker};
use crate::net::tls;
use crate::services::registry::Registry;
use crate::sys;

pub use crate::net::tls::TlsError;

/// Descriptors that are kept for everything but connections.
const RESERVED_FILES: usize = 64;

/// The page of the demo.
const PAGE: &str = include_str!("../examples/demo/page.html");

/// A running server.
pub struct Server {
    address: SocketAddr,
    pins: Vec<Option<usize>>,
    registry: Arc<Registry>,
    outcomes: Vec<Outcome>,
    grace: Duration,
    listeners: Vec<JoinHandle<()>>,
    stop_listeners: Arc<AtomicBool>,
    listener_wakers: Vec<Waker>,
    workers: Vec<Postbox<Mail>>,
    /// Dedicated instances whose thread runs.
    instances: Vec<Postbox<Letter>>,
    reports: Receiver<Report>,
    sender: Sender<Report>,
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

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// Nobody can connect.
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A certificate or key cannot be used.
    Tls(TlsError),
    /// The system refused a poller, a thread or the like.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { address, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: another process uses that port; end it, or set another \"port\" in ws.json \
                 (or --port)"
            ),
            StartError::Listen { address, error } => write!(
                f,
                "cannot listen on {address}: {error}; \"ip\" and \"port\" in ws.json say where to listen"
            ),
            StartError::Tls(error) => write!(
                f,
                "cannot use the TLS certificate: {error}; \"tls_certificates\" in ws.json names the files, and \
                 `lapps dev-cert DIR` makes a pair to try"
            ),
            StartError::System(error) => write!(f, "the system refused: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl Server {
    /// Starts everything that `config` names. When it returns, clients can connect.
    ///
    /// A service that cannot be started is no error here: see [`Server::services`].
    ///
    /// # Errors
    /// Nothing runs then.
    pub fn start(config: Config) -> Result<Server, StartError> {
        let tls = config.tls.as_ref().map(tls::load).transpose().map_err(StartError::Tls)?;
        let wanted = SocketAddr::new(config.listen.ip, config.listen.port);
        let listen_error = |error| StartError::Listen { address: wanted, error };
        let socket = sys::socket::listen(wanted, config.timeouts.stalled).map_err(listen_error)?;
        let address = socket.local_addr().map_err(listen_error)?;
        let files = sys::files::raise_limit();
        Self::build(config, tls, socket, address, files).map_err(StartError::System)
    }

    fn build(
        config: Config,
        tls: Option<Arc<rustls::ServerConfig>>,
        socket: std::net::TcpListener,
        address: SocketAddr,
        files: usize,
    ) -> io::Result<Server> {
        let is_tls = tls.is_some();
        let settings = Arc::new(Settings::new(&config, tls, std::env::var("LUA_PATH").ok()));
        let registry = Arc::new(Registry::new(config.services, config.demo.then_some(PAGE)));
        let (sender, reports) = mpsc::channel();
        let count = config.workers.count;
        let presence: Arc<[Presence]> = (0..count).map(|_| Presence::new()).collect();
        let own = Arc::new(Wake::thread());
        own.adopt();

        // Everybody's mailbox first, then everybody's way to each of them.
        let polls = (0..count).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let mut mailboxes = Vec::new();
        for poll in &polls {
            let waker = Waker::new(poll.registry(), worker::WAKE)?;
            mailboxes.push(Mailbox::new(Arc::new(Wake::poll(waker))));
        }
        let mut letterboxes: Vec<Mailbox<Letter>> =
            (0..registry.instances()).map(|_| Mailbox::new(Arc::new(Wake::thread()))).collect();
        let worker_wakes: Vec<Arc<Wake>> =
            mailboxes.iter().map(|mailbox| Arc::clone(mailbox.wake())).collect();

        let to_workers = |mailboxes: &mut Vec<Mailbox<Mail>>, from: &Arc<Wake>| -> Vec<Postbox<Mail>> {
            mailboxes.iter_mut().map(|mailbox| mailbox.sender(from)).collect()
        };
        let control = to_workers(&mut mailboxes, &own);
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
                acl: config.acl.clone(),
                tls: is_tls,
                stop: Arc::clone(&stop_listeners),
                exhausted: Arc::clone(&exhausted),
            });
        }
        let mut outboxes = Vec::new();
        for (id, wake) in worker_wakes.iter().enumerate() {
            let posts = mailboxes.iter_mut().enumerate();
            let posts = posts.map(|(to, mailbox)| (to != id).then(|| mailbox.sender(wake))).collect();
            outboxes.push(Outbox::new(id as u8, Arc::clone(&presence), posts, config.workers.auto_fragment));
        }
        let instance_posts: Vec<Vec<Postbox<Mail>>> = letterboxes
            .iter()
            .map(|letterbox| Arc::clone(letterbox.wake()))
            .map(|wake| to_workers(&mut mailboxes, &wake))
            .collect();
        let mut links: Vec<Vec<Link>> = worker_wakes
            .iter()
            .map(|wake| letterboxes.iter_mut().map(|letterbox| Link::new(letterbox.sender(wake))).collect())
            .collect();
        let to_instances: Vec<Postbox<Letter>> =
            letterboxes.iter_mut().map(|letterbox| letterbox.sender(&own)).collect();

        let pins = pins(count, config.workers.pin);
        let parts = polls.into_iter().zip(mailboxes).zip(outboxes).zip(links.drain(..));
        for (id, (((poll, mailbox), outbox), links)) in parts.enumerate() {
            let parts = worker::Parts {
                poll,
                mailbox,
                outbox,
                links,
                registry: Arc::clone(&registry),
                settings: Arc::clone(&settings),
                load: Arc::clone(&loads[id]),
                reports: sender.clone(),
            };
            let pin = pins[id];
            spawn(format!("worker-{id}"), sender.clone(), move || {
                if let Some(core) = pin
                    && !sys::affinity::pin(core)
                {
                    tracing::warn!("worker {id} cannot be pinned to core {core}");
                }
                Worker::new(parts).run()
            })?;
        }

        let mut server = Server {
            address,
            pins,
            registry,
            outcomes: Vec::new(),
            grace: config.timeouts.shutdown_grace,
            listeners: Vec::new(),
            stop_listeners,
            listener_wakers,
            workers: control,
            instances: Vec::new(),
            reports,
            sender,
        };
        let dedicated = letterboxes.into_iter().zip(instance_posts).zip(to_instances);
        server.start_services(&settings, &presence, dedicated.map(|((a, b), c)| (a, b, c)))?;
        for (id, listener) in listeners.into_iter().enumerate() {
            let thread = thread::Builder::new().name(format!("listener-{id}"));
            let reports = server.sender.clone();
            server.listeners.push(thread.spawn(move || {
                if let Err(error) = listener.run() {
                    let _ = reports.send(Report::Ended(Err(format!("listener {id}: {error}"))));
                }
            })?);
        }
        Ok(server)
    }

    /// Where clients connect; the port is the real one where any was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The core of each worker, where it is pinned.
    pub fn pins(&self) -> &[Option<usize>] {
        &self.pins
    }

    /// All services in the order of their start, with what became of them.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &Outcome)> {
        self.registry.entries().iter().map(|entry| &entry.service).zip(&self.outcomes)
    }

    /// A handle by which another thread can order the server to stop.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Waits until the server is ordered to stop, then stops it: no new connections, `onShutdown`, close 1001, until all
    /// are gone or the grace is over.
    ///
    /// # Errors
    /// A thread ended by itself; the text says which and why.
    pub fn wait(mut self) -> Result<(), String> {
        loop {
            match self.reports.recv() {
                Ok(Report::Signal) | Err(_) => break,
                Ok(Report::Ended(Err(error))) => return Err(error),
                Ok(_) => {}
            }
        }
        self.stop();
        Ok(())
    }

    fn start_services(
        &mut self,
        settings: &Arc<Settings>,
        presence: &Arc<[Presence]>,
        mut dedicated: impl Iterator<Item = (Mailbox<Letter>, Vec<Postbox<Mail>>, Postbox<Letter>)>,
    ) -> io::Result<()> {
        for number in 0..self.registry.entries().len() {
            let registry = Arc::clone(&self.registry);
            let entry = registry.entry(number);
            let boxes: Vec<_> = dedicated.by_ref().take(entry.instances.len()).collect();
            let mut posts_to = Vec::new();
            let outcome = match self.obstacle(&entry.service) {
                _ if !entry.service.auto_start => Outcome::NotStarted,
                Some(obstacle) => Outcome::Failed(obstacle),
                None => {
                    let expected = match entry.service.placement {
                        Placement::Worker => {
                            for worker in &mut self.workers {
                                worker.send(Mail::Start { service: number });
                            }
                            self.workers.len()
                        }
                        _ => {
                            for (nth, (mailbox, posts, post)) in boxes.into_iter().enumerate() {
                                let parts = dedicated::Parts {
                                    mailbox,
                                    posts,
                                    presence: Arc::clone(presence),
                                    settings: Arc::clone(settings),
                                    reports: self.sender.clone(),
                                };
                                let registry = Arc::clone(&registry);
                                spawn(
                                    format!("{}-{nth}", entry.service.name),
                                    self.sender.clone(),
                                    move || {
                                        dedicated::run(parts, &registry.entry(number).service);
                                        Ok(())
                                    },
                                )?;
                                posts_to.push(post);
                            }
                            entry.instances.len()
                        }
                    };
                    self.outcome(expected)
                }
            };
            match &outcome {
                Outcome::Running => {
                    entry.set_running(true);
                    self.instances.append(&mut posts_to);
                }
                Outcome::NotStarted => {}
                Outcome::Failed(why) => tracing::error!("{why}"),
            }
            // Of a service that failed some instances may run; nobody will ever need them.
            for mut post in posts_to {
                post.send(Letter::Exit);
            }
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// What keeps a service from being started before it is even tried.
    fn obstacle(&self, service: &Service) -> Option<String> {
        let name = &service.name;
        let missing = |what: &str| {
            Some(format!(
                "service '{name}' cannot be started: {what} is not part of version {}",
                env!("CARGO_PKG_VERSION")
            ))
        };
        if matches!(service.placement, Placement::Standalone(_)) {
            return missing("\"standalone\"");
        }
        if service.protocol == Protocol::Lapps {
            return missing("\"protocol\": \"LAppS\"");
        }
        if let Some(module) = service.preload.first() {
            return missing(&format!("the module '{module}' of \"preload\""));
        }
        let failed = self
            .services()
            .find(|(other, outcome)| service.depends.contains(&other.name) && **outcome != Outcome::Running);
        failed.map(|(other, _)| {
            format!(
                "service '{name}' cannot be started: it depends on '{}', which is not running",
                other.name
            )
        })
    }

    /// Waits for `expected` instances to say whether they have started.
    fn outcome(&self, expected: usize) -> Outcome {
        let mut outcome = Outcome::Running;
        let mut left = expected;
        while left > 0 {
            match self.reports.recv() {
                Ok(Report::Started(result)) => {
                    left -= 1;
                    if let Err(error) = result {
                        outcome = Outcome::Failed(error);
                    }
                }
                Ok(Report::Ended(Err(error))) => {
                    // `wait` must hear of it too: a server without one of its threads is not to go on.
                    let _ = self.sender.send(Report::Ended(Err(error.clone())));
                    return Outcome::Failed(error);
                }
                Ok(_) => {}
                Err(_) => return Outcome::Failed("all threads have ended".into()),
            }
        }
        outcome
    }

    fn stop(&mut self) {
        let deadline = Instant::now() + self.grace;
        self.stop_listeners.store(true, Ordering::Release);
        for waker in &self.listener_wakers {
            let _ = waker.wake();
        }
        for listener in self.listeners.drain(..) {
            let _ = listener.join();
        }
        for worker in &mut self.workers {
            worker.send(Mail::Stop);
        }
        for instance in &mut self.instances {
            instance.send(Letter::Stop);
        }
        let all = self.workers.len() + self.instances.len();
        self.await_reports(all, deadline, "onShutdown", |report| matches!(report, Report::Stopped));
        for worker in &mut self.workers {
            worker.send(Mail::Drain { deadline });
        }
        let ended = |report: &Report| matches!(report, Report::Ended(_));
        // A little more than the workers have, so that a worker that cuts at the deadline is not called late.
        let late = Duration::from_secs(2);
        self.await_reports(self.workers.len(), deadline + late, "closing connections", ended);
        for instance in &mut self.instances {
            instance.send(Letter::Exit);
        }
        self.await_reports(self.instances.len(), Instant::now() + late, "the last events", ended);
    }

    /// Waits for `count` such reports, and says what took too long.
    fn await_reports(&self, count: usize, deadline: Instant, what: &str, wanted: impl Fn(&Report) -> bool) {
        let mut left = count;
        while left > 0 {
            match self.reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(report) => left -= usize::from(wanted(&report)),
                Err(RecvTimeoutError::Timeout) => {
                    tracing::warn!("{left} of {count} threads did not finish {what} in time");
                    return;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
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

/// Starts a thread whose end is reported, a panic too.
fn spawn(
    name: String,
    reports: Sender<Report>,
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.clone());
    let run = std::panic::AssertUnwindSafe(run);
    thread.spawn(move || {
        let result = match std::panic::catch_unwind(run) {
            Ok(result) => result.map_err(|error| format!("thread {name}: {error}")),
            Err(_) => Err(format!("thread {name} panicked")),
        };
        let _ = reports.send(Report::Ended(result));
    })?;
    Ok(())
}

/// The core for each worker: the cores that the process may use, in turn.
fn pins(workers: usize, pin: bool) -> Vec<Option<usize>> {
    let cores = if pin { sys::affinity::cores() } else { Vec::new() };
    (0..workers).map(|worker| (!cores.is_empty()).then(|| cores[worker % cores.len()])).collect()
}
