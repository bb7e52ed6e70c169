//! The end of versions that are replaced, and of the whole server.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::threads::Kind;
use super::versions::Phase;
use super::{Server, Turn};
use crate::engine::mail::{Letter, Mail};
use crate::ops::supervisor;

/// A little more than threads have themselves, so that one that cuts at the deadline is not called late.
pub(super) const LATE: Duration = Duration::from_secs(2);

impl Server {
    /// Gives the workers the services as they are now.
    pub(super) fn publish(&mut self) {
        let registry = std::sync::Arc::new(self.versions.registry(self.page));
        for worker in &mut self.workers {
            worker.send(Mail::Registry(std::sync::Arc::clone(&registry)));
        }
    }

    /// Begins to stop a version that runs, as a stop of the server does, but for this one alone. The others are not waited
    /// for: [`Server::see_off`] goes on with it.
    pub(super) fn retire(&mut self, number: usize) {
        let deadline = Instant::now() + self.grace;
        if let Some(version) = self.versions.get_mut(number)
            && version.phase == Phase::Running
        {
            version.entry.stop();
            self.order_stop(number, deadline);
        }
    }

    /// Lets go of a version that could not be started. Some of its instances may run; nobody will ever need them.
    pub(super) fn abandon(&mut self, number: usize) {
        let deadline = Instant::now() + self.grace;
        if self.versions.at(number).is_standalone() {
            self.exit(number, deadline);
        } else {
            self.leave(number, deadline);
        }
    }

    /// When a version is to go on to its end though not all of its instances are ready for that.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.versions.all().filter(|(_, version)| !version.is_standalone());
        deadlines
            .filter_map(|(_, version)| match version.phase {
                Phase::Stopping { deadline } if !self.stopping => Some(deadline),
                _ => None,
            })
            .chain(self.goodbyes.iter().map(|goodbye| goodbye.deadline))
            .min()
    }

    /// Goes on with the versions that are on their way out, and forgets those that are gone.
    pub(super) fn see_off(&mut self) {
        if self.stopping {
            return;
        }
        let mut changed = false;
        for number in self.versions.numbers() {
            let version = self.versions.at(number);
            match version.phase {
                Phase::Stopping { .. } if version.is_standalone() => {
                    changed |= version.has_ended() && self.finish(number);
                }
                Phase::Stopping { deadline } => {
                    let is_over = Instant::now() >= deadline;
                    if is_over && version.stopping() > 0 {
                        let (left, count) = (version.stopping(), version.members.len());
                        let name = version.name();
                        tracing::warn!(
                            service = name,
                            "service '{name}': {left} of {count} instances did not finish onShutdown in time"
                        );
                    }
                    if is_over || version.stopping() == 0 {
                        self.leave(number, deadline);
                    }
                }
                Phase::Leaving { deadline, workers: 0 } => {
                    self.exit(number, deadline);
                    // Where no thread has to end nobody would report anything more.
                    changed |= self.versions.at(number).has_ended() && self.finish(number);
                }
                Phase::Exiting => changed |= version.has_ended() && self.finish(number),
                Phase::Idle | Phase::Starting | Phase::Running | Phase::Leaving { .. } => {}
            }
        }
        if changed {
            self.publish();
        }
        self.say_goodbyes();
    }

    /// Has `onShutdown` of all instances called, or `run` come to its end.
    fn order_stop(&mut self, number: usize, deadline: Instant) {
        let version = self.versions.at(number);
        version.phase = Phase::Stopping { deadline };
        version.tell(|| Letter::Stop { deadline });
        if version.members.iter().any(|member| member.post.is_none()) {
            for worker in &mut self.workers {
                worker.send(Mail::Stop { service: number });
            }
        }
    }

    /// Has all workers close the connections of a version, and bring its co-located instances to their end.
    fn leave(&mut self, number: usize, deadline: Instant) {
        for worker in &mut self.workers {
            worker.send(Mail::Leave { service: number, deadline });
        }
        self.versions.at(number).phase = Phase::Leaving { deadline, workers: self.workers.len() };
    }

    /// Has the threads of a version, of which no worker knows anything any more, come to their end.
    fn exit(&mut self, number: usize, deadline: Instant) {
        let version = self.versions.at(number);
        for member in &mut version.members {
            // A co-located instance went with the last connections.
            member.ended |= member.post.is_none();
        }
        version.tell(|| Letter::Exit { deadline });
        version.phase = Phase::Exiting;
    }

    /// Takes leave of a version of which no thread is left. True: it is forgotten, because there is another one, or none.
    pub(super) fn finish(&mut self, number: usize) -> bool {
        let version = self.versions.at(number);
        for instance in version.entry.instances.clone() {
            for worker in &mut self.workers {
                worker.send(Mail::Disconnect { instance });
            }
        }
        version.members = Vec::new();
        version.phase = Phase::Idle;
        if version.current {
            return false;
        }
        self.versions.remove(number);
        true
    }

    /// Stops everything.
    pub(super) fn stop(&mut self) {
        let deadline = Instant::now() + self.grace;
        self.stopping = true;
        self.settings.ledger.set_ready(false);
        supervisor::stopping();
        self.orders.clear();
        self.goodbyes.clear();
        self.settings.life.stop();
        self.stop_listeners.store(true, Ordering::Release);
        for waker in &self.listener_wakers {
            let _ = waker.wake();
        }
        for listener in self.listeners.drain(..) {
            let _ = listener.join();
        }
        for number in self.versions.numbers() {
            if matches!(self.versions.at(number).phase, Phase::Starting | Phase::Running) {
                self.order_stop(number, deadline);
            }
        }
        // What it still asks for is refused, so it ends soon.
        self.deployer = None;
        self.await_stopped(deadline);
        for worker in &mut self.workers {
            worker.send(Mail::Drain { deadline });
        }
        self.threads.await_ends(Kind::Worker, deadline + LATE, "closing connections");
        for number in self.versions.numbers() {
            let version = self.versions.at(number);
            if !version.is_standalone() {
                version.tell(|| Letter::Exit { deadline });
            }
        }
        let last = deadline.max(Instant::now()) + LATE;
        self.threads.await_ends(Kind::Dedicated, last, "the last events");
        self.threads.await_ends(Kind::Standalone, last, "run");
        self.threads.await_ends(Kind::Deployer, last, "what was being deployed");
    }

    /// Waits until all reactive instances have come to the end of `onShutdown`, and says if it took too long.
    fn await_stopped(&mut self, deadline: Instant) {
        loop {
            let stopping = self.versions.all().filter(|(_, version)| {
                !version.is_standalone() && matches!(version.phase, Phase::Stopping { .. })
            });
            let (left, count) = stopping.fold((0, 0), |(left, count), (_, version)| {
                (left + version.stopping(), count + version.members.len())
            });
            if left == 0 {
                return;
            }
            match self.turn(Some(deadline)) {
                Turn::Seen => {}
                Turn::Over => {
                    return tracing::warn!("{left} of {count} instances did not finish onShutdown in time");
                }
                Turn::Died(error) => tracing::error!("{error}"),
            }
        }
    }
}
