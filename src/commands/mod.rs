//! The subcommands that start no server.

pub(crate) mod archives;
