//! Reads `ws.json`: the server without its services.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::acl::{Acl, Policy, parse_network};
use super::keys::{self, Key};
use super::places::absolute;
use super::section::{Section, allowed};
use super::{ClientTls, Io, Listen, Log, Queues, Timeouts, Tls, TlsVersion, Workers, log};

/// A worker's read buffer is not smaller than this: the original's default would cost a system call per message.
const MIN_READ_BUFFER: usize = 64 * 1024;

/// What `ws.json` says.
pub(super) struct Server {
    pub(super) listen: Listen,
    pub(super) workers: Workers,
    pub(super) acl: Acl,
    pub(super) tls: Option<Tls>,
    pub(super) client_tls: ClientTls,
    pub(super) auto_save: bool,
    pub(super) timeouts: Timeouts,
    pub(super) queues: Queues,
    pub(super) admin: Option<SocketAddr>,
    pub(super) control: Option<PathBuf>,
    pub(super) log: Log,
}

pub(super) fn read(file: &Section<'_>, home: &Path) -> Server {
    let (tls, client_tls) = tls(file, home);
    Server {
        listen: Listen {
            listeners: file.integer(&keys::LISTENERS) as usize,
            ip: ip(file),
            port: file.integer(&keys::PORT) as u16,
        },
        workers: workers(file),
        acl: acl(&file.section(&keys::ACL)),
        tls,
        client_tls,
        auto_save: file.flag(&keys::AUTO_SAVE),
        timeouts: timeouts(file),
        queues: Queues {
            messages: file.integer(&keys::MQR_MAX_MESSAGES) as usize,
            bytes: file.integer(&keys::MQR_MAX_BYTES) as usize,
        },
        admin: admin(file),
        control: file.text_if_there(&keys::CONTROL_SOCKET).map(|(text, _)| absolute(&home.join(text))),
        log: log::read(&file.section(&keys::LOG), home),
    }
}

/// Reads an access list, the server's or a service's.
pub(super) fn acl(section: &Section<'_>) -> Acl {
    let policy = if section.word(&keys::POLICY) == "deny" { Policy::Deny } else { Policy::Allow };
    let mut exceptions = Vec::new();
    for (text, node) in section.list(&keys::EXCLUDE).unwrap_or_default() {
        match parse_network(&text) {
            Ok(net) => exceptions.push(net),
            Err(wrong) => node.wrong(wrong, allowed(&keys::EXCLUDE.kind)),
        }
    }
    Acl::new(policy, exceptions)
}

