//! One mechanism of the operating system per file.

pub(crate) mod affinity;
pub(crate) mod cpu;
pub(crate) mod environment;
pub(crate) mod exchange;
pub(crate) mod files;
pub(crate) mod pam;
pub(crate) mod poller;
pub(crate) mod ring;
pub(crate) mod socket;
pub(crate) mod watch;
