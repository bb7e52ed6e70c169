//! Starting the services, one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::threads::Kind;
use super::{Outcome, Server, StartError};
use crate::config::{Placement, Service};
use crate::engine::channels::Channels;
use crate::engine::dedicated;
use crate::engine::mail::{Letter, Mail};
use crate::engine::mailbox::{Mailbox, Postbox};
use crate::engine::report::Report;
use crate::engine::settings::Settings;
use crate::engine::standalone;

/// Modules of "preload" that are part of this version.
const MODULES: [&str; 5] = ["mqr", "murmur", "nap", "pam_auth", "time"];

/// How often is said whose start still waits.
const REMINDER: Duration = Duration::from_secs(10);

/// How long a server that is to stop waits for the start of an instance that does not wait itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the thread of a dedicated instance needs, and the way to it.
pub(super) struct Boxes {
    pub(super) mailbox: Mailbox<Letter>,
    /// To every worker.
    pub(super) posts: Vec<Postbox<Mail>>,
    /// To the instance.
    pub(super) post: Postbox<Letter>,
}

impl Server {
    /// Starts all services; `boxes` are those of the dedicated instances in order, then of the standalone ones.
    pub(super) fn start_services(
        &mut self,
        settings: &Arc<Settings>,
        channels: &Arc<Channels>,
        mut boxes: Vec<Boxes>,
    ) -> Result<(), StartError> {
        let mut alone = boxes.split_off(self.registry.instances()).into_iter();
        let mut boxes = boxes.into_iter();
        for number in 0..self.registry.entries().len() {
            let registry = Arc::clone(&self.registry);
            let entry = registry.entry(number);
            let boxes: Vec<_> = boxes.by_ref().take(entry.instances.len()).collect();
            let (mut dedicated, mut standalone) = (Vec::new(), Vec::new());
            let outcome = match self.obstacle(&entry.service) {
                _ if !entry.service.auto_start || self.stop_ordered => Outcome::NotStarted,
                Some(obstacle) => Outcome::Failed(obstacle),
                None => {
                    let expected = match entry.service.placement {
                        Placement::Worker => {
                            for worker in &mut self.workers {
                                worker.send(Mail::Start { service: number });
                            }
                            self.workers.len()
                        }
                        Placement::Dedicated(count) => {
                            for (nth, boxes) in boxes.into_iter().enumerate() {
                                dedicated.push(self.start_dedicated(number, nth, boxes, settings, channels)?);
                            }
                            count
                        }
                        Placement::Standalone(count) => {
                            for (nth, boxes) in alone.by_ref().take(count).enumerate() {
                                let post = self.start_standalone(number, nth, boxes, settings, channels)?;
                                standalone.push(post);
                            }
                            count
                        }
                    };
                    self.outcome(&entry.service, expected)?
                }
            };
            match &outcome {
                Outcome::Running => entry.set_running(true),
                // If it is the server's stop that came between, the instances are stopped with the others.
                Outcome::NotStarted => {}
                Outcome::Failed(why) => {
                    tracing::error!("{why}");
                    // Some instances may run; nobody will ever need them.
                    let deadline = Instant::now() + self.grace;
                    for mut post in dedicated.drain(..).chain(standalone.drain(..)) {
                        post.send(Letter::Exit { deadline });
                    }
                }
            }
            self.dedicated.append(&mut dedicated);
            self.standalone.append(&mut standalone);
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// Starts the thread of a dedicated instance, and gives the way to it.
    fn start_dedicated(
        &mut self,
        service: usize,
        nth: usize,
        boxes: Boxes,
        settings: &Arc<Settings>,
        channels: &Arc<Channels>,
    ) -> Result<Postbox<Letter>, StartError> {
        let registry = Arc::clone(&self.registry);
        let entry = registry.entry(service);
        let parts = dedicated::Parts {
            number: entry.instances.start + nth,
            nth,
            mailbox: boxes.mailbox,
            posts: boxes.posts,
            channels: Arc::clone(channels),
            settings: Arc::clone(settings),
            reports: self.threads.sender().clone(),
        };
        let name = format!("{}-{nth}", entry.service.name);
        let registry = Arc::clone(&registry);
        self.threads.spawn(Kind::Dedicated, name, move || {
            dedicated::run(parts, &registry.entry(service).service);
            Ok(())
        })?;
        Ok(boxes.post)
    }

    /// Starts the thread of a standalone instance, and gives the way to it.
    fn start_standalone(
        &mut self,
        service: usize,
        nth: usize,
        boxes: Boxes,
        settings: &Arc<Settings>,
        channels: &Arc<Channels>,
    ) -> Result<Postbox<Letter>, StartError> {
        let registry = Arc::clone(&self.registry);
        let Boxes { mailbox, posts, post } = boxes;
        let (settings, channels) = (Arc::clone(settings), Arc::clone(channels));
        let reports = self.threads.sender().clone();
        let name = format!("{}-{nth}", registry.entry(service).service.name);
        self.threads.spawn(Kind::Standalone, name, move || {
            let parts = standalone::Parts { nth, mailbox, posts, channels, settings, reports };
            standalone::run(parts, &registry.entry(service).service);
            Ok(())
        })?;
        Ok(post)
    }

    /// What keeps a service from being started before it is even tried.
    fn obstacle(&self, service: &Service) -> Option<String> {
        let name = &service.name;
        let missing = |what: &str| {
            Some(format!(
                "service '{name}' cannot be started: {what} is not part of version {}",
                env!("CARGO_PKG_VERSION")
            ))
        };
        if let Some(module) = service.preload.iter().find(|module| !MODULES.contains(&module.as_str())) {
            return missing(&format!("the module '{module}' of \"preload\""));
        }
        let failed = self
            .services()
            .find(|(other, outcome)| service.depends.contains(&other.name) && **outcome != Outcome::Running);
        failed.map(|(other, _)| {
            format!(
                "service '{name}' cannot be started: it depends on '{}', which is not running",
                other.name
            )
        })
    }

    /// Waits for `expected` instances of a service to say whether they have started, or, if the server is to stop, until
    /// all that have not wait themselves: these can be stopped like others.
    fn outcome(&mut self, service: &Service, expected: usize) -> Result<Outcome, StartError> {
        let mut outcome = Outcome::Running;
        let (mut left, mut waiting) = (expected, 0);
        let mut reminder = Instant::now() + REMINDER;
        let mut patience = None;
        while left > 0 {
            if self.stop_ordered && waiting == left {
                // What has failed has no thread any more that could be told to stop.
                return Ok(if outcome == Outcome::Running { Outcome::NotStarted } else { outcome });
            }
            match self.threads.next(Some(patience.unwrap_or(reminder))) {
                Some(Report::Waits) => waiting += 1,
                Some(Report::Started { result, waited }) => {
                    left -= 1;
                    // Of a service before this one, if a thread has died.
                    waiting = waiting.saturating_sub(usize::from(waited));
                    if let Err(error) = result {
                        outcome = Outcome::Failed(error);
                    }
                }
                Some(Report::Signal) => {
                    self.stop_ordered = true;
                    patience = Some(Instant::now() + PATIENCE);
                }
                Some(Report::Died(error)) => {
                    // `wait` must hear of it too: a server without one of its threads is not to go on.
                    let _ = self.threads.sender().send(Report::Died(error.clone()));
                    return Ok(Outcome::Failed(error));
                }
                Some(Report::Stopped | Report::Ended(_)) => {}
                None if patience.is_some() => return Err(StartError::Stopped),
                None => {
                    reminder += REMINDER;
                    let handler = match service.placement {
                        Placement::Standalone(_) => "init",
                        _ => "onStart",
                    };
                    let name = &service.name;
                    tracing::warn!(
                        "service '{name}': {handler} of {left} of {expected} instances has not returned yet"
                    );
                }
            }
        }
        Ok(outcome)
    }
}
