//! Replacing services while the server runs.

use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use super::ending::LATE;
use super::versions::Phase;
use super::{Outcome, Refused, Server, Turn};
use crate::config::Service;
use crate::engine::report::Report;

/// Has services of a running server replaced, from whichever thread.
#[derive(Debug, Clone)]
pub struct Replacer(Sender<Report>);

/// A replacement that was asked for, and where the answer goes.
pub(super) struct Order {
    pub(super) services: Vec<Service>,
    /// True: what was there before has gone, if that is waited for.
    pub(super) answer: Sender<Result<bool, Refused>>,
    /// The answer is due when the version before has gone.
    pub(super) sees_off: bool,
}

/// Somebody who waits until nothing of a version is left.
pub(super) struct Goodbye {
    number: usize,
    /// Then the answer is that it has not gone.
    pub(super) deadline: Instant,
    answer: Sender<Result<bool, Refused>>,
}

impl Replacer {
    pub(super) fn new(reports: Sender<Report>) -> Replacer {
        Replacer(reports)
    }

    /// Puts the last one of `services` in the place of the service of that name, or adds it; those before it are what it
    /// needs, in the order of their start, and are started where they are not running. Waits until the new version runs.
    ///
    /// A version with clients goes on until the new one runs; then new connections are the new one's, and the old one is
    /// stopped while everything else goes on. A standalone version is stopped before the new one starts.
    ///
    /// # Errors
    /// The new version could not be started.
    pub fn replace(&self, services: Vec<Service>) -> Result<(), Refused> {
        let (answer, answers) = mpsc::channel();
        let _ = self.0.send(Report::Replace { services, answer });
        // Nobody answers when the server has stopped.
        answers.recv().unwrap_or_else(|_| Err(Refused::stopping(false))).map(drop)
    }
}

impl Refused {
    fn new(why: impl Into<String>, stopped: bool) -> Refused {
        Refused { why: why.into(), stopped, stopping: false }
    }

    fn stopping(stopped: bool) -> Refused {
        Refused { why: "the server stops".into(), stopped, stopping: true }
    }
}

impl Server {
    /// Carries out an order, and answers it.
    pub(super) fn carry_out(&mut self, order: Order) {
        let name = order.services.last().filter(|_| order.sees_off).map(|service| service.name.clone());
        let old = name.and_then(|name| self.versions.named(&name));
        let result = self.replace(order.services);
        match old {
            Some(number) if result.is_ok() && self.versions.get_mut(number).is_some() => {
                let deadline = Instant::now() + self.grace + LATE;
                self.goodbyes.push(Goodbye { number, deadline, answer: order.answer });
            }
            _ => drop(order.answer.send(result.map(|()| true))),
        }
    }

    /// Tells those who wait for it that a version has gone, or that it takes too long.
    pub(super) fn say_goodbyes(&mut self) {
        let (versions, now) = (&mut self.versions, Instant::now());
        self.goodbyes.retain(|goodbye| {
            let gone = versions.get_mut(goodbye.number).is_none();
            let over = gone || now >= goodbye.deadline;
            if over {
                let _ = goodbye.answer.send(Ok(gone));
            }
            !over
        });
    }

    pub(super) fn replace(&mut self, mut services: Vec<Service>) -> Result<(), Refused> {
        let Some(service) = services.pop() else { return Ok(()) };
        for needed in services {
            let old = self.versions.named(&needed.name);
            if old.is_none_or(|old| self.versions.at(old).outcome != Outcome::Running) {
                self.bring_up(needed).map_err(|refused| Refused { stopped: false, ..refused })?;
            }
        }
        self.bring_up(service)
    }

    /// Lets a service run in the place of the current version of the same name, if there is one.
    fn bring_up(&mut self, mut service: Service) -> Result<(), Refused> {
        self.files.refresh(&mut service);
        let old = self.versions.named(&service.name);
        if let Some(why) = self.target_conflict(&service).or_else(|| self.obstacle(&service)) {
            return Err(Refused::new(why, false));
        }
        let auto_start = service.auto_start;
        let number = self.versions.add(service, false).map_err(|why| Refused::new(why, false))?;
        self.publish();
        if !auto_start {
            self.hand_over(old, number);
            return Ok(());
        }
        let mut stopped = false;
        if let Some(old) = old.filter(|old| self.versions.at(*old).is_standalone()) {
            stopped = self.versions.at(old).phase == Phase::Running;
            if let Err(refused) = self.await_gone(old) {
                self.versions.remove(number);
                return Err(refused);
            }
        }
        if let Err(error) = self.start_version(number) {
            if !self.stop_ordered {
                self.abandon(number);
            }
            return Err(Refused { stopping: self.stop_ordered, ..Refused::new(error.to_string(), stopped) });
        }
        match self.versions.at(number).outcome.clone() {
            Outcome::Running => {
                self.hand_over(old, number);
                Ok(())
            }
            Outcome::NotStarted => Err(Refused::stopping(stopped)),
            Outcome::Failed(why) => Err(Refused::new(why, stopped)),
        }
    }

    /// Lets clients find the new version from now on, and stops the old one.
    fn hand_over(&mut self, old: Option<usize>, new: usize) {
        self.versions.at(new).current = true;
        if let Some(old) = old {
            self.versions.at(old).current = false;
            if self.versions.at(old).phase == Phase::Idle {
                self.finish(old);
            }
        }
        self.publish();
        // The workers hear of it after they know the new one.
        if let Some(old) = old {
            self.retire(old);
        }
    }

    /// Stops a standalone version, and waits until nothing of it runs.
    fn await_gone(&mut self, number: usize) -> Result<(), Refused> {
        self.retire(number);
        let limit = Instant::now() + self.grace + LATE;
        while self.versions.at(number).phase != Phase::Idle {
            if self.stop_ordered {
                return Err(Refused::stopping(true));
            }
            match self.turn(Some(limit)) {
                Turn::Died(error) => {
                    // `wait` must hear of it too: a server without one of its threads is not to go on.
                    let _ = self.threads.sender().send(Report::Died(error.clone()));
                    return Err(Refused::new(error, true));
                }
                Turn::Over if Instant::now() >= limit => {
                    let name = self.versions.at(number).name();
                    tracing::warn!(
                        service = name,
                        "service '{name}': run did not end in time, and the new version starts beside it"
                    );
                    return Ok(());
                }
                Turn::Over | Turn::Seen => {}
            }
        }
        self.versions.at(number).outcome = Outcome::NotStarted;
        Ok(())
    }

    /// What is wrong with the target of a service beside those of the others.
    fn target_conflict(&self, service: &Service) -> Option<String> {
        if service.request_target.is_empty() {
            return None;
        }
        let is_other =
            |other: &Service| other.name != service.name && other.request_target == service.request_target;
        let (other, _) = self.services().find(|(other, _)| is_other(other))?;
        let (name, target) = (&service.name, &service.request_target);
        Some(format!("service '{name}' cannot be started: '{}' has the target {target}", other.name))
    }
}
