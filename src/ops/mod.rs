//! Watching a running server: its counters, what is told of them, and to whom.

pub(crate) mod admin;
pub(crate) mod causes;
pub(crate) mod control;
pub(crate) mod counter;
mod exposition;
pub(crate) mod histogram;
pub(crate) mod ledger;
mod listening;
pub(crate) mod log;
mod metrics;
pub(crate) mod supervisor;
pub(crate) mod tally;
