//! A thread's mailbox: one bounded ring per sender, one wake-up for all of them, and a wake-up back when there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};

use super::spsc::{self, Bounds, Bytes, Consumer, Payload, Producer};
use super::wake::Wake;
use crate::config::RING_BYTES;

/// Letters that one ring holds. A ring is full, too, when its letters weigh more than [`RING_BYTES`], with their payloads;
/// the letter that goes over that is still taken.
pub(crate) const RING_LETTERS: usize = 1024;

/// How many bytes a letter owns besides itself and its payload.
pub(crate) trait Weigh {
    fn weight(&self) -> usize;
}

/// Makes a line on which the thread that `sender` wakes writes to the one that `reader` wakes. `area` is for small payloads:
/// see [`Bounds`].
pub(crate) fn line<T: Send + Weigh>(
    reader: &Arc<Wake>,
    sender: &Arc<Wake>,
    area: usize,
) -> (Postbox<T>, Inlet<T>) {
    let bounds = Bounds { records: RING_LETTERS, weight: RING_BYTES as usize, area };
    let (producer, consumer) = spsc::ring(bounds);
    let back = Arc::new(Back::default());
    let inlet = Inlet { ring: consumer, back: Arc::clone(&back), wake: Arc::clone(sender) };
    let (reader, own) = (Arc::clone(reader), Arc::clone(sender));
    (Postbox { ring: producer, back, fresh: false, reader, own }, inlet)
}

/// The reading end: all that other threads may say to this one.
pub(crate) struct Mailbox<T: Send + Weigh> {
    /// By number; `None` where a sender was detached.
    senders: Vec<Option<Inlet<T>>>,
    wake: Arc<Wake>,
}

/// The reading end of one line. Dropped, it tells the sender that nobody reads any more.
pub(crate) struct Inlet<T: Send> {
    ring: Consumer<T>,
    back: Arc<Back>,
    /// The sender's own wake-up.
    wake: Arc<Wake>,
}

/// What the reader tells a sender.
#[derive(Default)]
struct Back {
    /// The sender found no room and wants to be woken when there is some.
    starving: AtomicBool,
    /// Nobody will ever take anything out again.
    gone: AtomicBool,
}

impl<T: Send + Weigh> Mailbox<T> {
    /// A mailbox without senders.
    pub(crate) fn new(wake: Arc<Wake>) -> Mailbox<T> {
        Mailbox { senders: Vec::new(), wake }
    }

    /// Adds a sender of letters that have mostly no payload, which `wake` wakes.
    pub(crate) fn sender(&mut self, wake: &Arc<Wake>) -> Postbox<T> {
        let (postbox, inlet) = line(&self.wake, wake, 0);
        self.attach(inlet);
        postbox
    }

    /// Adds a sender by a line that was made for this mailbox, and tells its number.
    pub(crate) fn attach(&mut self, inlet: Inlet<T>) -> usize {
        let number = self.senders.iter().position(Option::is_none).unwrap_or(self.senders.len());
        if number == self.senders.len() {
            self.senders.push(None);
        }
        self.senders[number] = Some(inlet);
        number
    }

    /// Removes a sender with what it has written and nobody has taken. Its number goes to the next one that comes.
    pub(crate) fn detach(&mut self, sender: usize) {
        self.senders[sender] = None;
    }

    /// One more than the highest number of a sender.
    pub(crate) fn senders(&self) -> usize {
        self.senders.len()
    }

    /// Takes the next letter of one sender; its payload, if it has one, is dropped.
    pub(crate) fn take(&mut self, sender: usize) -> Option<T> {
        self.senders[sender].as_mut()?.ring.pop()
    }

    /// The next letter of one sender, with its payload.
    pub(crate) fn front(&mut self, sender: usize) -> Option<(&mut T, Bytes<'_>)> {
        self.senders[sender].as_mut()?.ring.front()
    }

    /// How many letters of one sender are there.
    pub(crate) fn count(&mut self, sender: usize) -> usize {
        self.senders[sender].as_mut().map_or(0, |sender| sender.ring.count())
    }

    /// The `nth` of the letters that were counted, with its payload. It stays until it is taken, and counts for the ring as
    /// long.
    pub(crate) fn get(&self, sender: usize, nth: usize) -> Option<(&T, &[u8])> {
        self.senders[sender].as_ref()?.ring.get(nth)
    }

