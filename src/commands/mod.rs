//! What the subcommands do, but for `run` and `check`; and what signals order.

pub(crate) mod archives;
pub(crate) mod live;
pub(crate) mod logging;
pub(crate) mod manual;
pub(crate) mod new;
pub(crate) mod signals;
pub(crate) mod test;
pub(crate) mod welcome;
