//! The co-located instances of a worker: their starts, turns and ends.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapps_lua::error::Failure;
use lapps_lua::port::{ClientEvent, Command, ConnId, Event};
use lapps_lua::reactive::Verdict;
use mio::event::Event as Readiness;

use super::{WAKE, Worker};
use crate::engine::clients::{Calls, GOODBYE, Host};
use crate::engine::instance::{CLEANUP, Instance, Settled};
use crate::engine::log_failure;
use crate::engine::outbox::Outbox;
use crate::engine::report::{Report, Who};
use crate::engine::slab::Key;
use crate::sys::poller::Happenings;

impl Worker {
    /// Whether an instance had better collect garbage before it gets in somebody's way. All of them are asked, and say how large they
    /// are.
    pub(super) fn has_garbage(&mut self) -> bool {
        self.instances.iter_mut().flatten().fold(false, |wants, instance| wants | instance.wants_collecting())
    }

    /// A step for each such instance.
    pub(super) fn collect_in_idle_time(&mut self) {
        for instance in self.instances.iter_mut().flatten() {
            instance.collect_in_idle_time();
        }
    }

    /// Loads and starts the co-located instance of `service`.
    pub(super) fn start(&mut self, service: usize) {
        let entry = self.registry.entry(service);
        let number = self.outbox.worker();
        let seat = self.settings.ledger.seat(&entry.service.name, number);
        self.outbox.seat(service, Arc::clone(&seat));
        let wake = self.mailbox.wake();
        let mut port = self.outbox.port(service);
        let who = Who { service, nth: number };
        let report = match Instance::load(&entry.service, number, seat, &self.settings, wake, &mut port) {
            Ok(instance) => {
                let waits = instance.is_starting();
                self.instances[service] = Some(instance);
                if waits { Report::Waits(who) } else { Report::Started(who, Ok(())) }
            }
            Err(error) => Report::Started(who, Err(error)),
        };
        let _ = self.reports.send(report);
    }

    /// Lets the fibers run that want to, of every instance.
    pub(super) fn turn_instances(&mut self) {
        for service in 0..self.instances.len() {
            if let Some(instance) = &mut self.instances[service] {
                instance.turn(&mut self.outbox.port(service));
                self.settle(service);
            }
        }
    }

    /// Sees to what has come of handlers that waited.
    pub(super) fn settle(&mut self, service: usize) {
        while let Some(settled) = self.instances[service].as_mut().and_then(Instance::next_settled) {
            match settled {
                Settled::Started(result) => {
                    if result.is_err() {
                        self.instances[service] = None;
                        self.clients.forget(service, &mut self.outbox.calls);
                    }
                    let _ = self.reports.send(Report::Started(self.who(service), result));
                }
                Settled::Handled { conn, weight } if conn.is_client() => {
                    self.clients.on_handled(conn, weight, &mut self.outbox.calls);
                }
                Settled::Handled { conn, weight } => self.on_handled(key_of(conn), weight),
                Settled::Failed(failure) => match failure.conn().filter(|conn| conn.is_client()) {
                    Some(conn) => self.fail_client(service, conn, &failure),
                    None => fail(&mut self.outbox, &failure),
                },
                Settled::Stopped => drop(self.reports.send(Report::Stopped(self.who(service)))),
            }
        }
    }

    /// Lets outgoing connections begin, go on and end.
    pub(super) fn turn_clients(&mut self) {
        let Worker { clients, instances, outbox, .. } = self;
        clients.turn(&mut Here { instances, outbox });
    }

    /// Readiness of what is no client's connection.
    #[cold]
    pub(super) fn on_other_readiness(&mut self, event: &Readiness) {
        if event.token() != WAKE {
            let Worker { clients, instances, outbox, .. } = self;
            clients.on_readiness(event, &mut Here { instances, outbox });
        }
    }

    /// Logs the failure of a handler of an outgoing connection that had waited, and closes the connection.
    fn fail_client(&mut self, service: usize, conn: ConnId, failure: &Failure) {
        log_failure(failure, false);
        let (code, reason) = failure.kind().close();
        let _ = self.outbox.calls.command(service, Command::Close { conn, code, reason });
    }

    /// Tells the instance of `service` what happened to a connection, no message.
    pub(super) fn tell(&mut self, service: usize, event: Event<'_>) -> Verdict {
        match &mut self.instances[service] {
            Some(instance) => instance.deliver(&mut self.outbox.port(service), event),
            None => Verdict::Keep,
        }
    }

    /// True when an instance wants to run at once.
    pub(super) fn has_ready_instances(&self) -> bool {
        self.instances.iter().flatten().any(Instance::is_ready)
    }

