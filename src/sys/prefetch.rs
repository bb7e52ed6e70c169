//! Asking the processor to load what will be needed soon.

#![allow(unsafe_code)]

/// A line of the cache, in bytes.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Begins to load the lines of the cache that a value lies in. It waits for nothing.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = std::ptr::from_ref(value).cast::<i8>();
        let last = size_of::<T>().saturating_sub(1);
        for at in (0..last).step_by(LINE).chain([last]) {
            // SAFETY: nothing is read by it, and every x86-64 processor has it; the place lies in the value.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
