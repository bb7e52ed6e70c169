//! Memory that is given back when a worker has become quiet, or has lost most of its connections.

use super::Worker;
use crate::sys::allocator;

/// Ticks after which a worker that had something to do looks whether it is quiet: a second.
const WINDOW: u64 = 10;

/// A worker that has had no more than so many events in a window is quiet: it has time, and will not soon take again what
/// it gives back. After fewer events, and the end of fewer connections, there is not enough to be given back: looking for it
/// takes time, too.
const FEW: usize = 64;

/// Fewer connections than this are not worth the time while there is something else to do.
const MANY: usize = 1024;

/// What a worker has had to do since it gave memory back.
pub(super) struct Quiet {
    /// The tick at which to look; [`u64::MAX`] while nothing has happened.
    due: u64,
    /// Events in this window.
    events: usize,
    /// The most connections that there were.
    most: usize,
    /// There was much to do.
    was_busy: bool,
}

impl Quiet {
    pub(super) fn new() -> Quiet {
        Quiet { due: u64::MAX, events: 0, most: 0, was_busy: false }
    }

    /// The tick at which to look.
    pub(super) fn next(&self) -> Option<u64> {
        Some(self.due).filter(|due| *due != u64::MAX)
    }

    /// This turn, at tick `now`, had so many events. True: it is time to give memory back.
    fn note(&mut self, now: u64, events: usize, connections: usize) -> bool {
        self.events += events;
        self.most = self.most.max(connections);
        if self.due == u64::MAX {
            if events > 0 {
                self.due = now + WINDOW;
            }
            return false;
        }
        if now < self.due {
            return false;
        }
        let quiet = self.events <= FEW;
        self.was_busy |= !quiet;
        let gone = self.most - connections;
        let emptied = self.most >= MANY && gone >= self.most.div_ceil(2);
        let is_time = emptied || (quiet && (self.was_busy || gone >= FEW));
        self.events = 0;
        self.due = if quiet { u64::MAX } else { now + WINDOW };
        if is_time {
            self.most = connections;
            self.was_busy = false;
        }
        is_time
    }
}

impl Worker {
    /// Gives memory back if the time has come; this turn had so many events.
    pub(super) fn rest(&mut self, events: usize) {
        if self.quiet.note(self.now, events, self.conns.len()) {
            let chunks = self.conns.rest();
            self.outbox.rest(&chunks);
            self.ready.shrink_to_fit();
            self.wanted.shrink_to_fit();
            allocator::give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_once_when_nothing_more_happens() {
        let mut quiet = Quiet::new();
        assert!(!quiet.note(1000, 0, 0));
        assert_eq!(quiet.next(), None);
        assert!(!quiet.note(1000, 500, 5));
        assert_eq!(quiet.next(), Some(1000 + WINDOW));
        assert!(!quiet.note(1000 + WINDOW - 1, 0, 5));
        assert!(!quiet.note(1000 + WINDOW, 0, 5), "there was much to do");
        assert!(quiet.note(1000 + 2 * WINDOW, FEW, 5));
        assert_eq!(quiet.next(), None);
        assert!(!quiet.note(1000 + 9 * WINDOW, 0, 5));
    }

    #[test]
    fn a_worker_that_always_has_little_to_do_gives_back_only_what_has_gathered() {
        let mut quiet = Quiet::new();
        let mut at = 0;
        let mut little = |connections| {
            // It begins a window, and ends it.
            at += 2 * WINDOW;
            quiet.note(at, 1, connections);
            quiet.note(at + WINDOW, 1, connections)
        };
        assert!(!little(500) && !little(501) && !little(500));
        assert!(!little(501 - FEW + 1) && little(501 - FEW), "connections have gone, few at a time");
        assert!(!little(501 - FEW));
    }

    #[test]
    fn a_busy_worker_gives_back_what_half_of_its_connections_had() {
        let mut quiet = Quiet::new();
        let mut at = 0;
        let mut busy = |connections| {
            at += WINDOW;
            quiet.note(at, 1000, connections)
        };
        assert!(!busy(2 * MANY) && !busy(2 * MANY) && !busy(MANY + 1));
        assert!(busy(MANY));
        assert!(!busy(MANY), "only once");
        assert!(busy(MANY / 2) && !busy(0), "few are not worth it");
    }
}
