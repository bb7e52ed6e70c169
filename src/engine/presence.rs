//! Which connections of a worker are open, and who serves each: one word per slot that every thread may read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use lapps_lua::port::ConnId;

use super::slab::MAX_SLOTS;

const CHUNK: usize = 4096;

/// The open connection in each slot of one worker: whom it is served by, 32 bits, and its generation, 32 bits; 0 where
/// there is none.
///
/// A late answer costs nothing: whoever sees "open" too long is refused by the worker itself.
pub(crate) struct Presence {
    chunks: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

/// The instance that serves a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ServedBy(u32);

impl ServedBy {
    /// The instance of this service in the connection's worker.
    pub(crate) fn service(number: usize) -> ServedBy {
        ServedBy(number as u32)
    }

    /// Nobody that has connections: what a standalone instance is.
    pub(crate) const NONE: ServedBy = ServedBy(u32::MAX);

    /// This dedicated instance.
    pub(crate) fn dedicated(instance: usize) -> ServedBy {
        ServedBy(1 << 31 | instance as u32)
    }
}

impl Presence {
    pub(crate) fn new() -> Presence {
        Presence { chunks: (0..MAX_SLOTS / CHUNK).map(|_| OnceLock::new()).collect() }
    }

    /// Says that `conn` is open, and by whom it is served. For its worker only.
    pub(crate) fn arrive(&self, conn: ConnId, by: ServedBy) {
        let slot = conn.slot() as usize;
        let chunk = self.chunks[slot / CHUNK].get_or_init(|| (0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        chunk[slot % CHUNK].store(word(conn, by), Ordering::Release);
    }

    /// Says that `conn` is not open any more. Any thread may say it; only the first of them hears `true`.
    pub(crate) fn leave(&self, conn: ConnId) -> bool {
        self.word(conn).is_some_and(|word| {
            let open = word.load(Ordering::Relaxed);
            open as u32 == conn.generation()
                && word.compare_exchange(open, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// True while `conn` is open.
    pub(crate) fn has(&self, conn: ConnId) -> bool {
        self.word(conn).is_some_and(|word| word.load(Ordering::Relaxed) as u32 == conn.generation())
    }

    /// True while `conn` is open and served by this instance.
    pub(crate) fn is_served(&self, conn: ConnId, by: ServedBy) -> bool {
        self.word(conn).is_some_and(|open| open.load(Ordering::Relaxed) == word(conn, by))
    }

    /// The word of a connection that can exist: no connection has generation 0.
    fn word(&self, conn: ConnId) -> Option<&AtomicU64> {
        let slot = conn.slot() as usize;
        let chunk = self.chunks[slot / CHUNK].get().filter(|_| conn.generation() != 0)?;
        Some(&chunk[slot % CHUNK])
    }
}

fn word(conn: ConnId, by: ServedBy) -> u64 {
    u64::from(by.0) << 32 | u64::from(conn.generation())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: ServedBy = ServedBy(3);

    #[test]
    fn a_connection_is_here_from_its_arrival_until_somebody_says_that_it_left() {
        let presence = Presence::new();
        let (old, new) = (ConnId::new(0, 70_000, 3), ConnId::new(0, 70_000, 4));
        assert!(!presence.has(old));
        presence.arrive(old, ECHO);
        assert!(presence.has(old) && !presence.has(new));
        assert!(presence.leave(old) && !presence.leave(old));
        presence.arrive(new, ECHO);
        assert!(!presence.leave(old) && presence.has(new));
    }

    #[test]
    fn it_is_known_who_serves_a_connection() {
        let presence = Presence::new();
        let (old, new) = (ConnId::new(0, 5, 3), ConnId::new(0, 5, 4));
        for by in [ServedBy::service(0), ServedBy::service(2), ServedBy::dedicated(0), ServedBy::dedicated(2)]
        {
            presence.arrive(old, by);
            for other in [ServedBy::service(0), ServedBy::service(2), ServedBy::dedicated(0)] {
                assert_eq!(presence.is_served(old, other), other == by);
            }
            assert!(presence.is_served(old, by) && !presence.is_served(new, by));
            assert!(presence.leave(old) && !presence.is_served(old, by));
        }
    }

    #[test]
    fn invented_numbers_are_not_here() {
        let presence = Presence::new();
        presence.arrive(ConnId::new(0, 0, 1), ECHO);
        for conn in [ConnId::new(0, 0, 0), ConnId::new(0, 1, 0), ConnId::new(0, (1 << 24) - 1, 5)] {
            assert!(!presence.has(conn) && !presence.leave(conn) && !presence.is_served(conn, ECHO));
        }
    }
}
