//! The program's allocator: mimalloc, asked in the way in which it is quick.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mimalloc;

/// What every block of at least 9 bytes is aligned to; smaller ones to 8.
const ALIGNED: usize = 16;

/// mimalloc for the whole program, Lua's heap included.
///
/// Its functions for aligned blocks take larger ones than they need whenever no free block is at hand that happens to be
/// aligned, so they are left for what needs more than 16 bytes.
pub struct Allocator;

// SAFETY: blocks are mimalloc's, from its ordinary functions only where these align them as asked; freeing needs neither size nor
// alignment.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size is fine, and an alignment is a power of two.
        let block = unsafe {
            if is_natural(size, align) {
                mimalloc::mi_malloc(size)
            } else {
                mimalloc::mi_malloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        let block = unsafe {
            if is_natural(size, align) {
                mimalloc::mi_zalloc(size)
            } else {
                mimalloc::mi_zalloc_aligned(size, align)
            }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's block is one of mimalloc's.
        unsafe { mimalloc::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller's block is one of mimalloc's.
        let block = unsafe {
            if is_natural(size, align) {
                mimalloc::mi_realloc(block.cast(), size)
            } else {
                mimalloc::mi_realloc_aligned(block.cast(), size, align)
            }
        };
        block.cast()
    }
}

/// Gives free memory of this thread back to the system, as far as whole pages of it are free. It looks at every page that the
/// thread has, so it is for when there is time.
pub(crate) fn give_back() {
    // SAFETY: it touches nothing but what is free, and where another allocator is used, nothing at all.
    unsafe { mimalloc::mi_collect(true) }
    // What the cryptography takes comes from the C library.
    // SAFETY: so does this.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether every block of this size is so aligned.
#[inline]
const fn is_natural(size: usize, align: usize) -> bool {
    align <= ALIGNED && (align <= ALIGNED / 2 || size > ALIGNED / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All sizes of blocks, large ones in steps, with every alignment, many at a time so that they come from fresh memory, too.
    #[test]
    fn blocks_are_aligned_as_asked_before_and_after_they_grow() {
        let sizes = (1..2048).chain((2048..200_000).step_by(4093));
        for (size, align) in sizes.flat_map(|size| [1, 2, 4, 8, 16, 32, 64].map(|align| (size, align))) {
            let layout = Layout::from_size_align(size, align).unwrap();
            let grown = Layout::from_size_align(size + 9, align).unwrap();
            // SAFETY: each block is written within its bounds, and freed once with its layout.
            unsafe {
                let blocks: Vec<*mut u8> =
                    (0..8)
                        .map(|at| {
                            if at % 2 == 0 { Allocator.alloc(layout) } else { Allocator.alloc_zeroed(layout) }
                        })
                        .collect();
                for block in blocks {
                    assert_eq!(block as usize % align, 0, "{size} bytes aligned to {align}");
                    block.add(size - 1).write(7);
                    let block = Allocator.realloc(block, layout, grown.size());
                    assert_eq!(block as usize % align, 0, "{size} bytes, grown, aligned to {align}");
                    assert_eq!(block.add(size - 1).read(), 7);
                    Allocator.dealloc(block, grown);
                }
            }
        }
    }
}
