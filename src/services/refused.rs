//! Why a service was not replaced.

/// Why a service was not replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A text for the log.
    pub why: String,
    /// Whether the version before it was stopped all the same, and is not running any more.
    pub stopped: bool,
    /// Whether it is only that the server stops: it may be tried again.
    pub stopping: bool,
}
