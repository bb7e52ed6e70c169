//! The services of a running server: found by target, with the state each is in.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lapps_parser::decoder::Limits;

use crate::config::{Placement, Service};
use crate::services::acl::Admitted;

/// All services. It does not change while the server runs, apart from the states.
pub(crate) struct Registry {
    entries: Vec<Entry>,
    by_target: HashMap<String, usize>,
    /// The page that answers `GET /`, in the demo.
    pub(crate) page: Option<&'static str>,
}

/// One service.
pub(crate) struct Entry {
    pub(crate) service: Service,
    /// The numbers of its dedicated instances, counted over all services.
    pub(crate) instances: Range<usize>,
    /// Connections of each of these instances.
    loads: Box<[AtomicUsize]>,
    running: AtomicBool,
}

impl Registry {
    /// Numbers the dedicated instances of `services` in order.
    pub(crate) fn new(services: Vec<Service>, page: Option<&'static str>) -> Registry {
        let mut entries = Vec::with_capacity(services.len());
        let mut next = 0;
        for service in services {
            let count = match service.placement {
                Placement::Dedicated(count) => count,
                Placement::Worker | Placement::Standalone(_) => 0,
            };
            entries.push(Entry {
                service,
                instances: next..next + count,
                loads: (0..count).map(|_| AtomicUsize::new(0)).collect(),
                running: AtomicBool::new(false),
            });
            next += count;
        }
        let by_target =
            entries.iter().enumerate().map(|(n, entry)| (entry.service.request_target.clone(), n)).collect();
        Registry { entries, by_target, page }
    }

    /// All services, in the order in which they start.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The service with this number.
    pub(crate) fn entry(&self, number: usize) -> &Entry {
        &self.entries[number]
    }

    /// The number of the service with this target.
    pub(crate) fn find(&self, target: &str) -> Option<usize> {
        self.by_target.get(target).copied()
    }

    /// Number of dedicated instances of all services.
    pub(crate) fn instances(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.instances.end)
    }

    /// Number of instances with a thread of their own: the dedicated ones, and then the standalone ones.
    pub(crate) fn threads(&self) -> usize {
        let standalone = self.entries.iter().map(|entry| match entry.service.placement {
            Placement::Standalone(count) => count,
            Placement::Worker | Placement::Dedicated(_) => 0,
        });
        self.instances() + standalone.sum::<usize>()
    }
}

impl Entry {
    /// True when every instance is loaded and has started.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Release);
    }

    /// What a message to this service may be.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_message: self.service.max_inbound_message_size,
            max_fragments: self.service.max_fragments,
        }
    }

    /// Gives a new connection, which must have been admitted, to the dedicated instance that has the fewest; `None`
    /// where there are none.
    pub(crate) fn join(&self, _: Admitted) -> Option<usize> {
        let (nth, load) =
            self.loads.iter().enumerate().min_by_key(|(_, load)| load.load(Ordering::Relaxed))?;
        load.fetch_add(1, Ordering::Relaxed);
        Some(self.instances.start + nth)
    }

    /// Takes a connection from the instance that [`Entry::join`] named.
    pub(crate) fn leave(&self, instance: usize) {
        self.loads[instance - self.instances.start].fetch_sub(1, Ordering::Relaxed);
    }
}
