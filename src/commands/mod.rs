//! The subcommands that start no server, and what signals order to one that runs.

pub(crate) mod archives;
pub(crate) mod live;
pub(crate) mod logging;
pub(crate) mod manual;
pub(crate) mod signals;
