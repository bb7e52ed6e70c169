//! A dedicated instance: a thread with one Lua state, tied to every worker by a pair of rings.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use lapps_lua::error::Failure;
use lapps_lua::port::{ClientEvent, Command, ConnId, Event, Port};
use lapps_lua::reactive::Verdict;
use lapps_lua::{Batch, Message};

use super::channels::Channels;
use super::clients::{Calls, Clients, GOODBYE, Host};
use super::instance::{CLEANUP, Instance, Settled};
use super::linger::Linger;
use super::log_failure;
use super::mail::{Letter, Mail};
use super::mailbox::{Mailbox, Postbox};
use super::outlet::Outlet;
use super::presence::ServedBy;
use super::report::{Report, Who};
use super::settings::Settings;
use crate::services::registry::Entry;

/// Letters taken from one worker before the next one's turn comes.
const BATCH: usize = 64;

/// Their bytes: with so many no more are taken.
const BATCH_BYTES: usize = 64 * 1024;

/// What a dedicated instance is made of.
pub(crate) struct Parts {
    pub(crate) entry: Arc<Entry>,
    /// The number of its service, and its own among the instances of that.
    pub(crate) who: Who,
    pub(crate) mailbox: Mailbox<Letter>,
    /// To every worker, by number.
    pub(crate) posts: Vec<Postbox<Mail>>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) reports: Sender<Report>,
}

/// The state of the thread's loop.
struct Dedicated {
    mailbox: Mailbox<Letter>,
    batch: Batch,
    instance: Instance,
    outlet: Outlet,
    clients: Clients,
    /// Connections whose mark was reached while a message of theirs waited.
    marks: HashSet<ConnId>,
    who: Who,
    reports: Sender<Report>,
    linger: Linger,
    /// Nothing comes any more: the end of the grace.
    exit: Option<Instant>,
}

/// Loads the instance and serves it until told to end. The thread's main function.
pub(crate) fn run(parts: Parts) {
    let Parts { entry, who, mailbox, posts, channels, settings, reports } = parts;
    mailbox.wake().adopt();
    let own = ServedBy::dedicated(entry.instances.start + who.nth);
    let seat = settings.ledger.seat(&entry.service.name, who.nth);
    let mut outlet =
        Outlet::new(posts, own, channels, Arc::clone(&settings.life), Arc::clone(&entry), Arc::clone(&seat));
    let instance = match Instance::load(&entry.service, who.nth, seat, &settings, mailbox.wake(), &mut outlet)
    {
        Ok(instance) => instance,
        Err(error) => {
            let _ = reports.send(Report::Started(who, Err(error)));
            return;
        }
    };
    let waits = instance.is_starting();
    let _ = reports.send(if waits { Report::Waits(who) } else { Report::Started(who, Ok(())) });
    let clients = Clients::own(mailbox.wake(), &settings);
    let marks = HashSet::new();
    let (batch, linger) = (Batch::default(), Linger::new(entry.service.spin));
    let mut dedicated =
        Dedicated { mailbox, batch, instance, outlet, clients, marks, who, reports, linger, exit: None };
    if dedicated.serve() {
        dedicated.wind_down();
    }
}

impl Dedicated {
    /// Turns until told to end. False: the instance could not be started.
    fn serve(&mut self) -> bool {
        loop {
            let took = self.take_letters();
            if !self.turn() {
                return false;
            }
            if took {
                self.linger.had_work();
            } else if self.linger() {
                continue;
            }
            if took && self.clients.open() == 0 {
                continue;
            }
            if !took
                && let Some(deadline) = self.exit
                && (self.instance.is_done() || Instant::now() >= deadline)
            {
                return true;
            }
            // With letters left it only looks what has come from servers.
            self.sleep(took.then(Instant::now));
        }
    }

    /// Looks for letters for a little while, if the service says so and it had some. True: there is something to do. What servers send
    /// comes by the poller, so with connections to them it sleeps there.
    fn linger(&mut self) -> bool {
        let Dedicated { linger, mailbox, instance, clients, .. } = self;
        let look = || {
            let there = !mailbox.is_empty() || instance.is_ready();
            if !there {
                instance.collect_in_idle_time();
            }
            there
        };
        clients.open() == 0 && linger.look(look)
    }

    /// Takes a batch of letters of each worker. False: there were none.
    fn take_letters(&mut self) -> bool {
        let mut took = false;
        for sender in 0..self.mailbox.senders() {
            let count = self.batch_of(sender);
            if count > 0 {
                took = true;
                self.on_letters(sender, count);
                // Their payloads were read where they lie: only now there is room again.
                for _ in 0..count {
                    self.mailbox.take(sender);
                }
                self.mailbox.settle(sender);
                self.outlet.notify();
            }
        }
        took
    }

    /// How many letters of a worker make up a batch.
    fn batch_of(&mut self, sender: usize) -> usize {
        let there = self.mailbox.count(sender).min(BATCH);
        let (mut count, mut bytes) = (0, 0);
        while count < there && bytes < BATCH_BYTES {
            bytes += self.mailbox.get(sender, count).map_or(0, |(_, payload)| payload.len());
            count += 1;
        }
        count
    }

    fn on_letters(&mut self, sender: usize, count: usize) {
        let mut at = 0;
        while at < count {
            match self.on_messages(sender, at..count) {
                0 => {
                    self.on_letter(sender, at);
                    at += 1;
                }
                delivered => at += delivered,
            }
        }
    }

