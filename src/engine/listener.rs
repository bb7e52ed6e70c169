//! A listener: the thread that accepts connections and hands each to a worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::balancer::{self, Load};
use super::mail::Mail;
use super::mailbox::Postbox;
use super::turned_away::{LOOK, TurnedAway};
use super::worker;
use crate::ops::tally::ListenerTally;
use crate::services::acl::Acl;
use crate::services::current::Current;

const LISTENER: Token = Token(0);

/// The token of a listener's wake-up.
pub(crate) const WAKE: Token = Token(1);

/// Connections accepted before the poller is asked again.
const ACCEPTS_PER_TURN: usize = 64;

/// How long nothing is accepted when the process has no descriptor left: those that wait do so in the backlog.
const PAUSE: Duration = Duration::from_millis(100);

/// One listener's state.
pub(crate) struct Listener {
    pub(crate) poll: Poll,
    pub(crate) socket: TcpListener,
    /// To every worker, by number.
    pub(crate) posts: Vec<Postbox<Mail>>,
    pub(crate) loads: Vec<Arc<worker::Load>>,
    pub(crate) weight: f64,
    /// Connections that one worker may own.
    pub(crate) max_connections: usize,
    /// Connections of all workers that the open-file limit allows.
    pub(crate) max_total: usize,
    pub(crate) acl: Arc<Current<Acl>>,
    /// Whether clients speak TLS, so that a refusal in plain HTTP would be noise to them.
    pub(crate) tls: bool,
    /// Set, and the poller woken, when the listener is to end.
    pub(crate) stop: Arc<AtomicBool>,
    /// Times that accept found no descriptor, over all listeners.
    pub(crate) exhausted: Arc<AtomicUsize>,
    pub(crate) tally: Arc<ListenerTally>,
}

impl Listener {
    /// Accepts until told to stop.
    ///
    /// # Errors
    /// The poller failed.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.poll.registry().register(&mut self.socket, LISTENER, Interest::READABLE)?;
        let mut events = Events::with_capacity(8);
        let mut last = 0;
        let mut turned_away = TurnedAway::default();
        // None: wait for the poller to say that somebody is there.
        let mut timeout = None;
        while !self.stop.load(Ordering::Acquire) {
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if !self.stop.load(Ordering::Acquire) {
                timeout = self.accept_some(&mut last, &mut turned_away);
                if turned_away.drain(Instant::now()) {
                    timeout = Some(timeout.map_or(LOOK, |timeout| timeout.min(LOOK)));
                }
            }
        }
        Ok(())
    }

    /// Accepts a turn's worth. Tells how long to wait before the next turn: not at all if more may be there, until the
    /// next event if not.
    fn accept_some(&mut self, last: &mut usize, turned_away: &mut TurnedAway) -> Option<Duration> {
        let mut wait = Some(Duration::ZERO);
        for _ in 0..ACCEPTS_PER_TURN {
            match self.socket.accept() {
                Ok((stream, peer)) => self.place(stream, peer, last, turned_away),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait = None;
                    break;
                }
                Err(error) if is_exhausted(&error) => {
                    self.tally.exhausted.add(1);
                    if self.exhausted.fetch_add(1, Ordering::Relaxed) == 0 {
                        tracing::warn!("no file descriptor left to accept with ({error}): connections wait");
                    }
                    wait = Some(PAUSE);
                    break;
                }
                // The connection was gone before we took it, or the like: the next one is another matter.
                Err(error) => tracing::debug!("accept: {error}"),
            }
        }
        for post in &mut self.posts {
            post.notify();
        }
        wait
    }

    /// Hands a connection to the least loaded worker, or turns it away.
    fn place(&mut self, stream: TcpStream, peer: SocketAddr, last: &mut usize, turned_away: &mut TurnedAway) {
        self.tally.accepted.add(1);
        if self.acl.get().check(peer.ip()).is_none() {
            self.tally.denied.add(1);
            tracing::debug!(%peer, "turned away: the server's access list");
            return;
        }
        let loads: Vec<Load> = self
            .loads
            .iter()
            .map(|load| Load {
                connections: load.connections.load(Ordering::Relaxed),
                queued: load.queued.load(Ordering::Relaxed),
            })
            .collect();
        let total: usize = loads.iter().map(|load| load.connections).sum();
        let picked = if total < self.max_total {
            balancer::pick(&loads, self.weight, self.max_connections, *last)
        } else {
            None
        };
        let Some(worker) = picked else {
            self.tally.full.add(1);
            return turned_away.add(stream, self.tls, Instant::now());
        };
        *last = worker;
        self.loads[worker].connections.fetch_add(1, Ordering::Relaxed);
        if let Err(Mail::Accepted(stream, _)) = self.posts[worker].put(Mail::Accepted(stream, peer)) {
            self.loads[worker].connections.fetch_sub(1, Ordering::Relaxed);
            self.tally.full.add(1);
            turned_away.add(stream, self.tls, Instant::now());
        }
    }
}

/// EMFILE, ENFILE, and what else says that the system has nothing left for another connection.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
