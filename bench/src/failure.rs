//! Everything that can end a run without a result, in words for the person at the terminal.

use std::fmt;
use std::io;

/// Why a run ended without a result. `Display` is the whole message; nothing needs to be added to it.
#[derive(Debug)]
pub enum Failure {
    /// The URL or an argument makes no sense; the text says which and why.
    Usage(String),
    /// A system call outside of any one connection failed; the text says what was tried.
    System {
        /// What was tried, as in "read /proc/1/stat".
        what: String,
        /// What the system answered.
        error: io::Error,
    },
    /// The TCP connection could not be made.
    Connect {
        /// Index of the connection, from 0.
        connection: u32,
        /// What the system answered.
        error: io::Error,
    },
    /// The TLS session failed: certificate, protocol or cipher.
    Tls {
        /// Index of the connection, from 0.
        connection: u32,
        /// What the TLS library said.
        error: rustls::Error,
    },
    /// The answer to the upgrade request was not an acceptance.
    Refused {
        /// Index of the connection, from 0.
        connection: u32,
        /// The status line, or what is wrong with the response.
        answer: String,
    },
    /// The server sent bytes that break RFC 6455.
    Violation {
        /// Index of the connection, from 0.
        connection: u32,
        /// Which rule was broken.
        violation: lapps_parser::Violation,
    },
    /// An echo differs from what was sent.
    Mismatch {
        /// Index of the connection, from 0.
        connection: u32,
        /// Number of the message on that connection, from 0.
        message: u64,
        /// What differs.
        what: String,
    },
    /// The server ended a connection that was still wanted.
    EarlyClose {
        /// Index of the connection, from 0.
        connection: u32,
        /// How it ended: a close frame with its code, the end of the stream, or a reset.
        how: String,
    },
    /// Nothing at all arrived for as long as the run was told to wait.
    Stalled {
        /// What was waited for.
        waiting_for: String,
        /// How long, in seconds.
        seconds: u64,
    },
    /// A server that `compare` started did not start or did not last.
    Server(String),
}

impl Failure {
    /// A failed system call, with what it was for.
    pub fn system(what: impl Into<String>, error: impl Into<io::Error>) -> Failure {
        Failure::System { what: what.into(), error: error.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Server(text) => f.write_str(text),
            Failure::System { what, error } => write!(f, "{what}: {error}"),
            Failure::Connect { connection, error } => {
                write!(f, "connection {connection}: cannot connect: {error}")?;
                if error.kind() == io::ErrorKind::AddrNotAvailable {
                    f.write_str(" (one client address has about 28,000 ports for one server address)")?;
                }
                Ok(())
            }
            Failure::Tls { connection, error } => {
                write!(f, "connection {connection}: TLS failed: {error}")?;
                if matches!(error, rustls::Error::InvalidCertificate(_)) {
                    f.write_str(" (name the right authority with --ca FILE, or give --insecure)")?;
                }
                Ok(())
            }
            Failure::Refused { connection, answer } => {
                write!(f, "connection {connection}: the server did not upgrade: {answer}")
            }
            Failure::Violation { connection, violation } => {
                write!(f, "connection {connection}: the server broke the WebSocket protocol: {violation}")
            }
            Failure::Mismatch { connection, message, what } => {
                write!(f, "connection {connection}, message {message}: not the echo of what was sent: {what}")
            }
            Failure::EarlyClose { connection, how } => {
                write!(f, "connection {connection}: the server ended it early: {how}")
            }
            Failure::Stalled { waiting_for, seconds } => {
                write!(f, "the server stopped answering: {seconds} s without any progress, {waiting_for}")
            }
        }
    }
}

impl std::error::Error for Failure {}
