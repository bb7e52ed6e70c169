//! A dedicated instance: a thread with one Lua state, tied to every worker by a pair of rings.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use lapps_lua::port::{Answer, Command, ConnId, Event, Port};
use lapps_lua::reactive::{Reactive, Verdict};
use lapps_parser::close::CloseCode;

use super::mail::{Letter, Mail};
use super::mailbox::{Mailbox, Postbox};
use super::presence::Presence;
use super::report::Report;
use super::settings::Settings;
use super::{load_instance, log_failure};
use crate::config::Service;

/// Letters taken from one worker before the next one's turn comes.
const BATCH: usize = 64;

/// Closed connections that are remembered. One of another service never leaves the set by itself; without its entry a
/// message that crossed our close frame is merely delivered.
const CLOSED: usize = 64 * 1024;

/// What a dedicated instance is made of.
pub(crate) struct Parts {
    pub(crate) mailbox: Mailbox<Letter>,
    /// To every worker, by number.
    pub(crate) posts: Vec<Postbox<Mail>>,
    /// Of every worker, by number.
    pub(crate) presence: Arc<[Presence]>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) reports: Sender<Report>,
}

/// Loads the instance and serves it until told to end. The thread's main function.
pub(crate) fn run(parts: Parts, service: &Service) {
    parts.mailbox.wake().adopt();
    let mut outlet = Outlet { posts: parts.posts, presence: parts.presence, closed: HashSet::new() };
    let mut instance = match load_instance(service, &parts.settings, &mut outlet) {
        Ok(instance) => {
            let _ = parts.reports.send(Report::Started(Ok(())));
            instance
        }
        Err(error) => {
            let _ = parts.reports.send(Report::Started(Err(error)));
            return;
        }
    };
    let mut mailbox = parts.mailbox;
    while serve(&mut mailbox, &mut instance, &mut outlet, &parts.reports) {
        mailbox.wake().prepare();
        if mailbox.is_empty() {
            std::thread::park();
        }
        mailbox.wake().awake();
    }
}

/// Takes letters until there are none. False: the instance is to end.
fn serve(
    mailbox: &mut Mailbox<Letter>,
    instance: &mut Reactive,
    outlet: &mut Outlet,
    reports: &Sender<Report>,
) -> bool {
    let mut exit = false;
    loop {
        let mut took = false;
        for sender in 0..mailbox.senders() {
            let mut taken = 0;
            while taken < BATCH {
                let Some(letter) = mailbox.take(sender) else { break };
                taken += 1;
                let event = match &letter {
                    Letter::Message { conn, opcode, payload } => {
                        // We closed it while the message was on its way: as if it had come after our close frame.
                        if outlet.closed.contains(conn) {
                            continue;
                        }
                        Event::Message { conn: *conn, opcode: *opcode, payload }
                    }
                    Letter::Disconnected(conn) => {
                        outlet.farewell(*conn);
                        Event::Disconnected(*conn)
                    }
                    Letter::Mark(conn) => {
                        outlet.put(usize::from(conn.worker()), Mail::Marked(*conn));
                        continue;
                    }
                    Letter::Stop => Event::Stop,
                    Letter::Exit => {
                        exit = true;
                        continue;
                    }
                };
                if let Verdict::Fail(failure) = instance.deliver(outlet, event) {
                    let conn = if let Event::Message { conn, .. } = event { Some(conn) } else { None };
                    log_failure(&failure, conn.is_some_and(|conn| !outlet.has(conn)));
                    if let Some(conn) = conn {
                        outlet.command(Command::Close { conn, code: CloseCode::INTERNAL, reason: "" });
                    }
                }
                if let Letter::Stop = letter {
                    let _ = reports.send(Report::Stopped);
                }
            }
            if taken > 0 {
                took = true;
                mailbox.settle(sender);
                outlet.notify();
            }
        }
        if !took {
            return !exit;
        }
    }
}

/// Where the instance's commands go.
struct Outlet {
    posts: Vec<Postbox<Mail>>,
    presence: Arc<[Presence]>,
    /// Connections that this instance has closed and not yet seen end.
    closed: HashSet<ConnId>,
}

impl Outlet {
    fn has(&self, conn: ConnId) -> bool {
        self.presence.get(usize::from(conn.worker())).is_some_and(|presence| presence.has(conn))
    }

    /// Says that all messages of a connection that has ended are answered, and sends nothing to it any more.
    fn farewell(&mut self, conn: ConnId) {
        let worker = usize::from(conn.worker());
        self.closed.remove(&conn);
        self.presence[worker].leave(conn);
        self.put(worker, Mail::Farewell(conn));
    }

    fn put(&mut self, worker: usize, mail: Mail) {
        if let Err(mail) = self.posts[worker].put(mail) {
            // The worker has more of ours than it can take in a turn. It waits for nobody, so we can wait for it.
            self.posts[worker].send(mail);
        }
    }

    fn notify(&self) {
        for post in &self.posts {
            post.notify();
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
}
