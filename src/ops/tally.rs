//! What each thread counts. One thread writes each of these, and none of them shares a cache line with another thread's.

use super::causes::{Causes, Statuses};
use super::counter::{Counter, Gauge};
use super::histogram::Histogram;

/// What a listener counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ListenerTally {
    pub(crate) accepted: Counter,
    /// Turned away: the server's access list.
    pub(crate) denied: Counter,
    /// Turned away: the server is full.
    pub(crate) full: Counter,
    /// Times that nothing was accepted because the process had no descriptor left.
    pub(crate) exhausted: Counter,
}

/// What a worker counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerTally {
    /// Messages of clients, whole and handed to a service.
    pub(crate) messages_in: Counter,
    /// Bytes from sockets, after decryption.
    pub(crate) bytes_in: Counter,
    /// Messages of services to clients of this worker; not those of broadcasts.
    pub(crate) messages_out: Counter,
    /// Bytes that sockets took, before encryption.
    pub(crate) bytes_out: Counter,
    /// Broadcast messages, once for each client that they went to.
    pub(crate) deliveries: Counter,
    /// Bytes that sockets did not take yet.
    pub(crate) queued: Gauge,
    /// Connections that were taken over, and those that are gone.
    pub(crate) adopted: Counter,
    pub(crate) removed: Counter,
    /// Requests by the status of their answer.
    pub(crate) answers: Statuses,
    pub(crate) tls_done: Counter,
    pub(crate) tls_failed: Counter,
    pub(crate) ended: Causes,
    /// Times that a connection was not read for a while: its turn was long enough, its output waits, its instance is busy.
    pub(crate) paused_budget: Counter,
    pub(crate) paused_output: Counter,
    pub(crate) paused_ring: Counter,
}

/// What an instance of a service counts, whichever thread runs it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct InstanceTally {
    pub(crate) messages_in: Counter,
    /// Their payloads.
    pub(crate) bytes_in: Counter,
    pub(crate) messages_out: Counter,
    pub(crate) bytes_out: Counter,
    /// Clients that came and went.
    pub(crate) opened: Counter,
    pub(crate) closed: Counter,
    /// What happened to outgoing connections.
    pub(crate) outgoing: Counter,
    /// Handlers that failed.
    pub(crate) errors: Counter,
    /// How long handlers ran, of some.
    pub(crate) handlers: Histogram,
    pub(crate) heap: Gauge,
    /// Fibers that have begun and not ended; of these one may run, and some be ready.
    pub(crate) fibers: Gauge,
    pub(crate) fibers_running: Gauge,
    pub(crate) fibers_ready: Gauge,
    pub(crate) collections: Counter,
}

impl InstanceTally {
    /// Counts a message that was sent.
    pub(crate) fn count_sent(&self, bytes: usize) {
        self.messages_out.add(1);
        self.bytes_out.add(bytes as u64);
    }

    /// Fibers that run, are ready, and are there at all. How many there are is told after a turn of the scheduler, that one of
    /// them runs before.
    fn fibers_by_state(&self) -> [u64; 3] {
        let running = self.fibers_running.get();
        // The one that runs was ready when they were counted.
        [running, self.fibers_ready.get().saturating_sub(running), self.fibers.get()]
    }

    /// Adds what an instance has counted that is gone.
    pub(super) fn absorb(&self, gone: &InstanceTally) {
        for (sum, more) in self.counters().into_iter().zip(gone.counters()) {
            sum.add(more.get());
        }
        // Nobody is connected to it any more, whether it has heard of all ends or not.
        self.opened.add(gone.opened.get());
        self.closed.add(gone.opened.get());
        self.handlers.absorb(&gone.handlers);
    }

    /// Adds what an instance has at this moment.
    pub(super) fn overlay(&self, living: &InstanceTally) {
        for (sum, more) in self.counters().into_iter().zip(living.counters()) {
            sum.add(more.get());
        }
        // In this order: who comes and goes meanwhile has come at least.
        self.closed.add(living.closed.get());
        self.opened.add(living.opened.get());
        self.handlers.absorb(&living.handlers);
        self.heap.shift(0, living.heap.get());
        let fibers = living.fibers_by_state();
        for (sum, more) in [&self.fibers_running, &self.fibers_ready, &self.fibers].into_iter().zip(fibers) {
            sum.shift(0, more);
        }
    }

    /// Those that are simply added up.
    fn counters(&self) -> [&Counter; 7] {
        let InstanceTally {
            messages_in,
            bytes_in,
            messages_out,
            bytes_out,
            outgoing,
            errors,
            collections,
            ..
        } = self;
        [messages_in, bytes_in, messages_out, bytes_out, outgoing, errors, collections]
    }
}