    /// To be called after a batch was taken from `sender`: wakes it if it waits for room.
    pub(crate) fn settle(&mut self, sender: usize) {
        if let Some(sender) = &self.senders[sender] {
            sender.settle();
        }
    }

    /// True when no sender has anything for us at this moment.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.senders.iter_mut().flatten().all(|sender| sender.ring.is_empty())
    }

    /// Parks until there is a letter, or the moment has come, or somebody has woken the thread after he made `has_news` true;
    /// may return without any. For a thread that parks.
    pub(crate) fn sleep(&mut self, until: Option<Instant>, has_news: impl Fn() -> bool) {
        let wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        if wait == Some(Duration::ZERO) {
            return;
        }
        self.wake.prepare();
        if self.is_empty() && !has_news() {
            match wait {
                Some(wait) => std::thread::park_timeout(wait),
                None => std::thread::park(),
            }
        }
        self.wake.awake();
    }

    /// The wake-up of this thread.
    pub(crate) fn wake(&self) -> &Arc<Wake> {
        &self.wake
    }
}

impl<T: Send> Inlet<T> {
    /// Wakes the sender if it waits for room.
    fn settle(&self) {
        // Dekker with `Postbox::starve`: either we see the flag or the sender sees the room.
        fence(Ordering::SeqCst);
        if self.back.starving.load(Ordering::Relaxed) && self.back.starving.swap(false, Ordering::Relaxed) {
            self.wake.notify();
        }
    }
}

impl<T: Send> Drop for Inlet<T> {
    fn drop(&mut self) {
        self.back.gone.store(true, Ordering::Relaxed);
        self.settle();
    }
}

/// The writing end of one sender.
pub(crate) struct Postbox<T: Send + Weigh> {
    ring: Producer<T>,
    back: Arc<Back>,
    /// Letters were put in since the reader was last notified.
    fresh: bool,
    reader: Arc<Wake>,
    own: Arc<Wake>,
}

impl<T: Send + Weigh> Postbox<T> {
    /// Puts a letter in, or gives it back when this sender's ring is full. Nobody is woken: call [`Postbox::notify`]
    /// after the last letter of a batch.
    pub(crate) fn put(&mut self, letter: T) -> Result<(), T> {
        self.put_with(letter, Payload::NONE)
    }

    /// Like [`Postbox::put`], with a payload.
    #[inline]
    pub(crate) fn put_with(&mut self, letter: T, payload: Payload<'_>) -> Result<(), T> {
        let weight = letter.weight();
        self.ring.push(letter, weight, payload)?;
        self.fresh = true;
        Ok(())
    }

    /// True when the next `put` will succeed.
    pub(crate) fn has_room(&mut self) -> bool {
        self.ring.has_room()
    }

