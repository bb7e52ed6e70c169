//! The modules that services find as globals: one file each, named like the module.

pub(crate) mod bcast;
pub(crate) mod ws;
