//! Which connections of a worker are open: one word per slot that every thread may read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use lapps_lua::port::ConnId;

use super::slab::MAX_SLOTS;

const CHUNK: usize = 4096;

/// The generation of the open connection in each slot of one worker, 0 where there is none.
///
/// A late answer costs nothing: whoever sees "open" too long is refused by the worker itself.
pub(crate) struct Presence {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl Presence {
    pub(crate) fn new() -> Presence {
        Presence { chunks: (0..MAX_SLOTS / CHUNK).map(|_| OnceLock::new()).collect() }
    }

    /// Says that `conn` is open. For its worker only.
    pub(crate) fn arrive(&self, conn: ConnId) {
        let slot = conn.slot() as usize;
        let chunk = self.chunks[slot / CHUNK].get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(0)).collect());
        chunk[slot % CHUNK].store(conn.generation(), Ordering::Release);
    }

    /// Says that `conn` is not open any more. Any thread may say it; only the first of them hears `true`.
    pub(crate) fn leave(&self, conn: ConnId) -> bool {
        self.word(conn).is_some_and(|word| {
            word.compare_exchange(conn.generation(), 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// True while `conn` is open.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.word(conn).is_some_and(|word| word.load(Ordering::Relaxed) == conn.generation())
    }

    /// The word of a connection that can exist: no connection has generation 0.
    fn word(&self, conn: ConnId) -> Option<&AtomicU32> {
        let slot = conn.slot() as usize;
        let chunk = self.chunks[slot / CHUNK].get().filter(|_| conn.generation() != 0)?;
        Some(&chunk[slot % CHUNK])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_here_from_its_arrival_until_somebody_says_that_it_left() {
        let presence = Presence::new();
        let (old, new) = (ConnId::new(0, 70_000, 3), ConnId::new(0, 70_000, 4));
        assert!(!presence.has(old));
        presence.arrive(old);
        assert!(presence.has(old) && !presence.has(new));
        assert!(presence.leave(old) && !presence.leave(old));
        presence.arrive(new);
        assert!(!presence.leave(old) && presence.has(new));
    }

    #[test]
    fn invented_numbers_are_not_here() {
        let presence = Presence::new();
        presence.arrive(ConnId::new(0, 0, 1));
        for conn in [ConnId::new(0, 0, 0), ConnId::new(0, 1, 0), ConnId::new(0, (1 << 24) - 1, 5)] {
            assert!(!presence.has(conn) && !presence.leave(conn));
        }
    }
}
