//! Provided buffers: the ring from which the kernel takes one for each piece that it receives.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// The number of the one group of buffers.
pub const GROUP: u16 = 0;
/// How many there are; a power of two.
const COUNT: u16 = 4096;
/// Bytes of each.
const SIZE: usize = 8192;

/// The buffers and the ring that holds those that are free.
pub struct Buffers {
    ring: *mut BufRingEntry,
    memory: Box<[u8]>,
    tail: u16,
}

impl Buffers {
    /// Gives all buffers to the kernel.
    pub fn register(ring: &IoUring) -> io::Result<Buffers> {
        let bytes = usize::from(COUNT) * size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(bytes, 4096).map_err(io::Error::other)?;
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: the memory is of the size that is said, on a page of its own, and never freed.
        unsafe { ring.submitter().register_buf_ring_with_flags(memory as u64, COUNT, GROUP, 0) }?;
        let mut buffers = Buffers {
            ring: memory.cast(),
            memory: vec![0; usize::from(COUNT) * SIZE].into_boxed_slice(),
            tail: 0,
        };
        for buffer in 0..COUNT {
            buffers.give(buffer);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// What was received into a buffer.
    pub fn bytes(&self, buffer: u16, from: u32, to: u32) -> &[u8] {
        let start = usize::from(buffer) * SIZE;
        &self.memory[start + from as usize..start + to as usize]
    }

    /// A buffer is free again; the kernel learns it by [`Buffers::publish`].
    pub fn give(&mut self, buffer: u16) {
        let address = self.memory[usize::from(buffer) * SIZE..].as_mut_ptr() as u64;
        // SAFETY: the place is inside of the ring, and the kernel does not read it before the tail has passed it.
        let entry = unsafe { &mut *self.ring.add(usize::from(self.tail % COUNT)) };
        entry.set_addr(address);
        entry.set_len(SIZE as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given.
    pub fn publish(&self) {
        // SAFETY: the ring's first entry holds the tail in a field that the kernel reads atomically.
        let tail = unsafe { &*BufRingEntry::tail(self.ring).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}
