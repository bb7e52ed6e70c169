//! Where all tallies are, for those who want to know; no thread that counts ever waits for it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tally::{InstanceTally, ListenerTally, WorkerTally};

/// The tallies of a server.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: Mutex<Books>,
    ready: AtomicBool,
}

/// What is locked while threads come and go, and while somebody reads.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) listeners: Vec<Arc<ListenerTally>>,
    pub(super) workers: Vec<Arc<WorkerTally>>,
    /// By service and number.
    pub(super) instances: BTreeMap<(String, usize), Record>,
}

/// The instances that had one number of one service: at most a few at the same time, while one replaces another.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// How many there were.
    pub(super) starts: u64,
    pub(super) living: Vec<Arc<InstanceTally>>,
    /// What those have counted that are gone.
    gone: InstanceTally,
}

/// What somebody in charge wants to know at a glance.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) workers: usize,
    /// Connections, upgraded or not.
    pub(crate) connections: u64,
    /// Messages of clients, and to them.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) services: BTreeMap<String, ServiceCounts>,
}

/// The same of all instances of one service.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ServiceCounts {
    pub(crate) connections: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) errors: u64,
}

/// The tally of an instance that lives. Dropped, what it has counted stays.
#[derive(Debug)]
pub(crate) struct Seat {
    ledger: Arc<Ledger>,
    key: (String, usize),
    tally: Arc<InstanceTally>,
}

impl Ledger {
    /// The tally of a new listener.
    pub(crate) fn listener(&self) -> Arc<ListenerTally> {
        let tally = Arc::default();
        self.books().listeners.push(Arc::clone(&tally));
        tally
    }

    /// The tally of the worker with this number.
    pub(crate) fn worker(&self, number: usize) -> Arc<WorkerTally> {
        let mut books = self.books();
        while books.workers.len() <= number {
            books.workers.push(Arc::default());
        }
        Arc::clone(&books.workers[number])
    }

    /// The tally of a new instance, which is the one of its service with this number.
    pub(crate) fn seat(self: &Arc<Ledger>, service: &str, number: usize) -> Seat {
        let (key, tally) = ((service.to_owned(), number), Arc::default());
        let mut books = self.books();
        let record = books.instances.entry(key.clone()).or_default();
        record.starts += 1;
        record.living.push(Arc::clone(&tally));
        drop(books);
        Seat { ledger: Arc::clone(self), key, tally }
    }

    /// Says whether the server is up: services have started, and it does not stop.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// True while clients are served.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The sums that matter most.
    pub(crate) fn counts(&self) -> Counts {
        let books = self.books();
        let mut counts = Counts { workers: books.workers.len(), ..Counts::default() };
        for tally in &books.workers {
            let removed = tally.removed.get();
            counts.connections += tally.adopted.get().saturating_sub(removed);
            counts.received += tally.messages_in.get();
            counts.sent += tally.messages_out.get();
        }
        for ((service, _), record) in &books.instances {
            let sum = record.sum();
            let of = counts.services.entry(service.clone()).or_default();
            of.connections += sum.opened.get().saturating_sub(sum.closed.get());
            of.received += sum.messages_in.get();
            of.sent += sum.messages_out.get();
            of.errors += sum.errors.get();
        }
        counts
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing of it is ever half done.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// What all of them have counted.
    pub(super) fn sum(&self) -> InstanceTally {
        let sum = InstanceTally::default();
        sum.overlay(&self.gone);
        for living in &self.living {
            sum.overlay(living);
        }
        sum
    }
}

impl Deref for Seat {
    type Target = Arc<InstanceTally>;

    fn deref(&self) -> &Arc<InstanceTally> {
        &self.tally
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut books = self.ledger.books();
        if let Some(record) = books.instances.get_mut(&self.key) {
            record.living.retain(|living| !Arc::ptr_eq(living, &self.tally));
            record.gone.absorb(&self.tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_has_counted_outlives_it_and_what_it_had_does_not() {
        let ledger = Arc::new(Ledger::default());
        let (old, new) = (ledger.seat("a", 0), ledger.seat("a", 0));
        old.messages_in.add(3);
        old.opened.add(2);
        old.heap.set(500);
        new.messages_in.add(4);
        new.opened.add(1);
        new.heap.set(70);
        let sum = |ledger: &Ledger| ledger.books().instances[&("a".to_owned(), 0)].sum();
        let both = sum(&ledger);
        assert_eq!((both.messages_in.get(), both.opened.get(), both.heap.get()), (7, 3, 570));
        drop(old);
        let one = sum(&ledger);
        assert_eq!((one.messages_in.get(), one.opened.get(), one.heap.get()), (7, 3, 70));
        assert_eq!(one.closed.get(), 2, "nobody is left at one that is gone");
        assert_eq!(ledger.books().instances[&("a".to_owned(), 0)].starts, 2);
    }
}
