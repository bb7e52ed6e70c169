//! The buffers that the kernel receives into: lent to it, handed out when they are filled, and given back.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::sys::APART;

/// Buffers of one ring; a power of two.
pub(crate) const BUFFERS: usize = 64;

/// Bytes of each.
pub(crate) const BUFFER_SIZE: usize = 16 * 1024;

/// The number by which the kernel knows them.
pub(super) const GROUP: u16 = 0;

/// The entries by which they are lent lie on pages of their own.
const PAGE: usize = 4096;

/// A buffer with what was received.
pub(crate) struct Lent {
    id: u16,
    len: usize,
    memory: Box<[u8]>,
}

/// All buffers, and the queue by which they are lent.
pub(super) struct Lending {
    /// `None`: handed out.
    memory: Vec<Option<Box<[u8]>>>,
    queue: NonNull<BufRingEntry>,
    /// How many were lent so far, modulo 2^16.
    tail: u16,
    registered: bool,
}

// SAFETY: `queue` is memory of its own, reached by nobody but this value and the kernel.
unsafe impl Send for Lending {}

impl Lending {
    /// Registers buffers with a ring, and lends all of them.
    pub(super) fn new(ring: &IoUring) -> io::Result<Lending> {
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout()) };
        let queue = NonNull::new(start.cast()).unwrap_or_else(|| handle_alloc_error(layout()));
        let mut lending = Lending { memory: vec![None; BUFFERS], queue, tail: 0, registered: false };
        // SAFETY: the memory is aligned to pages, has room for so many entries, and is freed after it was unregistered.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(queue.as_ptr() as u64, BUFFERS as u16, GROUP, 0)?;
        }
        lending.registered = true;
        for id in 0..BUFFERS as u16 {
            lending.lend(id, vec![0; APART + BUFFER_SIZE].into_boxed_slice());
        }
        Ok(lending)
    }

    /// Hands out the buffer that a completion names, with so many bytes.
    pub(super) fn take(&mut self, id: u16, len: usize) -> Lent {
        let memory = self.memory.get_mut(usize::from(id)).and_then(Option::take);
        let memory = memory.expect("the kernel names buffers that it was lent");
        Lent { id, len, memory }
    }

    /// Lends a buffer to the kernel again.
    pub(super) fn give(&mut self, lent: Lent) {
        self.lend(lent.id, lent.memory);
    }

    /// Takes all buffers back, for good.
    pub(super) fn end(&mut self, ring: &IoUring) {
        if ring.submitter().unregister_buf_ring(GROUP).is_ok() {
            self.registered = false;
        }
    }

    fn lend(&mut self, id: u16, memory: Box<[u8]>) {
        let memory = self.memory[usize::from(id)].insert(memory);
        let at = usize::from(self.tail) % BUFFERS;
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: there are BUFFERS entries, and the kernel reads this one only when the tail is behind it. The tail lies
        // in the first entry, in a field that `set_*` leave alone; it is aligned, and the kernel only reads it. The buffer
        // stays where it is until the kernel names it.
        unsafe {
            let entry = &mut *self.queue.as_ptr().add(at);
            entry.set_addr(memory[APART..].as_mut_ptr() as u64);
            entry.set_len(BUFFER_SIZE as u32);
            entry.set_bid(id);
            let tail = BufRingEntry::tail(self.queue.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Lending {
    fn drop(&mut self) {
        if self.registered {
            // The kernel may still know them.
            std::mem::forget(std::mem::take(&mut self.memory));
        } else {
            // SAFETY: allocated with this layout, and the kernel has forgotten it.
            unsafe { dealloc(self.queue.as_ptr().cast(), layout()) };
        }
    }
}

impl Deref for Lent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[APART..APART + self.len]
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[APART..APART + self.len]
    }
}

fn layout() -> Layout {
    Layout::from_size_align(BUFFERS * size_of::<BufRingEntry>(), PAGE).expect("a small layout")
}
