//! The threads of a server: their starts, what they report, and their ends.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use crate::engine::report::Report;

/// All threads but the listeners, with the one channel by which every thread reports.
pub(super) struct Threads {
    /// Those that run, by number.
    running: BTreeMap<usize, Thread>,
    /// The number of the next one.
    next: usize,
    reports: Receiver<Report>,
    sender: Sender<Report>,
}

struct Thread {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Worker,
    Dedicated,
    Standalone,
    Deployer,
}

impl Threads {
    pub(super) fn new() -> Threads {
        let (sender, reports) = mpsc::channel();
        Threads { running: BTreeMap::new(), next: 0, reports, sender }
    }

    /// The way by which a thread reports.
    pub(super) fn sender(&self) -> &Sender<Report> {
        &self.sender
    }

    /// Starts a thread whose end is reported, a panic too. Tells its number.
    pub(super) fn spawn(
        &mut self,
        kind: Kind,
        name: String,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<usize> {
        let number = self.next;
        let reports = self.sender.clone();
        let run = std::panic::AssertUnwindSafe(run);
        let own_name = name.clone();
        thread::Builder::new().name(name.clone()).spawn(move || {
            let error = match std::panic::catch_unwind(run) {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("thread {own_name}: {error}")),
                Err(_) => Some(format!("thread {own_name} panicked")),
            };
            if let Some(error) = error {
                let _ = reports.send(Report::Died(error));
            }
            let _ = reports.send(Report::Ended(number));
        })?;
        self.next += 1;
        self.running.insert(number, Thread { name, kind });
        Ok(number)
    }

    /// The next report, if one comes before `deadline`.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Option<Report> {
        // It never disconnects: we have a sender ourselves.
        let report = match deadline {
            Some(deadline) => {
                self.reports.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
            }
            None => self.reports.recv().ok(),
        };
        if let Some(Report::Ended(number)) = report {
            self.running.remove(&number);
        }
        report
    }

    /// Waits until all threads of this kind have ended, and says which of them took too long with `what`.
    pub(super) fn await_ends(&mut self, kind: Kind, deadline: Instant, what: &str) {
        let left = |thread: &&Thread| thread.kind == kind;
        while self.running.values().any(|thread| left(&thread)) {
            match self.next(Some(deadline)) {
                Some(report) => log_death(&report),
                None => {
                    let names: Vec<&str> =
                        self.running.values().filter(left).map(|thread| thread.name.as_str()).collect();
                    tracing::warn!("did not finish {what} in time: {}", names.join(", "));
                    return;
                }
            }
        }
    }
}

fn log_death(report: &Report) {
    if let Report::Died(error) = report {
        tracing::error!("{error}");
    }
}
