//! Numbers that one thread writes and every thread may read.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only grows. One thread writes it at a time, so it costs that thread no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

/// A quantity of the moment, written by one thread at a time.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Counter {
    /// Adds; for the one thread that writes.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Lets it be what has been counted elsewhere; for the one thread that writes.
    #[inline]
    pub(crate) fn reach(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    /// What it is now, a little earlier or later.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets it; for the one thread that writes.
    #[inline]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Replaces the part `old` of it by `new`; for the one thread that writes.
    #[inline]
    pub(crate) fn shift(&self, old: u64, new: u64) {
        self.set(self.get().wrapping_sub(old).wrapping_add(new));
    }

    /// What it is now, a little earlier or later.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
