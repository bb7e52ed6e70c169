//! What is logged from now on: changed by those in charge, carried out by whoever has set up the log.

use std::sync::OnceLock;

/// Takes a filter from now on, or says what is wrong with it.
type Change = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// There is one log in a process.
static CHANGE: OnceLock<Box<Change>> = OnceLock::new();

/// From now on `change` is asked. Only the first one is.
pub(crate) fn on_change(change: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) {
    let _ = CHANGE.set(Box::new(change));
}

/// Has a filter taken.
///
/// # Errors
/// What is wrong with it, or that nobody takes any.
pub(crate) fn change(filter: &str) -> Result<(), String> {
    let change = CHANGE.get().ok_or("what this server logs cannot be changed")?;
    change(filter)?;
    tracing::warn!("from now on the log has: {filter}");
    Ok(())
}
