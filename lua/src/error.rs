//! What can go wrong with a service, in words for the log.

use std::fmt;
use std::path::PathBuf;

use lapps_parser::close::CloseCode;

use crate::port::ConnId;

/// Why a service cannot be started. Its `Display` names service, file, line and the reason.
#[derive(Debug)]
pub struct LoadError {
    /// The name of the service.
    pub service: String,
    /// The file to look at, where there is one.
    pub file: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// What is wrong, in Lua's words where they are Lua's.
    pub message: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service '{}' cannot be started: ", self.service)?;
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for LoadError {}

/// What a handler did wrong. Its `Display` names service, handler, connection and what happened, with a traceback
/// where Lua has one, and says what would have been right.
#[derive(Debug)]
pub struct Failure(Box<Details>);

/// What `onStart` did wrong.
pub type HandlerError = Failure;

#[derive(Debug)]
struct Details {
    service: String,
    handler: &'static str,
    conn: Option<ConnId>,
    kind: FailureKind,
}

/// The ways in which a handler can fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// `onMessage` returned something else than `true`.
    Refused {
        /// What it returned: "nil", "false", or the name of a type.
        returned: &'static str,
    },
    /// The handler raised a Lua error.
    Raised {
        /// The error's text, with file and line where Lua knows them.
        message: String,
        /// Who had called whom; may be empty.
        traceback: String,
    },
    /// The instance would have needed more memory than it may have.
    Memory {
        /// The limit in bytes, 0 if there is none.
        limit: usize,
    },
    /// The server's own code panicked while it carried out a command of the handler.
    Panicked {
        /// The panic's text.
        message: String,
    },
    /// What the client has sent is no message of the LAppS protocol; the handler was not called.
    Invalid {
        /// What is wrong with it: at most 123 bytes, so that it fits a close frame.
        message: String,
    },
    /// The instance was stopped by an earlier failure, as `lapps_strict` demands.
    Stopped,
}

impl Failure {
    pub(crate) fn new(
        service: &str,
        handler: &'static str,
        conn: Option<ConnId>,
        kind: FailureKind,
    ) -> Failure {
        Failure(Box::new(Details { service: service.to_owned(), handler, conn, kind }))
    }

    /// The service whose handler failed.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// The handler's name, for example `onMessage`.
    #[must_use]
    pub fn handler(&self) -> &'static str {
        self.0.handler
    }

    /// The connection it was called for.
    #[must_use]
    pub fn conn(&self) -> Option<ConnId> {
        self.0.conn
    }

    /// In which way it failed.
    #[must_use]
    pub fn kind(&self) -> &FailureKind {
        &self.0.kind
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service '{}', {}", self.0.service, self.0.handler)?;
        if let Some(conn) = self.0.conn {
            write!(f, ", connection {conn}")?;
        }
        f.write_str(": ")?;
        self.0.kind.fmt(f)
    }
}

impl FailureKind {
    /// What the close frame says that the failure costs its connection.
    #[must_use]
    pub fn close(&self) -> (CloseCode, &str) {
        match self {
            FailureKind::Invalid { message } => (CloseCode::UNSUPPORTED, message),
            _ => (CloseCode::INTERNAL, ""),
        }
    }

    /// Of an error that has ended a fiber, whose kind is known by its text only.
    pub(crate) fn raised(message: String, traceback: String, limit: usize) -> FailureKind {
        if message == "not enough memory" {
            FailureKind::Memory { limit }
        } else {
            FailureKind::Raised { message, traceback }
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailureKind::Refused { returned: "false" } => {
                f.write_str("returned false; return true to keep the connection")
            }
            FailureKind::Refused { returned } => {
                write!(
                    f,
                    "returned {returned}; it must return true to keep the connection, or false to close it"
                )
            }
            FailureKind::Raised { message, traceback } => {
                f.write_str(message)?;
                if traceback.is_empty() { Ok(()) } else { write!(f, "\n{traceback}") }
            }
            FailureKind::Memory { limit: 0 } => f.write_str("not enough memory"),
            FailureKind::Memory { limit } => {
                write!(f, "not enough memory: one instance may use {limit} bytes")
            }
            FailureKind::Panicked { message } => {
                write!(f, "the server panicked while it carried out a command: {message}")
            }
            FailureKind::Invalid { message } => write!(f, "not called: {message}"),
            FailureKind::Stopped => {
                f.write_str("not called: the instance was stopped by an earlier failure (lapps_strict)")
            }
        }
    }
}

impl std::error::Error for Failure {}
