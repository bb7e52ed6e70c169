//! One mechanism of the operating system per file.

pub(crate) mod affinity;
pub(crate) mod allocator;
pub(crate) mod cpu;
pub(crate) mod direct;
pub(crate) mod environment;
pub(crate) mod exchange;
pub(crate) mod files;
pub(crate) mod pam;
pub(crate) mod peer;
pub(crate) mod poller;
pub(crate) mod prefetch;
pub(crate) mod process;
pub(crate) mod ring;
#[cfg(test)]
pub(crate) mod simulation;
pub(crate) mod socket;
pub(crate) mod watch;

/// So many bytes behind the beginning of a page what is received begins: strings of Lua, which it is copied to, begin at its beginning
/// where they are large, and on some processors copies between nearly the same places of two pages are slow.
pub(crate) const APART: usize = 2048;
