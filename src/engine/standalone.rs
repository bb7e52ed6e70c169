//! A standalone instance: a thread with one Lua state that has no clients.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lapps_lua::error::Failure;
use lapps_lua::port::{ClientEvent, Command, ConnId, Port};
use lapps_lua::reactive::{Outcome, Verdict};
use lapps_lua::standalone::Standalone;

use super::channels::Channels;
use super::clients::{Calls, Clients, GOODBYE, Host};
use super::instance::CLEANUP;
use super::mail::{Letter, Mail};
use super::mailbox::{Mailbox, Postbox};
use super::outlet::Outlet;
use super::presence::ServedBy;
use super::report::{Report, Who};
use super::settings::Settings;
use super::{bell, log_failure, setup};
use crate::ops::ledger::Seat;
use crate::services::registry::Entry;

/// What a standalone instance is made of.
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
struct Alone {
    lua: Standalone,
    seat: Seat,
    who: Who,
    mailbox: Mailbox<Letter>,
    outlet: Outlet,
    clients: Clients,
    reports: Sender<Report>,
    /// `init` has returned.
    started: bool,
    /// `run` has ended.
    ended: bool,
    /// The server stops, or the service is replaced: the end of the grace.
    stop: Option<Instant>,
    /// Nobody needs the instance any more.
    exit: bool,
}

/// Loads the instance and runs it to its end. The thread's main function.
pub(crate) fn run(parts: Parts) {
    let Parts { entry, who, mailbox, posts, channels, settings, reports } = parts;
    mailbox.wake().adopt();
    let bell = bell(mailbox.wake());
    let seat = settings.ledger.seat(&entry.service.name, who.nth);
    let lua = match Standalone::load(&setup(&entry.service, who.nth, &settings, &bell)) {
        Ok(lua) => lua,
        Err(error) => {
            let _ = reports.send(Report::Started(who, Err(error.to_string())));
            return;
        }
    };
    let life = Arc::clone(&settings.life);
    let outlet = Outlet::new(posts, ServedBy::NONE, channels, life, entry, Arc::clone(&seat));
    let clients = Clients::own(mailbox.wake(), &settings);
    let mut alone = Alone {
        lua,
        seat,
        who,
        mailbox,
        outlet,
        clients,
        reports,
        started: false,
        ended: false,
        stop: None,
        exit: false,
    };
    let _ = alone.reports.send(Report::Waits(who));
    alone.lua.start(&mut alone.outlet);
    if alone.run() {
        alone.wind_down();
    }
}

impl Alone {
    /// Turns until the last fiber has ended, or told to end. False: it could not be started.
    fn run(&mut self) -> bool {
        // Before the next turn, in which a `run` begins that may never wait.
        if !self.settle() {
            return false;
        }
        loop {
            while let Some(letter) = self.mailbox.take(0) {
                match letter {
                    Letter::Stop { deadline } => self.stop = Some(deadline),
                    Letter::Exit { .. } => self.exit = true,
                    // It has no connections of which anything could be told.
                    _ => {}
                }
            }
            if !self.turn() {
                return false;
            }
            if self.is_done() {
                return true;
            }
            self.sleep(self.stop);
        }
    }

    /// True when it has come to its end, or is to be brought there: nothing is left; or it is to stop and there is
    /// nothing to wait for, or the grace is over.
    fn is_done(&self) -> bool {
        if self.ended && self.lua.fibers() == 0 && self.clients.open() == 0 {
            return true;
        }
        let Some(deadline) = self.stop else { return self.exit };
        !self.started || self.ended || self.waits_in_vain() || Instant::now() >= deadline
    }

    /// Lets the fibers run that want to, and sees to what has come of them. False: it could not be started.
    fn turn(&mut self) -> bool {
        if self.next_turn().is_some_and(|due| due <= self.outlet.now()) {
            self.seat.fibers_running.set(1);
            self.lua.turn(&mut self.outlet);
            self.seat.fibers_running.set(0);
            self.seat.fibers.set(self.lua.counted_fibers() as u64);
            self.seat.fibers_ready.set(self.lua.ready_fibers() as u64);
        }
        self.settle()
    }

