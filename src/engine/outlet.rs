//! Where the commands of an instance with a thread of its own go: one ring to each worker.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lapps_lua::port::{Answer, Command, ConnId, Connect, Port};

use super::channels::Channels;
use super::clients::Calls;
use super::life::Life;
use super::mail::Mail;
use super::mailbox::Postbox;
use super::presence::{Presence, ServedBy};
use crate::ops::tally::InstanceTally;
use crate::services::registry::Entry;

/// Closed connections that are remembered. One of another service never leaves the set by itself; without its entry a
/// message that crossed our close frame is merely delivered.
const CLOSED: usize = 64 * 1024;

/// The one instance of the thread, for its outgoing connections.
const OWNER: usize = 0;

/// The outgoing side of a dedicated or standalone instance.
pub(crate) struct Outlet {
    posts: Vec<Postbox<Mail>>,
    presence: Arc<[Presence]>,
    own: ServedBy,
    /// Connections that this instance has closed and not yet seen end.
    closed: HashSet<ConnId>,
    channels: Arc<Channels>,
    /// Its outgoing connections.
    pub(crate) calls: Calls,
    life: Arc<Life>,
    service: Arc<Entry>,
    tally: Arc<InstanceTally>,
}

impl Outlet {
    /// Of the instance `own` of `service`, which counts in `tally`; `posts` are those to all workers, by number.
    pub(crate) fn new(
        posts: Vec<Postbox<Mail>>,
        own: ServedBy,
        channels: Arc<Channels>,
        life: Arc<Life>,
        service: Arc<Entry>,
        tally: Arc<InstanceTally>,
    ) -> Outlet {
        let presence = Arc::clone(channels.presence());
        let (closed, calls) = (HashSet::new(), Calls::new());
        Outlet { posts, presence, own, closed, channels, calls, life, service, tally }
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
    pub(crate) fn notify(&mut self) {
        for post in &mut self.posts {
            post.notify();
        }
    }

    /// The name of its service.
    pub(crate) fn service(&self) -> &str {
        &self.service.service.name
    }

    /// What the clock of the instance shows.
    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    fn put(&mut self, worker: usize, mail: Mail) {
        let post = &mut self.posts[worker];
        post.wait_for_room();
        let _ = post.put(mail);
    }
}

impl Port for Outlet {
    fn command(&mut self, command: Command<'_>) -> Answer {
        match command {
            Command::Send { conn, opcode, payload } => {
                if !self.has(conn) {
                    // No worker has the number of the outgoing ones, so they are found here.
                    let answer = self.calls.command(OWNER, command);
                    if answer == Answer::Done {
                        self.tally.count_sent(payload.len());
                    }
                    return answer;
                }
                self.tally.count_sent(payload.len());
                let framing = self.channels.framing();
                let post = &mut self.posts[usize::from(conn.worker())];
                framing.post(opcode, payload, |frames| {
                    // The worker may have more of ours than it can take in a turn. It waits for nobody, so we can wait for it.
                    post.wait_for_room();
                    // Without room there is no worker any more.
                    let _ = post.put_with(Mail::Frames(conn), frames);
                });
                Answer::Done
            }
            Command::Close { conn, code, reason } => {
                if !self.has(conn) {
                    return self.calls.command(OWNER, command);
                }
                let worker = usize::from(conn.worker());
                self.put(worker, Mail::Close { conn, code, reason: reason.into() });
                if self.presence[worker].leave(conn) {
                    if self.closed.len() >= CLOSED {
                        self.closed.clear();
                    }
                    self.closed.insert(conn);
                }
                Answer::Done
            }
            Command::CreateChannel(channel) => self.channels.create(channel),
            Command::Subscribe { conn, channel } => self.channels.subscribe(channel, conn),
            Command::Unsubscribe { conn, channel } => self.channels.unsubscribe(channel, conn),
            Command::Publish { channel, payload } => {
                if !self.channels.has(channel) {
                    return Answer::NoChannel;
                }
                let frames = self.channels.frames(payload);
                for worker in 0..self.posts.len() {
                    let listeners = self.channels.listeners(worker, channel);
                    if !listeners.is_empty() {
                        self.put(worker, Mail::Publish { listeners, frames: Arc::clone(&frames) });
                    }
                }
                Answer::Done
            }
        }
    }

    fn now(&mut self) -> Duration {
        self.life.now()
    }

    fn serves(&mut self, conn: ConnId) -> bool {
        let presence = self.presence.get(usize::from(conn.worker()));
        presence.is_some_and(|presence| presence.is_served(conn, self.own))
    }

    fn is_stopping(&mut self) -> bool {
        self.life.is_stopping() || self.service.is_stopping()
    }

    fn connect(&mut self, request: &Connect<'_>) -> Result<ConnId, String> {
        self.calls.connect(OWNER, request)
    }

    fn begin(&mut self, conn: ConnId) {
        self.calls.begin(OWNER, conn);
    }

    fn abandon(&mut self, conn: ConnId) {
        self.calls.abandon(OWNER, conn);
    }
}
