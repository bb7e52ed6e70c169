//! From a wish to an upgrade: names, addresses tried in order, the handshake's first bytes.

use std::io;
use std::net::SocketAddr;

use mio::Interest;
use mio::net::TcpStream;

use super::calls::{Want, Wish, id};
use super::ending::End;
use super::names::{Found, Question};
use super::timing::ticks;
use super::{Attempt, Conn, Host, Pact, Pause, Phase, Set, token_of};
use crate::engine::slab::Key;
use crate::net::client::opening::Opening;
use crate::net::client::{Client, tls};
use crate::net::transport::{CIPHER, Outgoing};

impl Set {
    /// Begins what services want.
    pub(super) fn take_wishes(&mut self, host: &mut impl Host) {
        for wish in host.calls().take_wishes() {
            match wish {
                Wish::Connect(key, want) => self.connect(key, want, host),
                Wish::Begin(key) => self.begin(key, host),
                Wish::Abandon(key) => self.remove(key, host.calls()),
            }
        }
    }

    /// Goes on with those whose names were found.
    pub(super) fn take_answers(&mut self, host: &mut impl Host) {
        if !self.answers.any() {
            return;
        }
        for (key, found) in self.answers.take() {
            let Some(conn) = self.get(key).filter(|conn| conn.phase == Phase::Naming) else { continue };
            match (found, &mut conn.attempt) {
                (Ok(Found { mut addresses, tls }), Some(attempt)) => {
                    addresses.reverse();
                    (attempt.addresses, attempt.tls) = (addresses, tls);
                    self.try_next(key, host);
                }
                (Err(text), _) => self.unconnected(key, text, host),
                (Ok(_), None) => {}
            }
        }
    }

    fn connect(&mut self, key: Key, want: Box<Want>, host: &mut impl Host) {
        let now = self.now as u32;
        let pact = Pact::on(&want.terms, &mut self.pact);
        let deadline = now.saturating_add(ticks(want.terms.connect));
        let address = want.uri.address();
        let question = Question {
            host: want.uri.host.clone(),
            port: want.uri.port,
            tls: want.uri.tls,
            ca: want.ca.clone(),
            key,
            to: self.answers.clone(),
        };
        let owner = want.owner;
        let (plain, port) = (!want.uri.tls, want.uri.port);
        let attempt = Attempt { want, addresses: Vec::new(), tls: None, error: None, deadline };
        let slot = key.slot as usize;
        if self.conns.len() <= slot {
            self.conns.resize_with(slot + 1, || None);
        }
        let conn = self.conns[slot].insert(Conn {
            generation: key.generation,
            phase: Phase::Naming,
            pause: Pause::No,
            told: false,
            eof: false,
            pinged: false,
            owner,
            transport: None,
            protocol: Client::Closing,
            pact,
            attempt: Some(Box::new(attempt)),
            held: Vec::new(),
            in_flight: 0,
            heard: now,
            since: now,
            scheduled: u32::MAX,
        });
        self.open += 1;
        // An address needs no helper, certificates do.
        if let Some(ip) = address.filter(|_| plain) {
            if let Some(attempt) = &mut conn.attempt {
                attempt.addresses.push(SocketAddr::new(ip, port));
            }
            return self.try_next(key, host);
        }
        match self.names.ask(question) {
            Ok(()) => self.schedule(key),
            Err(text) => self.unconnected(key, text, host),
        }
    }

    /// Tries the next address, or gives up.
    fn try_next(&mut self, key: Key, host: &mut impl Host) {
        loop {
            let (registry, now) = (&self.registry, self.now as u32);
            let Some(conn) = self.conns.get_mut(key.slot as usize).and_then(Option::as_mut) else { return };
            let Some(attempt) = &mut conn.attempt else { return };
            let left = attempt.addresses.len() as u32;
            let Some(address) = attempt.addresses.pop() else {
                let host_name = &attempt.want.uri.host;
                let text = match attempt.error.take() {
                    Some(error) => format!("cannot connect to '{host_name}': {}", plainly(&error)),
                    None => late(host_name),
                };
                return self.unconnected(key, text, host);
            };
            let made = TcpStream::connect(address).and_then(|mut stream| {
                registry.register(&mut stream, token_of(key), Interest::READABLE | Interest::WRITABLE)?;
                Ok(stream)
            });
            match made {
                Ok(stream) => {
                    conn.transport = Some(Outgoing::Plain(stream));
                    conn.phase = Phase::Connecting;
                    // One that does not answer leaves time for those behind it.
                    conn.since = now + attempt.deadline.saturating_sub(now).div_ceil(left);
                    return self.schedule(key);
                }
                Err(error) => attempt.error = Some(error),
            }
        }
    }

