//! Where the commands of a dedicated instance go: one ring to each worker.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lapps_lua::port::{Answer, Command, ConnId, Port};

use super::life::Life;
use super::mail::Mail;
use super::mailbox::Postbox;
use super::presence::{Presence, ServedBy};

/// Closed connections that are remembered. One of another service never leaves the set by itself; without its entry a
/// message that crossed our close frame is merely delivered.
const CLOSED: usize = 64 * 1024;

/// The outgoing side of a dedicated instance.
pub(crate) struct Outlet {
    posts: Vec<Postbox<Mail>>,
    presence: Arc<[Presence]>,
    own: ServedBy,
    /// Connections that this instance has closed and not yet seen end.
    closed: HashSet<ConnId>,
    life: Arc<Life>,
}

impl Outlet {
    /// Of the dedicated instance `own`; `posts` and `presence` are those of all workers, by number.
    pub(crate) fn new(
        posts: Vec<Postbox<Mail>>,
        presence: Arc<[Presence]>,
        own: ServedBy,
        life: Arc<Life>,
    ) -> Outlet {
        Outlet { posts, presence, own, closed: HashSet::new(), life }
    }

    /// True while `conn` is open.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.presence.get(usize::from(conn.worker())).is_some_and(|presence| presence.has(conn))
    }

    /// True for a connection that this instance has closed.
    pub(crate) fn has_closed(&self, conn: ConnId) -> bool {
        self.closed.contains(&conn)
    }

    /// Says that all messages of a connection that has ended are answered, and sends nothing to it any more.
    pub(crate) fn farewell(&mut self, conn: ConnId) {
        let worker = usize::from(conn.worker());
        self.closed.remove(&conn);
        self.presence[worker].leave(conn);
        self.put(worker, Mail::Farewell(conn));
    }

    /// Says that what a connection had sent before a mark is handled.
    pub(crate) fn marked(&mut self, conn: ConnId) {
        self.put(usize::from(conn.worker()), Mail::Marked(conn));
    }

    /// Wakes the workers that got something.
    pub(crate) fn notify(&self) {
        for post in &self.posts {
            post.notify();
        }
    }

    /// What the clock of the instance shows.
    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    fn put(&mut self, worker: usize, mail: Mail) {
        if let Err(mail) = self.posts[worker].put(mail) {
            // The worker has more of ours than it can take in a turn. It waits for nobody, so we can wait for it.
            self.posts[worker].send(mail);
        }
    }
}

impl Port for Outlet {
    fn command(&mut self, command: Command<'_>) -> Answer {
        let (conn, closes) = match command {
            Command::Send { conn, .. } => (conn, false),
            Command::Close { conn, .. } => (conn, true),
        };
        if !self.has(conn) {
            return Answer::Closed;
        }
        let worker = usize::from(conn.worker());
        self.put(worker, Mail::from_command(command));
        if closes && self.presence[worker].leave(conn) {
            if self.closed.len() >= CLOSED {
                self.closed.clear();
            }
            self.closed.insert(conn);
        }
        Answer::Done
    }

    fn now(&mut self) -> Duration {
        self.life.now()
    }

    fn serves(&mut self, conn: ConnId) -> bool {
        let presence = self.presence.get(usize::from(conn.worker()));
        presence.is_some_and(|presence| presence.is_served(conn, self.own))
    }

    fn is_stopping(&mut self) -> bool {
        self.life.is_stopping()
    }
}
