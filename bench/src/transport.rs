//! A socket of the load client: plain or TLS, never blocking, whole plaintext in and out.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use rustls::ClientConnection;

use crate::drain::write_some;
use crate::failure::Failure;

/// The buffers that all connections of the client share: it is one thread, and a connection is idle between turns.
#[derive(Debug)]
pub struct Buffers {
    received: Box<[u8]>,
    plaintext: Box<[u8]>,
    /// What is to be sent to the connection at hand; [`Transport::send`] empties it.
    pub out: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Buffers {
        let buffer = || vec![0; 256 * 1024].into_boxed_slice();
        Buffers { received: buffer(), plaintext: buffer(), out: Vec::new() }
    }
}

/// Whether more can come from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// It can.
    Open,
    /// The server has said that nothing follows.
    Ended,
}

/// One socket, with its TLS session if it has one.
#[derive(Debug)]
pub struct Transport {
    connection: u32,
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Bytes that the socket did not take at once.
    unsent: Vec<u8>,
}

impl Transport {
    /// `connection` is its index, for error messages. The socket may still be connecting.
    pub fn new(connection: u32, socket: TcpStream, tls: Option<Box<ClientConnection>>) -> Transport {
        Transport { connection, socket, tls, unsent: Vec::new() }
    }

    /// The socket, to be registered with a poller.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Reads what there is and gives the plaintext to `sink`, in one or more pieces. `to_the_end` reads until the
    /// socket says that it is empty; otherwise a short read is taken for that, which with edge-triggered readiness it
    /// is, unless the stream has ended behind it.
    ///
    /// # Errors
    /// What `sink` answers, and [`Failure::EarlyClose`] for a reset, [`Failure::Tls`] for a broken session.
    pub fn receive(
        &mut self,
        buffers: &mut Buffers,
        to_the_end: bool,
        mut sink: impl FnMut(&mut [u8], &mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<Stream, Failure> {
        let Buffers { received, plaintext, out } = buffers;
        loop {
            let bytes = match self.socket.read(received) {
                Ok(0) => return Ok(Stream::Ended),
                Ok(read) => &mut received[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Stream::Open),
                Err(error) => return Err(self.broken(&error)),
            };
            let read = bytes.len();
            match &mut self.tls {
                None => sink(bytes, out)?,
                Some(tls) => {
                    let stream = decrypt(tls, bytes, plaintext, |plain| sink(plain, out));
                    match stream {
                        Ok(Stream::Open) => {}
                        Ok(Stream::Ended) => return Ok(Stream::Ended),
                        Err(Undecryptable::Sink(failure)) => return Err(failure),
                        Err(Undecryptable::Tls(error)) => {
                            // Tells the server why; whether that still arrives makes no difference here.
                            let _ = tls.write_tls(&mut self.socket);
                            return Err(Failure::Tls { connection: self.connection, error });
                        }
                    }
                }
            }
            if read < received.len() && !to_the_end {
                return Ok(Stream::Open);
            }
        }
    }

    /// Sends `out`, empties it, and keeps what the socket does not take now. With an empty `out`: sends what was kept.
    ///
    /// # Errors
    /// [`Failure::EarlyClose`] if the socket is gone.
    pub fn send(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let sent = match &mut self.tls {
            Some(tls) => encrypt(tls, &mut self.socket, out),
            None if self.unsent.is_empty() => {
                let sent = write_some(&mut self.socket, out);
                if let Ok(written) = sent {
                    self.unsent.extend_from_slice(&out[written..]);
                }
                sent.map(|_| ())
            }
            None => {
                self.unsent.extend_from_slice(out);
                let sent = write_some(&mut self.socket, &self.unsent);
                if let Ok(written) = sent {
                    self.unsent.drain(..written);
                }
                sent.map(|_| ())
            }
        };
        out.clear();
        sent.map_err(|error| self.broken(&error))
    }

    /// Sends nothing more; what the server still says can be read.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            return self.send(out);
        }
        self.socket.shutdown(std::net::Shutdown::Write).map_err(|error| self.broken(&error))
    }

    #[cold]
    fn broken(&self, error: &io::Error) -> Failure {
        Failure::EarlyClose { connection: self.connection, how: error.to_string() }
    }
}

enum Undecryptable {
    Sink(Failure),
    Tls(rustls::Error),
}

impl From<rustls::Error> for Undecryptable {
    fn from(error: rustls::Error) -> Undecryptable {
        Undecryptable::Tls(error)
    }
}

fn decrypt(
    tls: &mut ClientConnection,
    mut ciphertext: &[u8],
    plaintext: &mut [u8],
    mut sink: impl FnMut(&mut [u8]) -> Result<(), Failure>,
) -> Result<Stream, Undecryptable> {
    let unreadable = |error: io::Error| Undecryptable::Tls(rustls::Error::General(error.to_string()));
    while !ciphertext.is_empty() {
        tls.read_tls(&mut ciphertext).map_err(unreadable)?;
        let state = tls.process_new_packets()?;
        let mut available = state.plaintext_bytes_to_read();
        while available > 0 {
            let piece = available.min(plaintext.len());
            tls.reader().read_exact(&mut plaintext[..piece]).map_err(unreadable)?;
            sink(&mut plaintext[..piece]).map_err(Undecryptable::Sink)?;
            available -= piece;
        }
        if state.peer_has_closed() {
            return Ok(Stream::Ended);
        }
    }
    Ok(Stream::Open)
}

fn encrypt(tls: &mut ClientConnection, socket: &mut TcpStream, plaintext: &[u8]) -> io::Result<()> {
    tls.writer().write_all(plaintext)?;
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
