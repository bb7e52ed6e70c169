//! A bounded ring of records between exactly two threads: one producer, one consumer, no lock.
//!
//! A record is a value and a payload of any length. A small payload is copied into the ring's own memory, the *area*, and
//! read in place; of a larger one the ring keeps the allocation. The two ends are two types, so that the compiler holds
//! the "single" in both names; a full ring gives the value back. Indices only grow (they wrap at `usize::MAX`, which is
//! harmless because the capacities are powers of two).
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The largest payload that is copied into the area. Beyond that an allocation costs little beside the copy, and can be
/// handed on.
pub(crate) const SMALL: usize = 4 * 1024;

/// How much a ring holds.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Records, at least 2; rounded up to a power of two.
    pub(crate) records: usize,
    /// What they weigh together: with so much the ring is full; the record that goes over it is still taken.
    pub(crate) weight: usize,
    /// Bytes of the area: none, or a power of two up to 2 GiB. A payload that does not fit into what is free of it is
    /// allocated.
    pub(crate) area: usize,
}

/// The payload of a record on its way in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload<'a> {
    /// These bytes, one part after the other, which are copied.
    Copied([&'a [u8]; 2]),
    /// An allocation that the reader may take: what is in it from this byte on.
    Owned(Vec<u8>, usize),
}

impl Payload<'_> {
    /// No byte.
    pub(crate) const NONE: Self = Payload::Copied([&[], &[]]);
}

