//! The subcommands that start no server.

pub(crate) mod archives;
pub(crate) mod live;
