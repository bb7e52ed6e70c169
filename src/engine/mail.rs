//! All that one thread may say to another, as plain data.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use lapps_lua::port::{Channel, ConnId};
use lapps_parser::close::CloseCode;
use lapps_parser::frame::OpCode;
use mio::net::TcpStream;

use super::mailbox::Weigh;

/// What another thread says to a worker.
pub(crate) enum Mail {
    /// A listener has accepted a connection for this worker.
    Accepted(TcpStream, SocketAddr),
    /// A service elsewhere sends a message to a connection of this worker.
    Send { conn: ConnId, opcode: OpCode, payload: Box<[u8]> },
    /// A service elsewhere closes a connection of this worker.
    Close { conn: ConnId, code: CloseCode, reason: Box<str> },
    /// A broadcast, as the bytes of its frames.
    Publish { channel: Channel, frames: Arc<[u8]> },
    /// A dedicated instance has answered all that this connection sent before its end: the last word may be said.
    Farewell(ConnId),
    /// A dedicated instance has handled what this connection had sent before the [`Letter::Mark`]; its answers came before
    /// this.
    Marked(ConnId),
    /// Load and start the co-located instance of this service.
    Start { service: usize },
    /// Nothing new will come: call `onShutdown` of every co-located instance.
    Stop,
    /// Close every connection with 1001, and end when all are gone and all handlers have ended, or at the deadline.
    Drain { deadline: Instant },
}

impl Weigh for Mail {
    fn weight(&self) -> usize {
        match self {
            Mail::Send { payload, .. } => payload.len(),
            Mail::Close { reason, .. } => reason.len(),
            Mail::Publish { frames, .. } => frames.len(),
            _ => 0,
        }
    }
}

/// What is said to an instance that has a thread of its own.
pub(crate) enum Letter {
    /// A connection that this instance serves has been upgraded.
    Opened(ConnId),
    /// A message of a connection that this instance serves.
    Message { conn: ConnId, opcode: OpCode, payload: Box<[u8]> },
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
        match self {
            Letter::Message { payload, .. } => payload.len(),
            _ => 0,
        }
    }
}
