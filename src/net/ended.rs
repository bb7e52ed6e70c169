//! Why a connection ended: one type for the log and the close code.

use std::fmt;
use std::io;

use lapps_parser::close::CloseCode;
use lapps_parser::decoder::Violation;
use lapps_parser::http::HeadError;

/// The last thing that a peer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastWord {
    /// A close frame with this code, or without any.
    Close(Option<CloseCode>),
    /// Only the end of the stream.
    Nothing,
}

/// Why a connection ended, named by who acted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    /// The peer sent a close frame.
    ByPeer(Option<CloseCode>),
    /// The peer closed the stream without a close frame.
    Eof,
    /// The peer broke the WebSocket protocol.
    Violation(Violation),
    /// The peer broke HTTP before there was a WebSocket.
    BadHead(HeadError),
    /// The request was answered with this HTTP status, not with an upgrade.
    Answered(u16),
    /// Its service closed it, or the service's handler failed, or the server stops; and the peer did not answer in time.
    CloseUnanswered,
    /// It did not read what it was sent: more than the service's `outgoing_limit` waited.
    Full,
    /// It took nothing of what waits for it for too long.
    Stalled,
    /// Not even the beginning of a request in time.
    HandshakeTimeout,
    /// A part of a request head in time, but not all of it.
    LateHead,
    /// No frame for the idle time, not even the answer to a ping.
    Idle,
    /// It sent more than we drain after the end.
    Undrained,
    /// The socket failed.
    Io(io::ErrorKind),
    /// The server stops and the grace is over.
    Shutdown,
    /// Its service is replaced and the grace is over.
    Restart,
}

impl Ended {
    /// What the peer is told last, where frames can still be sent.
    pub(crate) fn last_word(&self) -> LastWord {
        match self {
            Ended::Violation(violation) => LastWord::Close(Some(violation.close_code())),
            Ended::Idle => LastWord::Close(Some(CloseCode::GOING_AWAY)),
            // RFC 6455 5.5.1: the answer to a close frame carries its code, if it has one.
            Ended::ByPeer(code) => LastWord::Close(*code),
            _ => LastWord::Nothing,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::ByPeer(Some(code)) => write!(f, "closed by the peer with {}", code.get()),
            Ended::ByPeer(None) => write!(f, "closed by the peer without a code"),
            Ended::Eof => write!(f, "the peer closed the stream without a close frame"),
            Ended::Violation(violation) => write!(f, "protocol violation: {violation}"),
            Ended::BadHead(error) => write!(f, "bad request: {error}"),
            Ended::Answered(status) => write!(f, "answered with status {status}"),
            Ended::CloseUnanswered => write!(f, "the peer did not answer our close frame in time"),
            Ended::Full => write!(f, "the peer does not read: its outgoing limit is reached"),
            Ended::Stalled => write!(f, "the peer does not read: no progress in time"),
            Ended::HandshakeTimeout => write!(f, "no request in time"),
            Ended::LateHead => write!(f, "no complete request in time"),
            Ended::Idle => write!(f, "idle, and no answer to a ping"),
            Ended::Undrained => write!(f, "the peer went on sending after the end"),
            Ended::Io(kind) => write!(f, "{kind}"),
            Ended::Shutdown => write!(f, "the server stops"),
            Ended::Restart => write!(f, "the service restarts"),
        }
    }
}
