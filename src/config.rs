//! The configuration as types: read and checked once, so that nothing below can meet a wrong value.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub mod acl;
mod demo;
mod deployment;
mod document;
pub mod keys;
mod load;
mod log;
mod memory;
mod mistakes;
mod order;
mod places;
mod save;
mod section;
mod server_file;
mod service;
mod service_section;
mod services_file;
mod written;

pub use demo::demo;
pub use deployment::{Deployment, deployment};
pub use load::load;
pub(crate) use log::filter as log_filter;
pub use log::{Log, LogFormat};
pub(crate) use memory::RING_BUFFERS;
pub use memory::{MemoryBound, Part, RING_AREA, RING_BYTES};
pub use mistakes::{Mistake, Mistakes};
pub use places::Places;
pub use save::save;
pub use service::{Concurrency, Gc, Placement, Protocol, Service, Source};
pub use written::{Changed, Written, control_socket};

use acl::Acl;

/// Everything that is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: Listen,
    /// The I/O workers.
    pub workers: Workers,
    /// Who may connect at all.
    pub acl: Acl,
    /// `None`: connections are plain.
    pub tls: Option<Tls>,
    /// TLS of outgoing connections.
    pub client_tls: ClientTls,
    /// Whether the files are written back after a deployment.
    pub auto_save: bool,
    /// Where services and their data are.
    pub directories: Directories,
    /// All services in the order of their start: dependencies first, then by name. Request targets are unique.
    pub services: Vec<Service>,
    /// How long the server waits for what.
    pub timeouts: Timeouts,
    /// How much the queues of `mqr` hold.
    pub queues: Queues,
    /// Where those who watch may ask; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// Where the log goes, and what it holds.
    pub log: Log,
    /// Where the control socket is; `None` where there is no home: the demo.
    pub control: Option<PathBuf>,
    /// Where the files were; `None` where there are none: the demo.
    pub places: Option<Places>,
    /// Whether this is the built-in demo, which shows a page at `GET /`.
    pub demo: bool,
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Number of listener threads, at least 1.
    pub listeners: usize,
    /// The address to listen at.
    pub ip: IpAddr,
    /// The port; 0 is any free one.
    pub port: u16,
}

/// The I/O workers.
#[derive(Debug, Clone, PartialEq)]
pub struct Workers {
    /// Number of workers, 1 to 255.
    pub count: usize,
    /// Connections that one worker may own, 1 to 2^24.
    pub max_connections: usize,
    /// What a connection counts for against a queued event when the least loaded worker is sought; above 0.
    pub connection_weight: f64,
    /// Whether long messages go out in frames of 1392 bytes.
    pub auto_fragment: bool,
    /// Readiness events taken from the system at once, at least 1.
    pub max_poll_events: usize,
    /// How long a worker may sleep at most; `None`: until there is something to do.
    pub max_poll_wait: Option<Duration>,
    /// Bytes of a worker's one read buffer, at least 64 KiB.
    pub read_buffer: usize,
    /// Whether each worker is pinned to a core.
    pub pin: bool,
    /// By what means of the system it serves its connections.
    pub io: Io,
}

/// By what means of the system a worker serves its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// Readiness, and a call for each read and write.
    Epoll,
    /// Completions; epoll where the system does not allow it.
    IoUring,
    /// Completions where the system allows it, else epoll.
    Auto,
}

/// How the server's end of TLS is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM; there was a file here when the configuration was read.
    pub certificate: PathBuf,
    /// Its private key, PEM; likewise.
    pub key: PathBuf,
    /// The lowest version that clients of the server may use; the highest is 1.3.
    pub minimum: TlsVersion,
}

/// How TLS of outgoing connections is set up, whether or not the server itself speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificates to trust, PEM; it may be missing if the server's end has no TLS. `None`: the system's.
    pub ca: Option<PathBuf>,
    /// The lowest version to speak; the highest is 1.3.
    pub minimum: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

/// The directories, all absolute; none of them needs to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Relative paths of the configuration start here.
    pub home: PathBuf,
    /// The code of the services, one directory for each.
    pub applications: PathBuf,
    /// The configuration of the services themselves.
    pub app_conf: PathBuf,
    /// Temporary files.
    pub tmp: PathBuf,
    /// Where services may write.
    pub workdir: PathBuf,
    /// Archives that are put here are deployed.
    pub deploy: PathBuf,
}

/// How much the queues of the module `mqr` hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    /// Messages in one queue, at least 1.
    pub messages: usize,
    /// Bytes in all queues together.
    pub bytes: usize,
}

/// How long the server waits for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// From the order to stop until connections are cut.
    pub shutdown_grace: Duration,
    /// From accept until the TLS handshake and the request head are complete.
    pub handshake: Duration,
    /// Silence of a client after which it gets a ping.
    pub ping: Duration,
    /// Silence of a client after which it is cut; longer than `ping`.
    pub idle: Duration,
    /// How long a client may take nothing of what is to be sent to it.
    pub stalled: Duration,
    /// How long the close handshake may take.
    pub closing: Duration,
}
