//! What is started and stopped, in which order.

mod services;
mod threads;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Poll, Waker};

use crate::config::{Config, Service};
use crate::engine::Link;
use crate::engine::channels::Channels;
use crate::engine::frames::Framing;
use crate::engine::life::Life;
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
use services::Boxes;
use threads::{Kind, Threads};

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
    life: Arc<Life>,
    listeners: Vec<JoinHandle<()>>,
    stop_listeners: Arc<AtomicBool>,
    listener_wakers: Vec<Waker>,
    workers: Vec<Postbox<Mail>>,
    /// To the instances that have been started.
    dedicated: Vec<Postbox<Letter>>,
    standalone: Vec<Postbox<Letter>>,
    threads: Threads,
    /// The order to stop came before everything was started.
    stop_ordered: bool,
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
    /// It was ordered to stop, while a service did not come to the end of its start.
    Stopped,
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
            StartError::Stopped => f.write_str("ended by a signal while services start"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::System(error)
    }
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
        tls: Option<Arc<rustls::ServerConfig>>,
        socket: std::net::TcpListener,
        address: SocketAddr,
        files: usize,
        early: impl FnOnce(Stopper),
    ) -> Result<Server, StartError> {
        let is_tls = tls.is_some();
        let settings = Arc::new(Settings::new(&config, tls, std::env::var("LUA_PATH").ok()));
        let registry = Arc::new(Registry::new(config.services, config.demo.then_some(PAGE)));
        let mut threads = Threads::new();
        let count = config.workers.count;
        let presence: Arc<[Presence]> = (0..count).map(|_| Presence::new()).collect();
        let framing = Framing { auto_fragment: config.workers.auto_fragment };
        let channels = Arc::new(Channels::new(presence, framing));
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
            (0..registry.threads()).map(|_| Mailbox::new(Arc::new(Wake::thread()))).collect();
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
            let (channels, life) = (Arc::clone(&channels), Arc::clone(&settings.life));
            outboxes.push(Outbox::new(id as u8, posts, channels, life));
        }
        let instance_posts: Vec<Vec<Postbox<Mail>>> = letterboxes
            .iter()
            .map(|letterbox| Arc::clone(letterbox.wake()))
            .map(|wake| to_workers(&mut mailboxes, &wake))
            .collect();
        let mut links: Vec<Vec<Link>> = worker_wakes
            .iter()
            .map(|wake| {
                let dedicated = letterboxes.iter_mut().take(registry.instances());
                dedicated.map(|letterbox| Link::new(letterbox.sender(wake))).collect()
            })
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
                reports: threads.sender().clone(),
            };
            let pin = pins[id];
            threads.spawn(Kind::Worker, format!("worker-{id}"), move || {
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
            life: Arc::clone(&settings.life),
            listeners: Vec::new(),
            stop_listeners,
            listener_wakers,
            workers: control,
            dedicated: Vec::new(),
            standalone: Vec::new(),
            threads,
            stop_ordered: false,
        };
        early(server.stopper());
        let boxes = letterboxes.into_iter().zip(instance_posts).zip(to_instances);
        let boxes = boxes.map(|((mailbox, posts), post)| Boxes { mailbox, posts, post }).collect();
        server.start_services(&settings, &channels, boxes)?;
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

    /// True when it was ordered to stop before all services had started.
    pub fn is_stopping(&self) -> bool {
        self.stop_ordered
    }

    /// A handle by which another thread can order the server to stop.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.threads.sender().clone())
    }

    /// Waits until the server is ordered to stop, then stops it: no new connections, `onShutdown`, close 1001, until all
    /// are gone and all handlers have ended or the grace is over; then the fibers that are left are interrupted.
    ///
    /// # Errors
    /// A thread ended by itself; the text says which and why.
    pub fn wait(mut self) -> Result<(), String> {
        while !self.stop_ordered {
            match self.threads.next(None) {
                Some(Report::Signal) | None => break,
                Some(Report::Died(error)) => return Err(error),
                Some(_) => {}
            }
        }
        self.stop();
        Ok(())
    }

    fn stop(&mut self) {
        let deadline = Instant::now() + self.grace;
        self.life.stop();
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
        for instance in self.dedicated.iter_mut().chain(&mut self.standalone) {
            instance.send(Letter::Stop { deadline });
        }
        self.threads.await_stopped(self.workers.len() + self.dedicated.len(), deadline);
        for worker in &mut self.workers {
            worker.send(Mail::Drain { deadline });
        }
        // A little more than they have themselves, so that a thread that cuts at the deadline is not called late.
        let late = Duration::from_secs(2);
        self.threads.await_ends(Kind::Worker, deadline + late, "closing connections");
        for instance in &mut self.dedicated {
            instance.send(Letter::Exit { deadline });
        }
        let last = deadline.max(Instant::now()) + late;
        self.threads.await_ends(Kind::Dedicated, last, "the last events");
        self.threads.await_ends(Kind::Standalone, last, "run");
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

/// The core for each worker: the cores that the process may use, in turn.
fn pins(workers: usize, pin: bool) -> Vec<Option<usize>> {
    let cores = if pin { sys::affinity::cores() } else { Vec::new() };
    (0..workers).map(|worker| (!cores.is_empty()).then(|| cores[worker % cores.len()])).collect()
}