    /// Delivers the messages at the front of these letters; tells how many letters that were.
    fn on_messages(&mut self, sender: usize, letters: Range<usize>) -> usize {
        let Dedicated { mailbox, batch, instance, outlet, .. } = self;
        let batch = batch.begin();
        for nth in letters {
            match mailbox.get(sender, nth) {
                Some((Letter::Message { conn, opcode }, payload)) if !outlet.has_closed(*conn) => {
                    match Message::new(*conn, *opcode, payload) {
                        Some(message) => batch.push(message),
                        None => break,
                    }
                }
                _ => break,
            }
        }
        if batch.is_empty() {
            return 0;
        }
        let (count, verdict) = instance.deliver_batch(outlet, batch);
        // What waits weighs on its connection until the mark behind it goes back.
        if let Verdict::Fail(failure) = verdict {
            self.on_failure(&failure);
        }
        count
    }

    fn on_letter(&mut self, sender: usize, nth: usize) {
        let Dedicated { mailbox, instance, outlet, .. } = self;
        let Some((letter, payload)) = mailbox.get(sender, nth) else { return };
        let event = match letter {
            Letter::Opened(conn) => Event::Opened(*conn),
            Letter::Message { conn, opcode } => {
                // We closed it while the message was on its way: as if it had come after our close frame.
                if outlet.has_closed(*conn) {
                    return;
                }
                Event::Message { conn: *conn, opcode: *opcode, payload }
            }
            Letter::Disconnected(conn) => {
                self.marks.remove(conn);
                outlet.farewell(*conn);
                Event::Disconnected(*conn)
            }
            Letter::Mark(conn) => {
                if instance.is_waiting(*conn) {
                    self.marks.insert(*conn);
                } else {
                    outlet.marked(*conn);
                }
                return;
            }
            Letter::Stop { .. } => {
                if instance.stop(outlet) {
                    let _ = self.reports.send(Report::Stopped(self.who));
                }
                return;
            }
            Letter::Exit { deadline } => {
                self.exit = Some(*deadline);
                return;
            }
        };
        // What waits weighs on its connection until the mark behind it goes back.
        if let Verdict::Fail(failure) = instance.deliver(outlet, event) {
            self.on_failure(&failure);
        }
    }

    /// Lets the fibers run that want to, and sees to what has come of those that waited. False: the instance could not
    /// be started.
    fn turn(&mut self) -> bool {
        let mut changed = self.instance.turn(&mut self.outlet);
        while let Some(settled) = self.instance.next_settled() {
            changed = true;
            match settled {
                Settled::Started(result) => {
                    let failed = result.is_err();
                    let _ = self.reports.send(Report::Started(self.who, result));
                    if failed {
                        return false;
                    }
                }
                Settled::Handled { conn, weight } => {
                    // Of a client's connection the marks know.
                    if conn.is_client() {
                        self.clients.on_handled(conn, weight, &mut self.outlet.calls);
                    }
                }
                Settled::Failed(failure) => self.on_failure(&failure),
                Settled::Stopped => drop(self.reports.send(Report::Stopped(self.who))),
            }
        }
        if changed {
            let Dedicated { marks, instance, outlet, .. } = self;
            marks.retain(|conn| {
                let waits = instance.is_waiting(*conn);
                if !waits {
                    outlet.marked(*conn);
                }
                waits
            });
            outlet.notify();
        }
        let Dedicated { instance, outlet, clients, .. } = self;
        clients.turn(&mut Here { instance, outlet });
        self.outlet.notify();
        true
    }

    fn on_failure(&mut self, failure: &Failure) {
        let conn = failure.conn();
        log_failure(failure, conn.is_some_and(|conn| !self.outlet.has(conn)));
        if let Some(conn) = conn {
            let (code, reason) = failure.kind().close();
            self.outlet.command(Command::Close { conn, code, reason });
        }
    }

    /// Parks until there is a letter, or the instance wants its next turn, or the time to end or another moment has come.
    fn sleep(&mut self, moment: Option<Instant>) {
        if self.mailbox.is_empty() && self.instance.collect_in_idle_time() {
            return;
        }
        let turn = self.instance.next_turn().map(|due| self.outlet.life().moment(due));
        let next = [turn, self.exit, moment].into_iter().flatten().min();
        let Dedicated { instance, outlet, clients, mailbox, .. } = self;
        clients.sleep(mailbox, next, &mut Here { instance, outlet });
    }

    /// Says goodbye to whom it is connected, interrupts what still runs, and lets cleanup handlers come to their end.
    fn wind_down(&mut self) {
        let Dedicated { instance, outlet, clients, .. } = self;
        clients.dismiss(None, &mut Here { instance, outlet });
        let patience = Instant::now() + GOODBYE;
        self.exit = self.exit.max(Some(patience));
        while self.turn() && self.clients.open() > 0 && Instant::now() < patience {
            self.sleep(Some(patience));
        }
        self.instance.wind_down(&mut self.outlet);
        let deadline = self.exit.max(Some(Instant::now() + CLEANUP));
        self.exit = deadline;
        while self.turn() && !self.instance.has_ended() && Some(Instant::now()) < deadline {
            self.sleep(None);
        }
        self.instance.report_deadlock();
    }
}

/// The instance and its way out, as its outgoing connections see them.
struct Here<'a> {
    instance: &'a mut Instance,
    outlet: &'a mut Outlet,
}

impl Host for Here<'_> {
    fn calls(&mut self) -> &mut Calls {
        &mut self.outlet.calls
    }

    fn deliver(&mut self, _: usize, conn: ConnId, event: ClientEvent<'_>) -> Verdict {
        self.instance.deliver_client(self.outlet, conn, event)
    }

    fn connected(&mut self, _: usize, conn: ConnId, result: Result<(), String>) {
        self.instance.connected(conn, result);
    }

    fn is_ready(&self) -> bool {
        self.instance.is_ready()
    }
}
