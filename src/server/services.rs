//! Starting the services, one after the other.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::threads::Kind;
use super::versions::{Member, Phase};
use super::{Outcome, Server, StartError, Turn};
use crate::config::{Placement, RING_AREA, Service};
use crate::engine::mail::{Letter, Mail};
use crate::engine::mailbox::{self, Mailbox, Postbox};
use crate::engine::report::{Report, Who};
use crate::engine::wake::Wake;
use crate::engine::{Link, dedicated, standalone};
use crate::services::registry::Entry;

/// How often is said whose start still waits.
const REMINDER: Duration = Duration::from_secs(10);

/// How long a server that is to stop waits for the start of an instance that does not wait itself.
const PATIENCE: Duration = Duration::from_secs(1);

impl Server {
    /// Starts all services, one after the other.
    pub(super) fn start_services(&mut self, services: Vec<Service>) -> Result<(), StartError> {
        let mut numbers = Vec::new();
        for service in services {
            numbers.push(self.versions.add(service, true).map_err(io::Error::other)?);
        }
        self.publish();
        for number in numbers {
            let service = &Arc::clone(&self.versions.at(number).entry).service;
            if !service.auto_start || self.stop_ordered {
                continue;
            }
            match self.obstacle(service) {
                Some(obstacle) => self.versions.at(number).outcome = Outcome::Failed(obstacle),
                None => self.start_version(number)?,
            }
            if let Outcome::Failed(why) = &self.versions.at(number).outcome {
                tracing::error!(service = service.name, "{why}");
            }
        }
        Ok(())
    }

    /// Starts the instances of a version, and waits until it is known what became of them.
    pub(super) fn start_version(&mut self, number: usize) -> Result<(), StartError> {
        let entry = Arc::clone(&self.versions.at(number).entry);
        self.versions.at(number).phase = Phase::Starting;
        match entry.service.placement {
            Placement::Worker => {
                for worker in &mut self.workers {
                    worker.send(Mail::Start { service: number });
                    self.versions.at(number).members.push(Member::new(None));
                }
            }
            Placement::Dedicated(count) => {
                for nth in 0..count {
                    self.start_dedicated(&entry, Who { service: number, nth })?;
                }
            }
            Placement::Standalone(count) => {
                for nth in 0..count {
                    self.start_standalone(&entry, Who { service: number, nth })?;
                }
            }
        }
        self.await_start(number)?;
        match self.versions.at(number).outcome {
            Outcome::Running => {
                entry.set_running(true);
                self.versions.at(number).phase = Phase::Running;
            }
            // It is the server's stop that came between: the instances are stopped with the others.
            Outcome::NotStarted => {}
            Outcome::Failed(_) => self.abandon(number),
        }
        Ok(())
    }

    /// Starts the thread of a dedicated instance, and ties it to the workers.
    fn start_dedicated(&mut self, entry: &Arc<Entry>, who: Who) -> Result<(), StartError> {
        let (mailbox, posts, post) = self.connect(entry, who);
        let parts = dedicated::Parts {
            entry: Arc::clone(entry),
            who,
            mailbox,
            posts,
            channels: Arc::clone(&self.channels),
            settings: Arc::clone(&self.settings),
            reports: self.threads.sender().clone(),
        };
        let thread = self.threads.spawn(Kind::Dedicated, thread_name(entry, who), move || {
            dedicated::run(parts);
            Ok(())
        })?;
        self.versions.at(who.service).members.push(Member::new(Some((post, thread))));
        Ok(())
    }

    /// Starts the thread of a standalone instance, and ties it to the workers.
    fn start_standalone(&mut self, entry: &Arc<Entry>, who: Who) -> Result<(), StartError> {
        let (mailbox, posts, post) = self.connect(entry, who);
        let parts = standalone::Parts {
            entry: Arc::clone(entry),
            who,
            mailbox,
            posts,
            channels: Arc::clone(&self.channels),
            settings: Arc::clone(&self.settings),
            reports: self.threads.sender().clone(),
        };
        let thread = self.threads.spawn(Kind::Standalone, thread_name(entry, who), move || {
            standalone::run(parts);
            Ok(())
        })?;
        self.versions.at(who.service).members.push(Member::new(Some((post, thread))));
        Ok(())
    }

    /// Makes the mailbox of an instance with a thread of its own, its ways to the workers, and ours to it.
    fn connect(&mut self, entry: &Entry, who: Who) -> (Mailbox<Letter>, Vec<Postbox<Mail>>, Postbox<Letter>) {
        let wake = Arc::new(Wake::thread());
        let mut mailbox = Mailbox::new(Arc::clone(&wake));
        let serves = matches!(entry.service.placement, Placement::Dedicated(_));
        let instance = entry.instances.start + who.nth;
        let mut posts = Vec::new();
        for (worker, its_wake) in self.workers.iter_mut().zip(&self.worker_wakes) {
            let link = serves.then(|| {
                let (post, inlet) = mailbox::line(&wake, its_wake, RING_AREA as usize);
                mailbox.attach(inlet);
                Box::new(Link::new(post))
            });
            let (post, inlet) = mailbox::line(its_wake, &wake, RING_AREA as usize);
            worker.send(Mail::Connect { instance, link, inlet: Box::new(inlet) });
            posts.push(post);
        }
        let post = mailbox.sender(&self.own);
        (mailbox, posts, post)
    }

    /// What keeps a service from being started before it is even tried.
    pub(super) fn obstacle(&self, service: &Service) -> Option<String> {
        let name = &service.name;
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

    /// Waits for the instances of a version to say whether they have started, or, if the server is to stop, until all that
    /// have not wait themselves: these can be stopped like others.
    fn await_start(&mut self, number: usize) -> Result<(), StartError> {
        let mut reminder = Instant::now() + REMINDER;
        let mut patience = None;
        loop {
            let version = self.versions.at(number);
            let (left, waiting) = version.starting();
            if left == 0 && version.outcome == Outcome::NotStarted {
                version.outcome = Outcome::Running;
            }
            // What has failed has no thread any more that could be told to stop.
            if left == 0 || (self.stop_ordered && waiting == left) {
                return Ok(());
            }
            if self.stop_ordered {
                patience.get_or_insert_with(|| Instant::now() + PATIENCE);
            }
            match self.turn(Some(patience.unwrap_or(reminder))) {
                Turn::Seen => {}
                Turn::Died(error) => {
                    // `wait` must hear of it too: a server without one of its threads is not to go on.
                    let _ = self.threads.sender().send(Report::Died(error.clone()));
                    self.versions.at(number).outcome = Outcome::Failed(error);
                    return Ok(());
                }
                Turn::Over if patience.is_some_and(|patience| Instant::now() >= patience) => {
                    return Err(StartError::Stopped);
                }
                Turn::Over if Instant::now() >= reminder => {
                    reminder += REMINDER;
                    let version = self.versions.at(number);
                    let handler = if version.is_standalone() { "init" } else { "onStart" };
                    let (name, count) = (version.name(), version.members.len());
                    tracing::warn!(
                        service = name,
                        "service '{name}': {handler} of {left} of {count} instances has not returned yet"
                    );
                }
                Turn::Over => {}
            }
        }
    }
}

fn thread_name(entry: &Entry, who: Who) -> String {
    format!("{}-{}", entry.service.name, who.nth)
}
