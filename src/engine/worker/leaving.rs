//! Services that come and go while the worker runs.

use std::sync::Arc;
use std::time::Instant;

use lapps_parser::close::CloseCode;

use super::{Home, Worker};
use crate::engine::clients::GOODBYE;
use crate::engine::instance::CLEANUP;
use crate::engine::link::Link;
use crate::engine::mail::Mail;
use crate::engine::mailbox::Inlet;
use crate::engine::report::Report;
use crate::engine::slab::Key;
use crate::net::ended::Ended;
use crate::services::registry::Registry;

/// A service whose last connections are being closed.
pub(super) struct Leaving {
    service: usize,
    deadline: Instant,
    /// Until when its outgoing connections may answer our close frame, once that is sent.
    goodbye: Option<Instant>,
    /// The fibers of its co-located instance have been interrupted.
    winding_down: bool,
}

impl Leaving {
    pub(super) fn new(service: usize, deadline: Instant) -> Leaving {
        Leaving { service, deadline, goodbye: None, winding_down: false }
    }

    /// When it is to be looked at again, whatever happens.
    pub(super) fn next(&self) -> Instant {
        let goodbye = self.goodbye.filter(|_| !self.winding_down);
        goodbye.map_or(self.deadline, |goodbye| goodbye.min(self.deadline))
    }
}

impl Worker {
    /// From now on these are the services.
    pub(super) fn see(&mut self, registry: Arc<Registry>) {
        let count = registry.len().max(self.instances.len());
        self.instances.resize_with(count, || None);
        self.served.resize(count, 0);
        self.outbox.see(Arc::clone(&registry));
        self.registry = registry;
    }

    /// An instance with a thread of its own has come; there is a link to it if it serves connections.
    pub(super) fn connect(&mut self, instance: usize, link: Option<Link>, inlet: Inlet<Mail>) {
        if self.links.len() <= instance {
            self.links.resize_with(instance + 1, || None);
            self.senders.resize(instance + 1, None);
        }
        self.links[instance] = link;
        self.senders[instance] = Some(self.mailbox.attach(inlet));
    }

    /// An instance with a thread of its own has gone. What it had said before still counts.
    pub(super) fn disconnect(&mut self, instance: usize) {
        let Some(sender) = self.senders.get_mut(instance).and_then(Option::take) else { return };
        self.links[instance] = None;
        while let Some(mail) = self.mailbox.take(sender) {
            self.on_mail(mail);
        }
        self.mailbox.detach(sender);
    }

    /// Says goodbye to the connections of a service that is on its way out.
    pub(super) fn begin_to_leave(&mut self, leaving: Leaving) {
        for key in self.served_by(leaving.service) {
            self.outbox.close(key, Some(CloseCode::SERVICE_RESTART), "the service restarts");
        }
        self.leaving.push(leaving);
    }

    /// Goes on with the services that are on their way out, and reports those that are gone.
    pub(super) fn see_off(&mut self) {
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain_mut(|leaving| {
            let left = self.has_left(leaving);
            if left {
                let _ = self.reports.send(Report::Left { service: leaving.service });
            }
            !left
        });
        self.leaving.append(&mut leaving);
    }

    /// True when nothing here belongs to the service any more.
    fn has_left(&mut self, leaving: &mut Leaving) -> bool {
        let service = leaving.service;
        let is_over = Instant::now() >= leaving.deadline;
        if self.served[service] > 0 {
            if !is_over {
                return false;
            }
            for key in self.served_by(service) {
                self.end(key, Ended::Restart);
            }
        }
        let Some(instance) = &mut self.instances[service] else {
            // Those that are dedicated must hear of the end of every connection.
            return is_over || self.are_settled(service);
        };
        if !leaving.winding_down && (is_over || instance.is_done()) {
            if !self.has_parted(leaving) {
                return false;
            }
            let Some(instance) = &mut self.instances[service] else { return true };
            instance.wind_down(&mut self.outbox.port(service));
            leaving.winding_down = true;
            leaving.deadline = leaving.deadline.max(Instant::now() + CLEANUP);
            self.settle(service);
        }
        let Some(instance) = &mut self.instances[service] else { return true };
        if leaving.winding_down && (instance.has_ended() || Instant::now() >= leaving.deadline) {
            instance.report_deadlock();
            self.instances[service] = None;
            self.clients.forget(service, &mut self.outbox.calls);
        }
        self.instances[service].is_none()
    }

    /// Closes the outgoing connections of the instance; true when they have ended or had their time.
    fn has_parted(&mut self, leaving: &mut Leaving) -> bool {
        if leaving.goodbye.is_none() {
            self.dismiss_clients_of(leaving.service);
            leaving.goodbye = Some(Instant::now() + GOODBYE);
        }
        self.clients.open_of(leaving.service) == 0 || Some(Instant::now()) >= leaving.goodbye
    }

    /// True when every dedicated instance of the service has room for what it must still hear.
    fn are_settled(&self, service: usize) -> bool {
        let instances = self.registry.entry(service).instances.clone();
        self.links.get(instances).unwrap_or_default().iter().flatten().all(Link::is_settled)
    }

    /// The connections that a service serves.
    fn served_by(&self, service: usize) -> Vec<Key> {
        let is_served = |key: &Key| {
            self.conns.get(*key).is_some_and(|conn| match conn.home {
                Home::Here { service: home } | Home::Dedicated { service: home, .. } => {
                    usize::from(home) == service
                }
                Home::None => false,
            })
        };
        if self.served[service] == 0 {
            return Vec::new();
        }
        self.conns.keys().into_iter().filter(is_served).collect()
    }
}
