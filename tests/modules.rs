//! Modules that reach beyond their instance, in whole servers.

mod common;

#[path = "modules/mqr.rs"]
mod mqr;
#[path = "modules/pam.rs"]
mod pam;
