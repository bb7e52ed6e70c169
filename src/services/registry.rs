//! The services of a running server: found by target, with the state each is in.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lapps_parser::decoder::Limits;

use crate::config::{Placement, Service};
use crate::services::acl::{Acl, Admitted};
use crate::services::current::Current;

/// All services at one moment. It does not change; what is replaced while the server runs makes a new one, and each worker
/// is given that by mail.
pub(crate) struct Registry {
    /// By number. A version that is on its way out is still here, because connections are served by it.
    entries: Vec<Option<Arc<Entry>>>,
    by_target: HashMap<String, usize>,
    /// The page that answers `GET /`, in the demo.
    pub(crate) page: Option<&'static str>,
}

/// One version of a service.
pub(crate) struct Entry {
    pub(crate) service: Service,
    /// Who may use it: at first as the service says, and as its configuration says when that is read again.
    pub(crate) acl: Current<Acl>,
    /// The numbers of its instances that have a thread of their own. No two versions that are there at the same time have one
    /// in common.
    pub(crate) instances: Range<usize>,
    /// Connections of each of its dedicated instances.
    loads: Box<[AtomicUsize]>,
    running: AtomicBool,
    stopping: AtomicBool,
}

impl Registry {
    /// The versions by number, each with whether clients find it by its target.
    pub(crate) fn new<'e>(
        versions: impl Iterator<Item = Option<(&'e Arc<Entry>, bool)>>,
        page: Option<&'static str>,
    ) -> Registry {
        let mut registry = Registry { entries: Vec::new(), by_target: HashMap::new(), page };
        for (number, version) in versions.enumerate() {
            registry.entries.push(version.map(|(entry, _)| Arc::clone(entry)));
            if let Some((entry, true)) = version {
                registry.by_target.insert(entry.service.request_target.clone(), number);
            }
        }
        registry
    }

    /// One more than the highest number of a service.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The service with this number, which somebody still serves or is served by.
    pub(crate) fn entry(&self, number: usize) -> &Entry {
        self.get(number).expect("a number is given up only when nobody has it any more")
    }

    /// The service with this number, if there is one.
    pub(crate) fn get(&self, number: usize) -> Option<&Entry> {
        self.entries.get(number)?.as_deref()
    }

    /// The number of the service with this target.
    pub(crate) fn find(&self, target: &str) -> Option<usize> {
        self.by_target.get(target).copied()
    }
}

impl Entry {
    /// A version that is not running yet; its instances with a thread of their own, if it has any, are numbered from `first`
    /// on.
    pub(crate) fn new(service: Service, first: usize) -> Entry {
        let (threads, serving) = match service.placement {
            Placement::Worker => (0, 0),
            Placement::Dedicated(count) => (count, count),
            Placement::Standalone(count) => (count, 0),
        };
        Entry {
            acl: Current::new(service.acl.clone()),
            service,
            instances: first..first + threads,
            loads: (0..serving).map(|_| AtomicUsize::new(0)).collect(),
            running: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    /// True when every instance is loaded and has started.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    pub(crate) fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Release);
    }

    /// True once this version is to stop, though the server goes on.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Says that this version is to stop.
    pub(crate) fn stop(&self) {
        // Nothing else is published by it: whoever has to act gets a letter.
        self.stopping.store(true, Ordering::Relaxed);
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