    /// Asks to be woken when there is room; false if there is room already.
    pub(crate) fn starve(&mut self) -> bool {
        self.back.starving.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.has_room() {
            self.back.starving.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Wakes the reader if it sleeps and there is something new for it.
    pub(crate) fn notify(&mut self) {
        if self.fresh {
            self.fresh = false;
            self.ring.look();
            self.reader.notify();
        }
    }

    /// Puts a letter in and wakes the reader; waits while the ring is full, and drops the letter if the reader is gone.
    /// Only for threads that park, and only towards a reader that never waits for the caller: an instance may wait for a
    /// worker, a worker waits for nobody.
    pub(crate) fn send(&mut self, letter: T) {
        self.wait_for_room();
        // Without room there is no reader.
        let _ = self.put(letter);
        self.notify();
    }

    /// Wakes the reader and waits until there is room, or the reader is gone. As for [`Postbox::send`].
    pub(crate) fn wait_for_room(&mut self) {
        while !self.has_room() {
            self.reader.notify();
            self.own.prepare();
            let starves = self.starve();
            let gone = self.back.gone.load(Ordering::Relaxed);
            if starves && !gone {
                std::thread::park();
            }
            self.own.awake();
            if gone {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for u32 {
        fn weight(&self) -> usize {
            0
        }
    }

    fn mailbox<T: Send + Weigh>() -> Mailbox<T> {
        Mailbox::new(Arc::new(Wake::thread()))
    }

    #[test]
    fn each_sender_has_its_own_bound() {
        let mut mailbox = mailbox();
        let wake = Arc::new(Wake::thread());
        let mut a = mailbox.sender(&wake);
        let mut b = mailbox.sender(&wake);
        for n in 0..RING_LETTERS as u32 {
            a.put(n).unwrap();
        }
        assert_eq!(a.put(7), Err(7));
        b.put(4).unwrap();
        assert!(!mailbox.is_empty());
        assert!(!a.has_room() && b.has_room());
        assert_eq!((mailbox.take(0), mailbox.take(1), mailbox.take(1)), (Some(0), Some(4), None));
        assert!(a.has_room());
    }

    #[test]
    fn bytes_count_too_but_one_large_letter_always_goes() {
        let mut mailbox = mailbox();
        let mut sender = mailbox.sender(&Arc::new(Wake::thread()));
        let large = vec![0; 2 * RING_BYTES as usize];
        sender.put_with(1, Payload::Copied([&large, &[]])).unwrap();
        assert!(sender.put(2).is_err());
        // It is there as long as it is read.
        assert_eq!(mailbox.count(0), 1);
        assert_eq!(mailbox.get(0, 0), Some((&1, &large[..])));
        assert!(sender.put(2).is_err());
        mailbox.take(0).unwrap();
        sender.put(2).unwrap();
    }

    #[test]
    fn who_waits_for_room_goes_on_when_the_reader_is_gone() {
        let mut mailbox = mailbox();
        let wake = Arc::new(Wake::thread());
        let mut sender = mailbox.sender(&wake);
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            wake.adopt();
            for n in 0..2 * RING_LETTERS as u32 {
                sender.send(n);
            }
            let _ = done.send(());
        });
        while !mailbox.senders[0].as_ref().unwrap().back.starving.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        drop(mailbox);
        is_done.recv_timeout(std::time::Duration::from_secs(10)).expect("it waits for nobody");
    }

    #[test]
    fn a_sender_comes_with_its_line_and_its_number_is_used_again_when_it_has_gone() {
        let mut mailbox = mailbox();
        let wake = Arc::new(Wake::thread());
        let _first = mailbox.sender(&wake);
        let (mut second, inlet) = line(mailbox.wake(), &wake, 0);
        second.put(2).unwrap();
        assert!(mailbox.is_empty(), "it is not attached");
        assert_eq!(mailbox.attach(inlet), 1);
        assert!(!mailbox.is_empty());
        second.put(3).unwrap();
        assert_eq!(mailbox.take(1), Some(2));
        mailbox.detach(1);
        assert!(mailbox.is_empty() && mailbox.take(1).is_none());
        // Nobody reads, so nobody waits.
        for n in 0..2 * RING_LETTERS as u32 {
            second.send(n);
        }
        assert_eq!(mailbox.attach(line(mailbox.wake(), &wake, 0).1), 1);
    }

    #[test]
    fn no_ring_is_lost() {
        let mut mailbox = mailbox::<u32>();
        let wake = Arc::clone(mailbox.wake());
        let bell = lapps_lua::bell::Bell::new(move || wake.notify());
        let (asks, rounds) = std::sync::mpsc::channel();
        let ringer = std::thread::spawn({
            let bell = Arc::clone(&bell);
            move || rounds.into_iter().for_each(|round| bell.ring(round))
        });
        mailbox.wake().adopt();
        for round in 0..50_000 {
            asks.send(round).unwrap();
            let mut got = Vec::new();
            while got.is_empty() {
                // Ends only if no ring was lost.
                mailbox.sleep(None, || bell.has_rung());
                got = bell.take();
            }
            assert_eq!(got, [round]);
        }
        drop(asks);
        ringer.join().unwrap();
    }

    #[test]
    fn no_wake_up_is_lost_in_either_direction() {
        let mut mailbox = mailbox::<u32>();
        let wake = Arc::new(Wake::thread());
        let mut sender = mailbox.sender(&wake);
        let count = 50_000;
        let reader = std::thread::spawn(move || {
            mailbox.wake().adopt();
            let mut expected = 0;
            while expected < count {
                while let Some(letter) = mailbox.take(0) {
                    assert_eq!(letter, expected);
                    expected += 1;
                }
                mailbox.settle(0);
                mailbox.wake().prepare();
                if mailbox.is_empty() && expected < count {
                    std::thread::park();
                }
                mailbox.wake().awake();
            }
        });
        wake.adopt();
        for n in 0..count {
            sender.send(n);
        }
        // Ends only if no wake-up was lost.
        reader.join().unwrap();
    }
}
