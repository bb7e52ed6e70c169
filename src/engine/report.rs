//! What threads tell the one that started them.

use std::sync::mpsc::Sender;

use lapps_lua::port::ConnId;
use serde_json::Value;

use super::mail::Seen;
use crate::config::Service;
use crate::ops::control::Change;
use crate::services::refused::Refused;

/// One thing that happened in a thread.
#[derive(Debug)]
pub(crate) enum Report {
    /// The start of this instance waits: [`Report::Started`] follows.
    Waits(Who),
    /// This instance has started, or why not.
    Started(Who, Result<(), String>),
    /// `onShutdown` of this instance has returned, or there was nothing to call.
    Stopped(Who),
    /// This worker has nothing to do with this service any more: no connection, no instance.
    Left { service: usize },
    /// Somebody wants the server to stop.
    Signal,
    /// Somebody wants a service to be replaced: those that it needs, in the order of their start, and itself as the last
    /// one. What comes of it is sent back.
    Replace { services: Vec<Service>, answer: Sender<Result<bool, Refused>> },
    /// Somebody in charge wants something.
    Asked(Inquiry),
    /// A thread has ended by an error: the server is not to go on.
    Died(String),
    /// The thread with this number has ended, in whatever way.
    Ended(usize),
}

/// What somebody in charge wants, and where the answer goes.
#[derive(Debug)]
pub(crate) enum Inquiry {
    /// All services, as they are.
    Services(Sender<Vec<Value>>),
    /// Connections of the service with this name, or of all: each worker sends so many at most.
    Connections { service: Option<String>, limit: usize, answer: Sender<Vec<Seen>> },
    /// This connection is to be closed; whether it was there.
    Kick { conn: ConnId, answer: Sender<bool> },
    /// Certificates and access lists are to be read again; what came of it.
    Reload(Sender<Value>),
    /// A service is to be started or stopped; true: nothing is left of what was stopped, if that was waited for.
    Change { service: String, change: Change, answer: Sender<Result<bool, Refused>> },
}

/// Which instance a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    /// The number of its service.
    pub(crate) service: usize,
    /// Its number among the instances of its service; of a co-located one that of its worker.
    pub(crate) nth: usize,
}
