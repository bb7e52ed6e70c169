//! One connection: its protocol state, its transport, what it has still to write.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod ended;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod upgrade;
pub(crate) mod write_queue;
