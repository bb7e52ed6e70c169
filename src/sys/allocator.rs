//! What the program's allocator is asked for besides memory.

/// Gives free memory of this thread back to the system, as far as whole pages of it are free. It looks at every page that the
/// thread has, so it is for when there is time.
#[allow(unsafe_code)]
pub(crate) fn give_back() {
    // SAFETY: it touches nothing but what is free, and where another allocator is used, nothing at all.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
