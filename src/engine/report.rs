//! What threads tell the one that started them.

/// One thing that happened in a thread.
#[derive(Debug)]
pub(crate) enum Report {
    /// The start of an instance that was asked for last waits: [`Report::Started`] follows.
    Waits,
    /// An instance that was asked for last has started, or why not; and whether it has said before that it waits.
    Started { result: Result<(), String>, waited: bool },
    /// `onShutdown` of all instances of this thread has returned.
    Stopped,
    /// Somebody wants the server to stop.
    Signal,
    /// A thread has ended by an error: the server is not to go on.
    Died(String),
    /// The thread with this number has ended, in whatever way.
    Ended(usize),
}

impl Report {
    /// An instance has started without waiting, or why not.
    pub(crate) fn started(result: Result<(), String>) -> Report {
        Report::Started { result, waited: false }
    }
}