fn ip(file: &Section<'_>) -> IpAddr {
    let written = file.text_if_there(&keys::IP);
    let Some((text, node)) = written else { return IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    text.parse().unwrap_or_else(|_| {
        node.wrong("is no IP address", allowed(&keys::IP.kind));
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    })
}

/// Where the admin listener is to be: where no other machine reaches it, unless that is wished.
fn admin(file: &Section<'_>) -> Option<SocketAddr> {
    let there = file.node(&keys::ADMIN)?;
    let section = file.section(&keys::ADMIN);
    let remote = section.flag(&keys::ADMIN_REMOTE);
    let Some((text, node)) = section.text_if_there(&keys::ADMIN_LISTEN) else {
        if there.object().is_some() && section.node(&keys::ADMIN_LISTEN).is_none() {
            section.missing(&keys::ADMIN_LISTEN, "the admin listener needs an address", None);
        }
        return None;
    };
    let Ok(address) = text.parse::<SocketAddr>() else {
        node.wrong("is no address with a port", allowed(&keys::ADMIN_LISTEN.kind));
        return None;
    };
    if !address.ip().is_loopback() && !remote {
        node.wrong(
            "other machines can reach this address, and whoever asks is answered",
            "allowed is an address of the loopback such as 127.0.0.1, or \"remote\": true beside it",
        );
    }
    Some(address)
}

fn workers(file: &Section<'_>) -> Workers {
    let section = file.section(&keys::WORKERS);
    // Kept for the files of the original; there it was the number of reads that a connection had to wait.
    section.integer_if_there(&keys::MAX_INBOUNDS_SKIP);
    Workers {
        count: section
            .integer_if_there(&keys::WORKER_COUNT)
            .map_or_else(usable_cores, |count| count as usize),
        max_connections: section.integer(&keys::MAX_CONNECTIONS) as usize,
        connection_weight: file.positive(&keys::CONNECTION_WEIGHT),
        auto_fragment: section.flag(&keys::AUTO_FRAGMENT),
        max_poll_events: section.integer(&keys::MAX_POLL_EVENTS) as usize,
        max_poll_wait: section.integer_if_there(&keys::MAX_POLL_WAIT_MS).map(Duration::from_millis),
        read_buffer: MIN_READ_BUFFER.max(section.integer(&keys::INPUT_BUFFER_SIZE) as usize),
        pin: section.flag(&keys::PIN),
        io: match section.word(&keys::IO) {
            "io_uring" => Io::IoUring,
            "auto" => Io::Auto,
            _ => Io::Epoll,
        },
    }
}

/// The cores that this process may run on, at most as many as there may be workers.
fn usable_cores() -> usize {
    core_affinity::get_core_ids().map_or(1, |cores| cores.len()).clamp(1, 256)
}

fn tls(file: &Section<'_>, home: &Path) -> (Option<Tls>, ClientTls) {
    let wanted = file.flag(&keys::TLS);
    let minimum = version(file, &keys::TLS_SERVER_VERSION);
    let section = file.section(&keys::TLS_CERTIFICATES);
    let [certificate, key, ca] =
        [&keys::CERT, &keys::CERT_KEY, &keys::CA].map(|key| pem_file(&section, key, home, wanted));
    // One that is missing fails where it is needed: trusting others instead is nobody's wish.
    let ca = ca.or_else(|| Some(absolute(&home.join(section.text_if_there(&keys::CA)?.0))));
    let client = ClientTls { ca, minimum: version(file, &keys::TLS_CLIENT_VERSION) };
    if !wanted {
        return (None, client);
    }
    for (key, path) in [(&keys::CERT, &certificate), (&keys::CERT_KEY, &key)] {
        if path.is_none() && section.node(key).is_none() {
            section.missing(key, "tls is true and needs it", file.node(&keys::TLS).as_ref());
        }
    }
    let tls = certificate.zip(key).map(|(certificate, key)| Tls { certificate, key, minimum });
    (tls, client)
}

fn version(file: &Section<'_>, key: &Key) -> TlsVersion {
    if file.integer(key) == 4 { TlsVersion::Tls13 } else { TlsVersion::Tls12 }
}

/// The path of a file that has to exist if TLS is wanted: seen from the home, or else, as in the original, from the directory
/// in which the server is started.
fn pem_file(section: &Section<'_>, key: &Key, home: &Path, wanted: bool) -> Option<PathBuf> {
    let (text, node) = section.text_if_there(key)?;
    let mut tried = vec![absolute(&home.join(&text))];
    let from_here = absolute(Path::new(&text));
    if from_here != tried[0] {
        tried.push(from_here);
    }
    let found = tried.iter().find(|path| path.is_file()).cloned();
    if found.is_none() && wanted {
        let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
        node.wrong(
            format!("there is no such file: {}", tried.join(", nor ")),
            "tls is true and needs it, in PEM format (`lapps dev-cert DIR` makes a pair to try things out)",
        );
    }
    found
}

fn timeouts(file: &Section<'_>) -> Timeouts {
    let time = |key: &Key| Duration::from_millis(file.integer(key));
    let timeouts = Timeouts {
        shutdown_grace: time(&keys::SHUTDOWN_GRACE_MS),
        handshake: time(&keys::HANDSHAKE_TIMEOUT_MS),
        ping: time(&keys::PING_INTERVAL_MS),
        idle: time(&keys::IDLE_TIMEOUT_MS),
        stalled: time(&keys::STALLED_WRITER_MS),
        closing: time(&keys::CLOSE_TIMEOUT_MS),
    };
    if timeouts.idle <= timeouts.ping {
        let [ping, idle] = [&keys::PING_INTERVAL_MS, &keys::IDLE_TIMEOUT_MS];
        let at_fault = file.node(idle).or_else(|| file.node(ping));
        if let Some(node) = at_fault {
            node.wrong(
                "a client would be cut before it could answer a ping",
                format!(
                    "idle_timeout_ms ({}) has to be more than ping_interval_ms ({})",
                    timeouts.idle.as_millis(),
                    timeouts.ping.as_millis()
                ),
            );
        }
    }
    timeouts
}
