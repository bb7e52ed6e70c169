//! Why a server did not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::net::tls::TlsError;

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// Nobody can connect.
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Nobody can ask how the server is.
    Admin {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A certificate or key cannot be used.
    Tls(TlsError),
    /// The system refused a poller, a thread or the like.
    System(io::Error),
    /// It was ordered to stop, while a service did not come to the end of its start.
    Stopped,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { address, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: another process uses that port; end it, or set another \"port\" in ws.json \
                 (or --port)"
            ),
            StartError::Listen { address, error } => write!(
                f,
                "cannot listen on {address}: {error}; \"ip\" and \"port\" in ws.json say where to listen"
            ),
            StartError::Admin { address, error } => write!(
                f,
                "the admin listener cannot listen on {address}: {error}; \"admin\" in ws.json says where to listen"
            ),
            StartError::Tls(error) => write!(
                f,
                "cannot use the TLS certificate: {error}; \"tls_certificates\" in ws.json names the files, and \
                 `lapps dev-cert DIR` makes a pair to try"
            ),
            StartError::System(error) => write!(f, "the system refused: {error}"),
            StartError::Stopped => f.write_str("ended by a signal while services start"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::System(error)
    }
}
