//! How another thread tells an instance that something has come for which one of its fibers waits.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bell of one instance. Whoever has what a fiber waits for keeps the fiber's ticket, and rings with it.
///
/// No ring is lost: the host looks at [`Bell::has_rung`] after it has said that it is about to sleep and before it does, and
/// the callback, which is called after the flag has been set, wakes a host that has said so.
pub struct Bell {
    tickets: Mutex<Vec<u64>>,
    /// There are tickets. Changed under the lock only, so it is exact; read without it.
    rung: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Bell {
    /// A bell whose instance lives on a thread that `wake` wakes if it sleeps. `wake` is called after every ring, on the
    /// thread that rings, without a lock.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Bell> {
        Arc::new(Bell { tickets: Mutex::default(), rung: AtomicBool::new(false), wake: Box::new(wake) })
    }

    /// Tells the instance that there is something for the fiber with this ticket. A ticket that nobody has any more is
    /// ignored.
    pub fn ring(&self, ticket: u64) {
        let mut tickets = self.lock();
        tickets.push(ticket);
        self.rung.store(true, Ordering::Relaxed);
        drop(tickets);
        (self.wake)();
    }

    /// True when somebody has rung since the tickets were last taken.
    #[must_use]
    pub fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// The tickets since this was last asked, in the order of the rings.
    pub fn take(&self) -> Vec<u64> {
        let mut tickets = self.lock();
        self.rung.store(false, Ordering::Relaxed);
        std::mem::take(&mut *tickets)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("rung", &self.has_rung()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn tickets_come_once_and_in_order() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let bell = Bell::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        assert!(!bell.has_rung());
        assert_eq!(bell.take(), [0; 0]);
        bell.ring(3);
        bell.ring(1);
        assert!(bell.has_rung());
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(bell.take(), [3, 1]);
        assert!(!bell.has_rung());
        assert_eq!(bell.take(), [0; 0]);
    }

    #[test]
    fn the_flag_is_set_before_the_wake_up() {
        let slot: Arc<Mutex<Option<Arc<Bell>>>> = Arc::default();
        let seen = Arc::new(AtomicBool::new(false));
        let (own, noted) = (Arc::clone(&slot), Arc::clone(&seen));
        let bell = Bell::new(move || {
            let rung = own.lock().unwrap().as_ref().unwrap().has_rung();
            noted.store(rung, Ordering::Relaxed);
        });
        *slot.lock().unwrap() = Some(Arc::clone(&bell));
        bell.ring(1);
        assert!(seen.load(Ordering::Relaxed));
    }
}
