//! All that one thread may say to another, as plain data.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use lapps_lua::port::ConnId;
use lapps_parser::close::CloseCode;
use lapps_parser::frame::OpCode;
use mio::net::TcpStream;

use super::link::Link;
use super::mailbox::{Inlet, Weigh};
use crate::services::registry::Registry;

/// What another thread says to a worker.
pub(crate) enum Mail {
    /// A listener has accepted a connection for this worker.
    Accepted(TcpStream, SocketAddr),
    /// A service elsewhere sends a message to a connection of this worker: its payload are the frames.
    Frames(ConnId),
    /// A service elsewhere closes a connection of this worker.
    Close { conn: ConnId, code: CloseCode, reason: Box<str> },
    /// A broadcast, as the bytes of its frames, to those who listened when it was made.
    Publish { listeners: Arc<[ConnId]>, frames: Arc<[u8]> },
    /// A dedicated instance has answered all that this connection sent before its end: the last word may be said.
    Farewell(ConnId),
    /// A dedicated instance has handled what this connection had sent before the [`Letter::Mark`]; its answers came before
    /// this.
    Marked(ConnId),
    /// The services from now on. Those of the one before that are not in it were forgotten by all workers.
    Registry(Arc<Registry>),
    /// An instance with a thread of its own and this number has come: the line to it, if it is dedicated, and the one from
    /// it.
    Connect { instance: usize, link: Option<Box<Link>>, inlet: Box<Inlet<Mail>> },
    /// The thread of this instance has ended, and no connection is served by it.
    Disconnect { instance: usize },
    /// Load and start the co-located instance of this service.
    Start { service: usize },
    /// The service stops: call `onShutdown` of its co-located instance.
    Stop { service: usize },
    /// Close every connection of this service with 1012, let its co-located instance come to its end, and say so; at the
    /// deadline cut what is left.
    Leave { service: usize, deadline: Instant },
    /// Say which connections there are, of the service with this name or of all: so many at most.
    List { service: Option<String>, limit: usize, answer: Sender<Vec<Seen>> },
    /// Close this connection with 1008, and say whether it was there.
    Kick { conn: ConnId, answer: Sender<bool> },
    /// Say that this worker turns.
    Turn { answer: Sender<()> },
    /// Close every connection with 1001, and end when all are gone and all handlers have ended, or at the deadline.
    Drain { deadline: Instant },
}

impl Weigh for Mail {
    fn weight(&self) -> usize {
        match self {
            Mail::Close { reason, .. } => reason.len(),
            Mail::Publish { listeners, frames } => frames.len() + size_of_val(&**listeners),
            _ => 0,
        }
    }
}

/// What a worker tells of one connection.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) conn: ConnId,
    /// The name of its service, once it has one.
    pub(crate) service: Option<String>,
    pub(crate) peer: SocketAddr,
    pub(crate) state: &'static str,
    /// Bytes that wait for its socket.
    pub(crate) queued: usize,
    /// Bytes that were given to its service and are not handled.
    pub(crate) in_flight: usize,
    /// How long nothing has come from it.
    pub(crate) silent_ms: u64,
}

/// What is said to an instance that has a thread of its own.
#[derive(Clone, Copy)]
pub(crate) enum Letter {
    /// A connection that this instance serves has been upgraded.
    Opened(ConnId),
    /// A message of a connection that this instance serves, with its payload.
    Message { conn: ConnId, opcode: OpCode },
    /// A connection that this instance serves has ended.
    Disconnected(ConnId),
    /// To be sent back, as [`Mail::Marked`], when it is reached and no message that came before it waits.
    Mark(ConnId),
    /// The server stops: call `onShutdown`, or let `run` come to its end, until the deadline.
    Stop { deadline: Instant },
    /// Nothing comes any more: end when all handlers have ended, or at the deadline.
    Exit { deadline: Instant },
}

impl Weigh for Letter {
    fn weight(&self) -> usize {
        0
    }
}