    /// Sees to what has come of its fibers. False: it could not be started.
    fn settle(&mut self) -> bool {
        while let Some(outcome) = self.lua.next_outcome() {
            match outcome {
                Outcome::Started(result) => {
                    let result = result.map_err(|failure| failure.to_string());
                    self.started = result.is_ok();
                    let _ = self.reports.send(Report::Started(self.who, result));
                    if !self.started {
                        return false;
                    }
                }
                Outcome::Ended(Ok(())) => {
                    let (service, nth) = (self.outlet.service(), self.who.nth);
                    tracing::info!(service, "service '{service}', instance {nth}: run has returned");
                    self.ended = true;
                }
                Outcome::Ended(Err(failure)) => {
                    self.seat.errors.add(1);
                    super::log_failure(&failure, false);
                    self.ended = true;
                }
                Outcome::Failed(failure) => self.on_failure(&failure),
                Outcome::Report(text) => tracing::error!(service = self.outlet.service(), "{text}"),
                Outcome::Handled { conn, weight } => {
                    self.clients.on_handled(conn, weight, &mut self.outlet.calls);
                }
                // Only reactive services have `onShutdown`.
                Outcome::Stopped => {}
            }
        }
        let Alone { lua, seat, outlet, clients, .. } = self;
        clients.turn(&mut Here { lua, seat, outlet });
        self.outlet.notify();
        true
    }

    /// A handler of an outgoing connection that had waited has failed.
    fn on_failure(&mut self, failure: &Failure) {
        self.seat.errors.add(1);
        log_failure(failure, false);
        if let Some(conn) = failure.conn() {
            let (code, reason) = failure.kind().close();
            self.outlet.command(Command::Close { conn, code, reason });
        }
    }

    /// When it wants its next turn, on the clock; zero is at once.
    fn next_turn(&self) -> Option<Duration> {
        if self.lua.is_ready() { Some(Duration::ZERO) } else { self.lua.deadline() }
    }

    /// Parks until there is a letter, or the next turn is due, or `until`.
    fn sleep(&mut self, until: Option<Instant>) {
        let turn = self.next_turn().map(|due| self.outlet.life().moment(due));
        let until = [turn, until].into_iter().flatten().min();
        self.seat.heap.set(self.lua.heap() as u64);
        self.seat.collections.reach(self.lua.collections());
        self.seat.fibers.set(self.lua.counted_fibers() as u64);
        let Alone { lua, seat, outlet, clients, mailbox, .. } = self;
        clients.sleep(mailbox, until, &mut Here { lua, seat, outlet });
    }

    /// Says goodbye to whom it is connected, interrupts what still runs, and lets cleanup handlers come to their end.
    fn wind_down(&mut self) {
        let Alone { lua, seat, outlet, clients, .. } = self;
        clients.dismiss(None, &mut Here { lua, seat, outlet });
        let patience = Instant::now() + GOODBYE;
        while self.turn() && self.clients.open() > 0 && Instant::now() < patience {
            self.sleep(Some(patience));
        }
        self.lua.wind_down(&mut self.outlet);
        let deadline = self.stop.max(Some(Instant::now() + CLEANUP));
        while self.turn() && !self.has_ended() && Some(Instant::now()) < deadline {
            self.sleep(deadline);
        }
        if let Some(text) = self.lua.deadlock() {
            let service = self.outlet.service();
            tracing::error!(service, "service '{service}': {text}");
        }
    }

    /// True when no fiber is left that will ever run.
    fn has_ended(&self) -> bool {
        self.lua.fibers() == 0 || self.waits_in_vain()
    }

    /// True when nothing is sure to come that lets any of its fibers go on. What other services may send is not.
    fn waits_in_vain(&self) -> bool {
        self.next_turn().is_none() && !self.lua.is_owed()
    }
}

/// The instance and its way out, as its outgoing connections see them.
struct Here<'a> {
    lua: &'a mut Standalone,
    seat: &'a Seat,
    outlet: &'a mut Outlet,
}

impl Host for Here<'_> {
    fn calls(&mut self) -> &mut Calls {
        &mut self.outlet.calls
    }

    fn deliver(&mut self, _: usize, conn: ConnId, event: ClientEvent<'_>) -> Verdict {
        self.seat.outgoing.add(1);
        let verdict = self.lua.deliver_client(self.outlet, conn, event);
        if let Verdict::Fail(_) = verdict {
            self.seat.errors.add(1);
        }
        verdict
    }

    fn connected(&mut self, _: usize, conn: ConnId, result: Result<(), String>) {
        self.lua.connected(conn, result);
    }

    fn is_ready(&self) -> bool {
        self.lua.is_ready()
    }
}
