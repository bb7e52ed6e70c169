//! A standalone instance: a thread with one Lua state that has no clients.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lapps_lua::port::Port;
use lapps_lua::reactive::Outcome;
use lapps_lua::standalone::Standalone;

use super::channels::Channels;
use super::instance::CLEANUP;
use super::mail::{Letter, Mail};
use super::mailbox::{Mailbox, Postbox};
use super::outlet::Outlet;
use super::presence::ServedBy;
use super::report::Report;
use super::settings::Settings;
use super::{bell, log_failure, setup};
use crate::config::Service;

/// What a standalone instance is made of.
pub(crate) struct Parts {
    /// Its number among those of its service.
    pub(crate) nth: usize,
    pub(crate) mailbox: Mailbox<Letter>,
    /// To every worker, by number.
    pub(crate) posts: Vec<Postbox<Mail>>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) reports: Sender<Report>,
}

/// The state of the thread's loop.
struct Alone<'s> {
    lua: Standalone,
    service: &'s str,
    nth: usize,
    mailbox: Mailbox<Letter>,
    outlet: Outlet,
    reports: Sender<Report>,
    /// `init` has returned.
    started: bool,
    /// `run` has ended.
    ended: bool,
    /// The server stops: the end of the grace.
    stop: Option<Instant>,
    /// Nobody needs the instance any more.
    exit: bool,
}

/// Loads the instance and runs it to its end. The thread's main function.
pub(crate) fn run(parts: Parts, service: &Service) {
    let Parts { nth, mailbox, posts, channels, settings, reports } = parts;
    mailbox.wake().adopt();
    let bell = bell(mailbox.wake());
    let lua = match Standalone::load(&setup(service, nth, &settings, &bell)) {
        Ok(lua) => lua,
        Err(error) => {
            let _ = reports.send(Report::started(Err(error.to_string())));
            return;
        }
    };
    let outlet = Outlet::new(posts, ServedBy::NONE, channels, Arc::clone(&settings.life));
    let service = service.name.as_str();
    let (started, ended, stop, exit) = (false, false, None, false);
    let mut alone = Alone { lua, service, nth, mailbox, outlet, reports, started, ended, stop, exit };
    let _ = alone.reports.send(Report::Waits);
    alone.lua.start(&mut alone.outlet);
    if alone.run() {
        alone.wind_down();
    }
}

impl Alone<'_> {
    /// Turns until the last fiber has ended, or told to end. False: it could not be started.
    fn run(&mut self) -> bool {
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

    /// True when it has come to its end, or is to be brought there: nothing is left; or the server stops and there is
    /// nothing to wait for, or the grace is over.
    fn is_done(&self) -> bool {
        if self.ended && self.lua.fibers() == 0 {
            return true;
        }
        let Some(deadline) = self.stop else { return self.exit };
        !self.started || self.ended || self.waits_in_vain() || Instant::now() >= deadline
    }

    /// Lets the fibers run that want to, and sees to what has come of them. False: it could not be started.
    fn turn(&mut self) -> bool {
        if self.next_turn().is_some_and(|due| due <= self.outlet.now()) {
            self.lua.turn(&mut self.outlet);
            self.outlet.notify();
        }
        while let Some(outcome) = self.lua.next_outcome() {
            match outcome {
                Outcome::Started(result) => {
                    let result = result.map_err(|failure| failure.to_string());
                    self.started = result.is_ok();
                    let _ = self.reports.send(Report::Started { result, waited: true });
                    if !self.started {
                        return false;
                    }
                }
                Outcome::Ended(Ok(())) => {
                    tracing::info!("service '{}', instance {}: run has returned", self.service, self.nth);
                    self.ended = true;
                }
                Outcome::Ended(Err(failure)) => {
                    tracing::error!("{failure}");
                    self.ended = true;
                }
                Outcome::Failed(failure) => log_failure(&failure, false),
                Outcome::Report(text) => tracing::error!("{text}"),
                // Only reactive services have events.
                Outcome::Handled { .. } | Outcome::Stopped => {}
            }
        }
        true
    }

    /// When it wants its next turn, on the clock; zero is at once.
    fn next_turn(&self) -> Option<Duration> {
        if self.lua.is_ready() { Some(Duration::ZERO) } else { self.lua.deadline() }
    }

    /// Parks until there is a letter, or the next turn is due, or `until`.
    fn sleep(&mut self, until: Option<Instant>) {
        let turn = self.next_turn().map(|due| self.outlet.life().moment(due));
        let lua = &self.lua;
        self.mailbox.sleep([turn, until].into_iter().flatten().min(), || lua.is_ready());
    }

    /// Interrupts what still runs, and lets cleanup handlers come to their end.
    fn wind_down(&mut self) {
        self.lua.wind_down(&mut self.outlet);
        let deadline = self.stop.max(Some(Instant::now() + CLEANUP));
        while self.turn() && !self.has_ended() && Some(Instant::now()) < deadline {
            self.sleep(deadline);
        }
        if let Some(text) = self.lua.deadlock() {
            tracing::error!("service '{}': {text}", self.service);
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