    /// The time of an address, or of the names, is over.
    pub(super) fn attempt_is_late(&mut self, key: Key, host: &mut impl Host) {
        let now = self.now as u32;
        let Some(conn) = self.get(key) else { return };
        let Some(attempt) = &mut conn.attempt else { return };
        if conn.phase == Phase::Naming || attempt.addresses.is_empty() || now >= attempt.deadline {
            let text = late(&attempt.want.uri.host);
            return self.unconnected(key, text, host);
        }
        conn.transport = None;
        self.try_next(key, host);
    }

    /// The socket has news while it is being connected.
    pub(super) fn look_whether_connected(&mut self, key: Key, host: &mut impl Host) {
        let now = self.now as u32;
        let Some(conn) = self.get(key) else { return };
        let Some(transport) = &mut conn.transport else { return };
        match connected(transport.stream()) {
            Ok(false) => {}
            Ok(true) => {
                conn.phase = Phase::Standing;
                conn.since = now;
                let owner = conn.owner;
                self.schedule(key);
                host.connected(owner, id(key), Ok(()));
            }
            Err(error) => {
                conn.transport = None;
                if let Some(attempt) = &mut conn.attempt {
                    attempt.error = Some(error);
                }
                self.try_next(key, host);
            }
        }
    }

    /// Tells who waits for the connection that it does not stand.
    pub(super) fn unconnected(&mut self, key: Key, text: String, host: &mut impl Host) {
        let Some(conn) = self.get(key) else { return };
        let owner = conn.owner;
        self.remove(key, host.calls());
        host.connected(owner, id(key), Err(text));
    }

    /// The service goes on: TLS and the upgrade begin.
    fn begin(&mut self, key: Key, host: &mut impl Host) {
        let now = self.now as u32;
        let Some(conn) = self.get(key).filter(|conn| conn.phase == Phase::Standing) else { return };
        let (Some(attempt), Some(Outgoing::Plain(stream))) = (conn.attempt.take(), conn.transport.take())
        else {
            return;
        };
        let session = attempt
            .tls
            .map(|config| Ok::<_, String>((config, tls::server_name(&attempt.want.uri.host)?)))
            .transpose();
        let has_tls = attempt.want.uri.tls;
        let transport = session
            .and_then(|session| Outgoing::outgoing(stream, session).map_err(|error| error.to_string()));
        let (opening, request) = Opening::begin(&attempt.want.request, host.calls().keys().nonce());
        match transport {
            Ok(transport) => conn.transport = Some(transport),
            Err(text) => return self.end(key, End::Failed(&text, None), host),
        }
        conn.protocol = Client::new(opening);
        conn.phase = Phase::Upgrading;
        conn.since = now;
        conn.heard = now;
        if has_tls && self.cipher.is_empty() {
            self.cipher = vec![0; CIPHER];
        }
        host.calls().append(key, &request);
        self.schedule(key);
        self.flush(key, host);
        // Its readiness may have come before.
        self.read(key, true, host);
    }
}

/// Whether a socket that was connecting is connected.
fn connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(peer) => {
            // On the loopback a port to which nobody listens may be the very port that we were given.
            if stream.local_addr().is_ok_and(|own| own == peer) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            stream.set_nodelay(true)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(false),
        Err(error) => Err(error),
    }
}

fn late(host: &str) -> String {
    format!("cannot connect to '{host}': the time is over")
}

/// An error without the number of the system.
pub(super) fn plainly(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text,
    }
}
