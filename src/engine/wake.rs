//! Wakes a thread that sleeps, and costs one fence when it does not.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;

/// How one thread is told that there is something for it. Shared by all who write to that thread.
///
/// The handshake is Dekker's: a writer publishes, fences, looks at `asleep`; the sleeper sets `asleep`, fences, looks
/// for work. At least one of them sees the other, so no wake-up is lost, and a thread that is awake is never signalled.
#[derive(Debug)]
pub(crate) struct Wake {
    asleep: AtomicBool,
    how: How,
}

#[derive(Debug)]
enum How {
    Poll(mio::Waker),
    Thread(OnceLock<Thread>),
}

impl Wake {
    /// For a thread that sleeps in a poller.
    pub(crate) fn poll(waker: mio::Waker) -> Wake {
        Wake { asleep: AtomicBool::new(false), how: How::Poll(waker) }
    }

    /// For a thread that parks; it names itself by [`Wake::adopt`].
    pub(crate) fn thread() -> Wake {
        Wake { asleep: AtomicBool::new(false), how: How::Thread(OnceLock::new()) }
    }

    /// Says that the calling thread is the one that parks.
    pub(crate) fn adopt(&self) {
        if let How::Thread(thread) = &self.how {
            let _ = thread.set(std::thread::current());
        }
    }

    /// To be called after something was published for the thread.
    pub(crate) fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            match &self.how {
                // Fails only when the poller is gone, and then nobody sleeps there.
                How::Poll(waker) => drop(waker.wake()),
                How::Thread(thread) => {
                    if let Some(thread) = thread.get() {
                        thread.unpark();
                    }
                }
            }
        }
    }

    /// To be called by the thread before it looks for work a last time and then sleeps.
    pub(crate) fn prepare(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// To be called by the thread when it works again.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}
