//! A bounded ring between exactly two threads: one producer, one consumer, no lock.
//!
//! The two ends are two types, so that the compiler holds the "single" in both names; a full ring gives the value
//! back. Indices only grow (they wrap at `usize::MAX`, which is harmless because the capacity is a power of two).
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes a ring that holds at least `capacity` values (rounded up to a power of two).
pub(crate) fn ring<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let capacity = capacity.max(2).next_power_of_two();
    let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let shared = Arc::new(Shared {
        head: Line(AtomicUsize::new(0)),
        tail: Line(AtomicUsize::new(0)),
        mask: capacity - 1,
        slots,
    });
    (
        Producer { shared: Arc::clone(&shared), tail: 0, head_seen: 0 },
        Consumer { shared, head: 0, tail_seen: 0 },
    )
}

/// The end that writes.
pub(crate) struct Producer<T: Send> {
    shared: Arc<Shared<T>>,
    /// Always equal to `shared.tail`: only this end moves it.
    tail: usize,
    /// A past value of `shared.head`, so that most pushes do not touch the consumer's cache line.
    head_seen: usize,
}

impl<T: Send> Producer<T> {
    /// Appends `value`, or gives it back when the ring is full.
    pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
        if !self.has_room() {
            return Err(value);
        }
        let slot = &self.shared.slots[self.tail & self.shared.mask];
        // SAFETY: `has_room` says that the consumer is past this slot, and it reads no slot at or beyond `tail`, which
        // only we move: nobody else touches the slot until the store below.
        unsafe { (*slot.get()).write(value) };
        self.tail = self.tail.wrapping_add(1);
        // Release: whoever sees the new tail sees the value in its slot.
        self.shared.tail.0.store(self.tail, Ordering::Release);
        Ok(())
    }

    /// True when the next `push` will succeed. Stays true until then: only this end takes room away.
    pub(crate) fn has_room(&mut self) -> bool {
        if self.tail.wrapping_sub(self.head_seen) <= self.shared.mask {
            return true;
        }
        // Acquire: the consumer has moved the values out of the slots before it stored the head that we see.
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        self.tail.wrapping_sub(self.head_seen) <= self.shared.mask
    }

    /// How many pushes will succeed at least.
    pub(crate) fn room(&mut self) -> usize {
        // Acquire: as in `has_room`.
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        self.shared.mask + 1 - self.tail.wrapping_sub(self.head_seen)
    }
}

/// The end that reads.
pub(crate) struct Consumer<T: Send> {
    shared: Arc<Shared<T>>,
    /// Always equal to `shared.head`: only this end moves it.
    head: usize,
    /// A past value of `shared.tail`.
    tail_seen: usize,
}

impl<T: Send> Consumer<T> {
    /// Takes the oldest value.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let slot = &self.shared.slots[self.head & self.shared.mask];
        // SAFETY: `head` is before `tail`, so the producer has written the slot and will not touch it before it sees
        // the head that we store below; each slot is read once because the head moves on.
        let value = unsafe { (*slot.get()).assume_init_read() };
        self.head = self.head.wrapping_add(1);
        // Release: the value is out of its slot before the producer may see the room.
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(value)
    }

    /// True when there is nothing to take at this moment.
    pub(crate) fn is_empty(&mut self) -> bool {
        if self.head != self.tail_seen {
            return false;
        }
        // Acquire: pairs with the producer's store of the tail.
        self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
        self.head == self.tail_seen
    }
}

/// One cache line (two, for the prefetcher) of its own, so that the two ends do not slow each other down.
#[repr(align(128))]
struct Line(AtomicUsize);

struct Shared<T> {
    /// Index of the next value to read. Written by the consumer only. `tail - head <= capacity`.
    head: Line,
    /// Index of the next slot to write. Written by the producer only.
    tail: Line,
    mask: usize,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: the ends hand values of `T` from one thread to another (so `T: Send`) and never share a reference to one; the
// indices are atomics, and a slot is touched by one end at a time as argued in `push` and `pop`.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; the slots own their values.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let tail = *self.tail.0.get_mut();
        let mut head = *self.head.0.get_mut();
        while head != tail {
            // SAFETY: both ends are gone (we are the last owner), and the slots from head to tail hold values that
            // were never read.
            unsafe { self.slots[head & self.mask].get_mut().assume_init_drop() };
            head = head.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_in_the_order_they_went_in() {
        let (mut tx, mut rx) = ring(4);
        for round in 0..10 {
            for n in 0..4 {
                tx.push(round * 4 + n).unwrap();
            }
            for n in 0..4 {
                assert_eq!(rx.pop(), Some(round * 4 + n));
            }
            assert_eq!(rx.pop(), None);
        }
    }

    #[test]
    fn a_full_ring_gives_the_value_back() {
        let (mut tx, mut rx) = ring(2);
        tx.push("a").unwrap();
        tx.push("b").unwrap();
        assert!(!tx.has_room());
        assert_eq!(tx.push("c"), Err("c"));
        assert_eq!(rx.pop(), Some("a"));
        assert!(tx.has_room());
        tx.push("c").unwrap();
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some("b"), Some("c"), None));
    }

    #[test]
    fn values_left_in_the_ring_are_dropped_once() {
        let value = Arc::new(());
        let (mut tx, mut rx) = ring(8);
        for _ in 0..5 {
            tx.push(Arc::clone(&value)).unwrap();
        }
        drop(rx.pop());
        drop((tx, rx));
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn indices_may_wrap() {
        let (mut tx, mut rx) = ring(2);
        tx.tail = usize::MAX;
        tx.head_seen = usize::MAX;
        rx.head = usize::MAX;
        rx.tail_seen = usize::MAX;
        tx.shared.tail.0.store(usize::MAX, Ordering::Relaxed);
        tx.shared.head.0.store(usize::MAX, Ordering::Relaxed);
        for n in 0..5 {
            tx.push(n).unwrap();
            tx.push(n + 100).unwrap();
            assert!(tx.push(0).is_err());
            assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(n), Some(n + 100), None));
        }
    }

    #[test]
    fn two_threads_see_every_value_once() {
        let count = if cfg!(miri) { 300 } else { 200_000u64 };
        let (mut tx, mut rx) = ring(16);
        let writer = std::thread::spawn(move || {
            for n in 0..count {
                let mut value = Box::new(n);
                while let Err(back) = tx.push(value) {
                    value = back;
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        while expected < count {
            match rx.pop() {
                Some(value) => {
                    assert_eq!(*value, expected);
                    expected += 1;
                }
                None => std::thread::yield_now(),
            }
        }
        writer.join().unwrap();
        assert!(rx.pop().is_none());
    }
}
