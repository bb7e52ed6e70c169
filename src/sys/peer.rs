//! Who is at the other end of a unix socket, as the kernel knows it.

use std::io;
use std::os::unix::net::UnixStream;

/// Whether the one who has connected is the user of this process, or root.
///
/// # Errors
/// The kernel does not tell.
pub(crate) fn is_own_or_root(stream: &UnixStream) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(peer.uid.is_root() || peer.uid == rustix::process::geteuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(is_own_or_root(&one).unwrap());
    }
}
