//! The listening socket; what it is set to is inherited by every connection it accepts.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Binds a listening socket. Accepted connections have TCP_NODELAY, and are reset by the kernel when the peer
/// acknowledges nothing for `stalled`.
///
/// # Errors
/// The address cannot be used, for example because another process listens there.
pub(crate) fn listen(address: SocketAddr, stalled: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets the port be used again at once after a restart; two servers at the same time stay impossible.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(stalled))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
