//! Wakes a thread that sleeps, and costs one fence when it does not.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::thread::Thread;

use crate::sys::poller::Waker;

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
    Poll(Waker),
    /// It parks, and, once there is a waker, sleeps in a poller: in which of them, only the thread itself knows.
    Thread(OnceLock<Thread>, OnceLock<mio::Waker>),
}

impl Wake {
    /// For a thread that sleeps in a poller.
    pub(crate) fn poll(waker: Waker) -> Wake {
        Wake { asleep: AtomicBool::new(false), how: How::Poll(waker) }
    }

    /// For a thread that parks; it names itself by [`Wake::adopt`].
    pub(crate) fn thread() -> Wake {
        Wake { asleep: AtomicBool::new(false), how: How::Thread(OnceLock::new(), OnceLock::new()) }
    }

    /// Says that the calling thread is the one that parks.
    pub(crate) fn adopt(&self) {
        if let How::Thread(thread, _) = &self.how {
            let _ = thread.set(std::thread::current());
        }
    }

    /// To be called by a thread that parks before it sleeps in a poller for the first time. From then on it may sleep in
    /// either way.
    pub(crate) fn poll_from_now_on(&self, waker: mio::Waker) {
        if let How::Thread(_, place) = &self.how {
            let _ = place.set(waker);
        }
    }

    /// To be called after something was published for the thread.
    pub(crate) fn notify(&self) {
        fence(Ordering::SeqCst);
        // Acquires what `prepare` releases: the waker of a thread that sleeps in a poller for the first time.
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Acquire) {
            match &self.how {
                How::Poll(waker) => waker.wake(),
                How::Thread(thread, waker) => {
                    if let Some(thread) = thread.get() {
                        thread.unpark();
                    }
                    // A wake-up for the way in which it does not sleep makes its next sleep of that kind a short one.
                    if let Some(waker) = waker.get() {
                        let _ = waker.wake();
                    }
                }
            }
        }
    }

    /// To be called by the thread before it looks for work a last time and then sleeps.
    pub(crate) fn prepare(&self) {
        // The fence behind it orders it against the look for work; Release is for the waker, see `notify`.
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// To be called by the thread when it works again.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    /// A thread that parks at first, and from the middle on sleeps in a poller and parks in turn.
    #[test]
    fn no_wake_up_is_lost_where_a_thread_changes_the_way_in_which_it_sleeps() {
        let wake = Arc::new(Wake::thread());
        wake.adopt();
        let (asks, rounds) = mpsc::channel::<u32>();
        let answered = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let writer = std::thread::spawn({
            let (wake, answered) = (Arc::clone(&wake), Arc::clone(&answered));
            move || {
                for round in rounds {
                    answered.store(round, Ordering::Relaxed);
                    wake.notify();
                }
            }
        });
        let mut poll = mio::Poll::new().unwrap();
        let mut events = mio::Events::with_capacity(8);
        let count = 60_000;
        for round in 1..=count {
            if round == count / 3 {
                let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
                wake.poll_from_now_on(waker);
            }
            asks.send(round).unwrap();
            // Ends only if no wake-up was lost.
            loop {
                wake.prepare();
                let there = answered.load(Ordering::Relaxed) == round;
                if !there && (round < count / 3 || round % 4 == 0) {
                    std::thread::park();
                } else if !there {
                    poll.poll(&mut events, None).unwrap();
                }
                wake.awake();
                if there {
                    break;
                }
            }
        }
        drop(asks);
        writer.join().unwrap();
    }
}
