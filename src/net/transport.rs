//! Ciphertext and plaintext: the only file that knows rustls on the message path.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData};
use socket2::SockRef;

use super::write_queue::{Buffers, WriteQueue};

/// Bytes of ciphertext read by one call.
pub(crate) const CIPHER_READ: usize = 64 * 1024;

/// What the plaintext buffer must hold beyond [`CIPHER_READ`]: a record that was cut and is now complete.
pub(crate) const CIPHER_CARRY: usize = 32 * 1024;

/// Ciphertext that may wait inside the session before more is encrypted.
const CIPHER_AHEAD: usize = 64 * 1024;

/// A socket, with or without TLS.
pub(crate) enum Transport<S = ServerConnection> {
    Plain(TcpStream),
    Tls(Box<Tls<S>>),
}

/// The socket of an outgoing connection.
pub(crate) type Outgoing = Transport<ClientConnection>;

pub(crate) struct Tls<S> {
    stream: TcpStream,
    session: S,
    /// Plaintext that went into the session since it last had nothing to write: more than its ciphertext that waits.
    ahead: usize,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes of plaintext.
    pub(crate) len: usize,
    /// Bytes that came from the socket. With TLS not all of them become plaintext.
    pub(crate) raw: usize,
    /// The socket had no more at that moment: with edge-triggered readiness the next bytes bring a new event.
    pub(crate) drained: bool,
    /// The peer will send nothing more.
    pub(crate) end: bool,
}

impl Transport {
    /// Wraps an accepted socket; with `tls`, speaks it as the server.
    pub(crate) fn new(
        stream: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> Result<Transport, rustls::Error> {
        Ok(match tls {
            None => Transport::Plain(stream),
            Some(config) => Tls::over(stream, ServerConnection::new(Arc::clone(config))?),
        })
    }
}

impl Outgoing {
    /// Wraps a connected socket; with `tls`, speaks it as the client of the server that has this name.
    pub(crate) fn outgoing(
        stream: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Result<Outgoing, rustls::Error> {
        Ok(match tls {
            None => Transport::Plain(stream),
            Some((config, name)) => Tls::over(stream, ClientConnection::new(config, name)?),
        })
    }
}

impl<S, D> Transport<S>
where
    S: Deref<Target = ConnectionCommon<D>> + DerefMut,
    D: SideData,
{
    /// The socket, for the poller.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        match self {
            Transport::Plain(stream) => stream,
            Transport::Tls(tls) => &mut tls.stream,
        }
    }

    /// True until the TLS handshake is done.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self, Transport::Tls(tls) if tls.session.is_handshaking())
    }

    /// Reads once from the socket into `out`, by way of `cipher` with TLS. `out` is at least as long as `cipher` plus
    /// [`CIPHER_CARRY`].
    pub(crate) fn read(&mut self, cipher: &mut [u8], out: &mut [u8]) -> io::Result<Taken> {
        match self {
            Transport::Plain(stream) => read_once(stream, out),
            Transport::Tls(tls) => tls.read(cipher, out),
        }
    }

    /// Writes as much of `queue` as the socket takes. `Ok(true)`: nothing is left, here or in the session.
    pub(crate) fn write(&mut self, queue: &mut WriteQueue, buffers: &mut Buffers) -> io::Result<bool> {
        match self {
            Transport::Plain(stream) => queue.write_to(stream, buffers),
            Transport::Tls(tls) => tls.write(queue, buffers),
        }
    }

    /// True when the transport itself has bytes to write, such as a handshake's.
    pub(crate) fn wants_write(&self) -> bool {
        matches!(self, Transport::Tls(tls) if tls.session.wants_write())
    }

    /// Says that nothing more will be written: close_notify with TLS, then FIN.
    pub(crate) fn shutdown_write(&mut self) {
        if let Transport::Tls(tls) = self {
            tls.session.send_close_notify();
            // A peer that does not take even this gets the FIN alone.
            let _ = tls.session.write_tls(&mut tls.stream);
        }
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// Makes the coming close a reset: what the peer has not read is dropped, and the kernel keeps nothing of it.
    pub(crate) fn reset_on_close(&mut self) {
        let _ = SockRef::from(&*self.stream()).set_linger(Some(Duration::ZERO));
    }
}

impl<S, D> Tls<S>
where
    S: Deref<Target = ConnectionCommon<D>> + DerefMut,
    D: SideData,
{
    fn over(stream: TcpStream, mut session: S) -> Transport<S> {
        // We bound what goes in ourselves, and a write must never be cut short.
        session.set_buffer_limit(None);
        Transport::Tls(Box::new(Tls { stream, session, ahead: 0 }))
    }

    fn read(&mut self, cipher: &mut [u8], out: &mut [u8]) -> io::Result<Taken> {
        let mut taken = read_once(&mut self.stream, cipher)?;
        let mut rest = &cipher[..taken.len];
        taken.len = 0;
        if taken.end {
            // Tells the session that the stream has ended; without close_notify that is no error for us: browsers do it.
            let _ = self.session.read_tls(&mut io::empty());
        }
        while !rest.is_empty() {
            self.session.read_tls(&mut rest)?;
            let state = match self.session.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The alert that says why, as far as the socket takes it.
                    let _ = self.session.write_tls(&mut self.stream);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            };
            if state.plaintext_bytes_to_read() > 0 {
                taken.len += self.session.reader().read(&mut out[taken.len..])?;
            }
            if state.peer_has_closed() {
                taken.end = true;
                break;
            }
        }
        Ok(taken)
    }

    fn write(&mut self, queue: &mut WriteQueue, buffers: &mut Buffers) -> io::Result<bool> {
        loop {
            while !queue.is_empty() && self.ahead < CIPHER_AHEAD {
                let taken =
                    self.session.writer().write(&queue.front()[..queue.front().len().min(CIPHER_AHEAD)])?;
                queue.consume(taken, buffers);
                self.ahead += taken;
            }
            while self.session.wants_write() {
                match self.session.write_tls(&mut self.stream) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.ahead = 0;
            if queue.is_empty() {
                return Ok(true);
            }
        }
    }
}

/// One read call; a short read means that the socket is drained.
fn read_once(stream: &mut TcpStream, out: &mut [u8]) -> io::Result<Taken> {
    loop {
        return match stream.read(out) {
            Ok(0) => Ok(Taken { len: 0, raw: 0, drained: true, end: true }),
            Ok(len) => Ok(Taken { len, raw: len, drained: len < out.len(), end: false }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Taken { len: 0, raw: 0, drained: true, end: false })
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}
