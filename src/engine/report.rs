//! What threads tell the one that started them.

/// One thing that happened in a thread.
#[derive(Debug)]
pub(crate) enum Report {
    /// The instance that was asked for last has started, or why not.
    Started(Result<(), String>),
    /// `onShutdown` of all instances of this thread has returned.
    Stopped,
    /// Somebody wants the server to stop.
    Signal,
    /// The thread ends; an error ended it early.
    Ended(Result<(), String>),
}
