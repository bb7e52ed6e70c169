//! The server's life as all its threads see it: the clock that services read, and whether it stops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Shared by all threads of one server.
pub(crate) struct Life {
    began: Instant,
    stopping: AtomicBool,
}

impl Life {
    /// Begins now.
    pub(crate) fn new() -> Life {
        Life { began: Instant::now(), stopping: AtomicBool::new(false) }
    }

    /// The time since the beginning: the clock of every `Port`.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The moment at which the clock shows `time`.
    pub(crate) fn moment(&self, time: Duration) -> Instant {
        self.began + time
    }

    /// True once the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Says that the server stops.
    pub(crate) fn stop(&self) {
        // Nothing else is published by it: whoever has to act gets a letter.
        self.stopping.store(true, Ordering::Relaxed);
    }
}