    /// When the next instance wants to run; what has passed is at once.
    pub(super) fn next_turn(&self) -> Option<Instant> {
        let due = self.instances.iter().flatten().filter_map(Instance::next_turn).min()?;
        Some(self.settings.life.moment(due))
    }

    /// Calls `onShutdown` of the instance of `service`.
    pub(super) fn stop(&mut self, service: usize) {
        let stopped = match &mut self.instances[service] {
            Some(instance) => instance.stop(&mut self.outbox.port(service)),
            None => true,
        };
        if stopped {
            let _ = self.reports.send(Report::Stopped(self.who(service)));
        }
    }

    fn who(&self, service: usize) -> Who {
        Who { service, nth: self.outbox.worker() }
    }

    /// True when no instance needs more time, provided that no event comes any more.
    pub(super) fn instances_are_done(&self) -> bool {
        self.instances.iter().flatten().all(Instance::is_done)
    }

    /// Closes the outgoing connections of one instance. What comes of it is delivered in the turns that follow.
    pub(super) fn dismiss_clients_of(&mut self, service: usize) {
        let Worker { clients, instances, outbox, .. } = self;
        clients.dismiss(Some(service), &mut Here { instances, outbox });
    }

    /// Closes the outgoing connections of all instances, and gives the servers a moment to answer.
    fn dismiss_clients(&mut self, happenings: &mut Happenings) -> io::Result<()> {
        let Worker { clients, instances, outbox, .. } = self;
        clients.dismiss(None, &mut Here { instances, outbox });
        let patience = Instant::now() + GOODBYE;
        loop {
            self.turn_instances();
            self.turn_clients();
            self.outbox.notify();
            let now = Instant::now();
            if self.clients.open() == 0 || now >= patience {
                return Ok(());
            }
            let work = self.clients.has_work(&self.outbox.calls).then_some(now);
            let next = [self.next_turn(), self.clients.next_due(), work, Some(patience)];
            let next = next.into_iter().flatten().min();
            self.wait(happenings, next.map(|next| next.saturating_duration_since(now)))?;
            self.take_happenings(happenings);
            self.take_mail();
        }
    }

    /// Interrupts the fibers that are left, and lets cleanup handlers come to their end.
    pub(super) fn wind_down(&mut self, happenings: &mut Happenings) -> io::Result<()> {
        // Sockets that a ring still has are closed by this.
        self.wait(happenings, Some(Duration::ZERO))?;
        self.take_happenings(happenings);
        self.dismiss_clients(happenings)?;
        for service in 0..self.instances.len() {
            if let Some(instance) = &mut self.instances[service] {
                instance.wind_down(&mut self.outbox.port(service));
            }
        }
        let deadline = self.drain.max(Some(Instant::now() + CLEANUP));
        loop {
            self.turn_instances();
            self.outbox.notify();
            if self.instances.iter().flatten().all(Instance::has_ended) || Some(Instant::now()) >= deadline {
                break;
            }
            let next = [self.next_turn(), deadline].into_iter().flatten().min();
            self.wait(happenings, next.map(|next| next.saturating_duration_since(Instant::now())))?;
            self.take_happenings(happenings);
            // An instance elsewhere may wait for room.
            self.take_mail();
        }
        for instance in self.instances.iter_mut().flatten() {
            instance.report_deadlock();
        }
        Ok(())
    }
}

/// The instances and their way out, as their outgoing connections see them.
struct Here<'w> {
    instances: &'w mut [Option<Instance>],
    outbox: &'w mut Outbox,
}

impl Host for Here<'_> {
    fn calls(&mut self) -> &mut Calls {
        &mut self.outbox.calls
    }

    fn deliver(&mut self, owner: usize, conn: ConnId, event: ClientEvent<'_>) -> Verdict {
        match &mut self.instances[owner] {
            Some(instance) => instance.deliver_client(&mut self.outbox.port(owner), conn, event),
            None => Verdict::Keep,
        }
    }

    fn connected(&mut self, owner: usize, conn: ConnId, result: Result<(), String>) {
        if let Some(instance) = &mut self.instances[owner] {
            instance.connected(conn, result);
        }
    }

    fn is_ready(&self) -> bool {
        self.instances.iter().flatten().any(Instance::is_ready)
    }
}

/// Logs the failure of a handler, and closes its connection, if it has one that is still open.
pub(super) fn fail(outbox: &mut Outbox, failure: &Failure) {
    let key = failure.conn().map(key_of);
    let open = key.filter(|key| outbox.is_open(*key));
    log_failure(failure, key.is_some() && open.is_none());
    if let Some(key) = open {
        let (code, reason) = failure.kind().close();
        outbox.close(key, Some(code), reason);
    }
}

fn key_of(conn: ConnId) -> Key {
    Key { slot: conn.slot(), generation: conn.generation() }
}