/// The payload of the oldest record.
pub(crate) enum Bytes<'a> {
    /// It lies in the area.
    Here(&'a [u8]),
    /// It may be taken: what is in this from that byte on.
    Owned(&'a mut Vec<u8>, usize),
}

/// Makes a ring.
pub(crate) fn ring<T: Send>(bounds: Bounds) -> (Producer<T>, Consumer<T>) {
    let records = bounds.records.max(2).next_power_of_two();
    assert!(bounds.area == 0 || (bounds.area.is_power_of_two() && bounds.area <= 1 << 31));
    let shared = Arc::new(Shared {
        head: Line(AtomicUsize::new(0)),
        tail: Line(AtomicUsize::new(0)),
        mask: records - 1,
        slots: (0..records).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        area: Box::new_uninit_slice(bounds.area),
    });
    let producer = Producer {
        shared: Arc::clone(&shared),
        tail: 0,
        head_seen: 0,
        marks: vec![Mark::default(); records].into(),
        begin: Mark::default(),
        end: Mark::default(),
        weight: bounds.weight,
    };
    (producer, Consumer { shared, head: 0, tail_seen: 0 })
}

/// The end that writes.
pub(crate) struct Producer<T: Send> {
    shared: Arc<Shared<T>>,
    /// Always equal to `shared.tail`: only this end moves it.
    tail: usize,
    /// A past value of `shared.head`, so that most pushes do not touch the consumer's cache line.
    head_seen: usize,
    /// By slot: where the record in it begins. So the head alone says what is free.
    marks: Box<[Mark]>,
    /// Where the first record begins that the consumer may still read, by what was seen of the head.
    begin: Mark,
    end: Mark,
    /// With so much the ring is full.
    weight: usize,
}

/// What was put in since the beginning.
#[derive(Clone, Copy, Default)]
struct Mark {
    weight: usize,
    /// Bytes of the area, with those that were skipped because a payload lies in one piece.
    area: usize,
}

impl<T: Send> Producer<T> {
    /// Appends a record, or gives its value back when the ring is full. `extra` is what the value weighs beside the payload.
    #[inline]
    pub(crate) fn push(&mut self, value: T, extra: usize, payload: Payload<'_>) -> Result<(), T> {
        if !self.has_room() {
            return Err(value);
        }
        let payload = match payload {
            Payload::Copied([first, second]) => self.keep(first, second),
            Payload::Owned(bytes, from) => Kept::Owned(bytes, from),
        };
        let here = if let Kept::Here { len, .. } = payload { len as usize } else { 0 };
        let Mark { weight, area } = self.end;
        self.marks[self.tail & self.shared.mask] = Mark { weight, area: area.wrapping_sub(here) };
        self.end.weight = weight.wrapping_add(extra + payload.weight());
        let slot = &self.shared.slots[self.tail & self.shared.mask];
        // SAFETY: `has_room` says that the consumer is past this slot, and it reads no slot at or beyond `tail`, which
        // only we move: nobody else touches the slot until the store below.
        unsafe { (*slot.get()).write(Record { value, payload }) };
        self.tail = self.tail.wrapping_add(1);
        // Release: whoever sees the new tail sees the record in its slot, and its payload in the area.
        self.shared.tail.0.store(self.tail, Ordering::Release);
        Ok(())
    }

    /// True when the next `push` will succeed. Stays true until then: only this end takes room away.
    #[inline]
    pub(crate) fn has_room(&mut self) -> bool {
        self.knows_room() || {
            self.look();
            self.knows_room()
        }
    }

    /// Looks how far the consumer is. When nothing is left, the area begins anew, where the caches know it.
    pub(crate) fn look(&mut self) {
        // Acquire: the consumer is done with the records, and their payloads, before it stores the head that we see.
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        self.begin = if self.head_seen == self.tail {
            let area = self.shared.area.len().max(1);
            self.end.area = self.end.area.wrapping_add(area - 1) & !(area - 1);
            self.end
        } else {
            self.marks[self.head_seen & self.shared.mask]
        };
    }

    fn knows_room(&self) -> bool {
        self.tail.wrapping_sub(self.head_seen) <= self.shared.mask
            && self.end.weight.wrapping_sub(self.begin.weight) < self.weight
    }

    /// Copies a payload into the area, or, if it is large or does not fit, into an allocation.
    fn keep(&mut self, first: &[u8], second: &[u8]) -> Kept {
        let len = first.len() + second.len();
        if len == 0 {
            return Kept::Here { at: 0, len: 0 };
        }
        if len <= SMALL.min(self.shared.area.len()) {
            let place = self.place(len).or_else(|| {
                self.look();
                self.place(len)
            });
            if let Some(place) = place {
                self.end.area = place.wrapping_add(len);
                let at = place & (self.shared.area.len() - 1);
                let to: *mut u8 = UnsafeCell::raw_get(self.shared.area[at..at + len].as_ptr().cast());
                // SAFETY: `to` is valid for `len` bytes, which the slicing has checked. Nobody else touches these: they
                // are beyond the payloads of all records from the consumer's head on (`place`), and no record at or
                // after `tail` is read. The parts are borrowed from elsewhere, since the area is never lent mutably.
                unsafe {
                    to.copy_from_nonoverlapping(first.as_ptr(), first.len());
                    to.add(first.len()).copy_from_nonoverlapping(second.as_ptr(), second.len());
                }
                return Kept::Here { at: at as u32, len: len as u32 };
            }
        }
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(second);
        Kept::Owned(bytes, 0)
    }

    /// Where so many bytes can go in one piece, counted as `end.area` is; `None` if they would reach what is still read.
    fn place(&self, len: usize) -> Option<usize> {
        let area = self.shared.area.len();
        let offset = self.end.area & (area - 1);
        let skipped = if offset + len <= area { 0 } else { area - offset };
        let used = self.end.area.wrapping_sub(self.begin.area);
        (used + skipped + len <= area).then(|| self.end.area.wrapping_add(skipped))
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
    /// How many records are there at this moment.
    pub(crate) fn count(&mut self) -> usize {
        self.look();
        self.tail_seen.wrapping_sub(self.head)
    }

    /// The `nth` of those that were counted (0 is the oldest), with its payload. It stays where it is until it is popped.
    pub(crate) fn get(&self, nth: usize) -> Option<(&T, &[u8])> {
        if nth >= self.tail_seen.wrapping_sub(self.head) {
            return None;
        }
        let slot = &self.shared.slots[self.head.wrapping_add(nth) & self.shared.mask];
        // SAFETY: the slot is between `head` and `tail`, so the producer has written it and will not touch it before it
        // sees a head beyond it. Only we move that, by `&mut self`: not as long as the record is borrowed.
        let record = unsafe { (*slot.get()).assume_init_ref() };
        let bytes = match &record.payload {
            // SAFETY: the record is borrowed as long as its payload.
            Kept::Here { at, len } => unsafe { self.shared.lies(*at, *len) },
            Kept::Owned(bytes, from) => &bytes[*from..],
        };
        Some((&record.value, bytes))
    }

    /// The oldest record, to be changed where it is.
    pub(crate) fn front(&mut self) -> Option<(&mut T, Bytes<'_>)> {
        if self.is_empty() {
            return None;
        }
        let slot = &self.shared.slots[self.head & self.shared.mask];
        // SAFETY: as in `get`; the borrow of `self` is exclusive, so nobody else has a reference to the record.
        let record = unsafe { (*slot.get()).assume_init_mut() };
        let bytes = match &mut record.payload {
            // SAFETY: the record is borrowed as long as its payload.
            Kept::Here { at, len } => Bytes::Here(unsafe { self.shared.lies(*at, *len) }),
            Kept::Owned(bytes, from) => Bytes::Owned(bytes, *from),
        };
        Some((&mut record.value, bytes))
    }

    /// Takes the oldest value; its payload is dropped.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let slot = &self.shared.slots[self.head & self.shared.mask];
        // SAFETY: `head` is before `tail`, so the producer has written the slot and will not touch it before it sees
        // the head that we store below; each slot is read once because the head moves on.
        let Record { value, .. } = unsafe { (*slot.get()).assume_init_read() };
        self.head = self.head.wrapping_add(1);
        // Release: the record is out of its slot, and its payload was read, before the producer may see the room.
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(value)
    }

    /// True when there is nothing to take at this moment.
    pub(crate) fn is_empty(&mut self) -> bool {
        if self.head != self.tail_seen {
            return false;
        }
        self.look();
        self.head == self.tail_seen
    }

    fn look(&mut self) {
        // Acquire: pairs with the producer's store of the tail.
        self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
    }
}

/// One cache line (two, for the prefetcher) of its own, so that the two ends do not slow each other down.
#[repr(align(128))]
struct Line(AtomicUsize);

struct Shared<T> {
    /// Index of the next record to read. Written by the consumer only. `tail - head <= capacity`.
    head: Line,
    /// Index of the next slot to write. Written by the producer only.
    tail: Line,
    mask: usize,
    slots: Box<[UnsafeCell<MaybeUninit<Record<T>>>]>,
    /// Small payloads, each in one piece, in the order of their records.
    area: Box<[MaybeUninit<UnsafeCell<u8>>]>,
}

struct Record<T> {
    value: T,
    payload: Kept,
}

enum Kept {
    /// In the area. Only the producer makes these, for bytes that it has written.
    Here {
        at: u32,
        len: u32,
    },
    Owned(Vec<u8>, usize),
}

impl Kept {
    /// What it weighs.
    fn weight(&self) -> usize {
        match self {
            Kept::Here { len, .. } => *len as usize,
            Kept::Owned(bytes, _) => bytes.capacity(),
        }
    }
}

impl<T> Shared<T> {
    /// A payload in the area.
    ///
    /// # Safety
    /// Only for the consumer, with what stands in a record that it has not popped and does not pop meanwhile.
    unsafe fn lies(&self, at: u32, len: u32) -> &[u8] {
        let bytes = &self.area[at as usize..][..len as usize];
        // SAFETY: the producer has written these bytes before it stored the tail beyond their record, and writes there
        // again only when it sees a head beyond it, which the consumer stores when it pops.
        unsafe { slice::from_raw_parts(bytes.as_ptr().cast::<u8>(), bytes.len()) }
    }
}

// SAFETY: the ends hand values of `T` from one thread to another (so `T: Send`) and never share a reference to one; the
// indices are atomics, and a slot, and the bytes of its payload, are touched by one end at a time as argued above.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; the slots own their values.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let tail = *self.tail.0.get_mut();
        let mut head = *self.head.0.get_mut();
        while head != tail {
            // SAFETY: both ends are gone (we are the last owner), and the slots from head to tail hold records that
            // were never popped.
            unsafe { self.slots[head & self.mask].get_mut().assume_init_drop() };
            head = head.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
