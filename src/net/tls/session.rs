//! A TLS session without a socket: the library does the handshake, then records go straight from buffer to buffer.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{Error, ExtractedSecrets};

use super::records::{Framed, frame};
use super::traffic::{Said, Traffic};
use crate::net::write_queue::{Buffers, WriteQueue};

/// A server's or a client's session.
pub(crate) struct Session<S: Side> {
    phase: Phase<S>,
}

#[expect(clippy::large_enum_variant, reason = "it is what nearly all of them are, and in a box already")]
enum Phase<S: Side> {
    /// Larger than what comes after it, and soon gone. The library has begun with so many bytes of ciphertext, which come
    /// again, and must be shown them again.
    Handshake {
        side: Box<S>,
        begun: usize,
    },
    Traffic(Traffic<S>),
    /// It has failed.
    Over,
}

/// What a call of [`Session::open`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Bytes of ciphertext that are done with. The others come again, with more behind them.
    pub(crate) eaten: usize,
    /// Bytes of plaintext.
    pub(crate) len: usize,
    /// The peer will send nothing more.
    pub(crate) end: bool,
}

/// What a server's session and a client's have to be asked differently.
pub(crate) trait Side: Sized {
    /// The mark of the side in the types of the library.
    type Data;

    /// Goes on with the handshake.
    fn process<'c, 'i>(&'c mut self, cipher: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// Gives out what the handshake agreed upon.
    fn finish(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error>;

    /// Has something to send.
    fn has_output(&self) -> bool;

    /// Keeps a ticket for a later session with the same server.
    fn take_ticket(secrets: &mut KernelConnection<Self::Data>, ticket: &[u8]) -> Result<(), Error>;
}

impl<S: Side> Session<S> {
    /// A session whose handshake begins. What is to be sent is put behind `reply`: a client speaks first.
    pub(crate) fn new(side: S, reply: &mut Vec<u8>) -> Result<Session<S>, Error> {
        let mut session = Session { phase: Phase::Handshake { side: Box::new(side), begun: 0 } };
        session.shake(&mut [], reply)?;
        Ok(session)
    }

    /// True until the handshake is done.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Handshake { .. })
    }

    /// Decrypts what is whole of `cipher` to `plain`, which is at least as long. What has to be answered is put behind
    /// `reply`, also what tells the peer about an error.
    ///
    /// # Errors
    /// The session has failed.
    pub(crate) fn open(
        &mut self,
        cipher: &mut [u8],
        plain: &mut [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Opened, Error> {
        let mut opened = Opened { eaten: self.shake(cipher, reply)?, len: 0, end: false };
        let Phase::Traffic(traffic) = &mut self.phase else { return Ok(opened) };
        loop {
            let rest = &cipher[opened.eaten..];
            let said = match frame(rest) {
                Ok(Framed::Cut) => return Ok(opened),
                Ok(Framed::Whole(len)) => {
                    opened.eaten += len;
                    traffic.open(&rest[..len], &mut plain[opened.len..], reply)
                }
                Err(error) => Err(error),
            };
            match said {
                Ok(Said::Data(len)) => opened.len += len,
                Ok(Said::Nothing) => {}
                // What follows is none of ours (RFC 8446 section 6.1).
                Ok(Said::Goodbye) => return Ok(Opened { eaten: cipher.len(), end: true, ..opened }),
                Err(error) => {
                    traffic.last_words(&error, reply);
                    self.phase = Phase::Over;
                    return Err(error);
                }
            }
        }
    }

    /// Encrypts as much of `queue` as `out` has room for, and that is at least one record of the largest size. Answers how
    /// long the ciphertext is: 0 before the handshake is done.
    ///
    /// # Errors
    /// The session has failed.
    pub(crate) fn seal(
        &mut self,
        queue: &mut WriteQueue,
        buffers: &mut Buffers,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        match &mut self.phase {
            Phase::Handshake { .. } => Ok(0),
            Phase::Traffic(traffic) => traffic.seal(queue, buffers, out),
            Phase::Over => Err(Error::General("the session has failed".into())),
        }
    }

    /// Puts behind `reply` that we shall send nothing more.
    pub(crate) fn goodbye(&mut self, reply: &mut Vec<u8>) {
        if let Phase::Traffic(traffic) = &mut self.phase {
            traffic.goodbye(reply);
        }
    }

    /// Goes on with the handshake. Answers how much of `cipher` is done with.
    fn shake(&mut self, cipher: &mut [u8], reply: &mut Vec<u8>) -> Result<usize, Error> {
        let Phase::Handshake { side, begun } = &mut self.phase else { return Ok(0) };
        let (mut eaten, mut shown) = (0, *begun);
        loop {
            let UnbufferedStatus { discard, state } = side.process(&mut cipher[eaten..shown]);
            eaten += discard;
            match state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, reply)?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::WriteTraffic(_)) => break,
                Ok(ConnectionState::BlockedHandshake) => {
                    // Record by record, so that none behind the last one of the handshake is taken for a part of it.
                    shown += match frame(&cipher[shown..]) {
                        Ok(Framed::Whole(len)) => len,
                        Ok(Framed::Cut) => {
                            *begun = shown - eaten;
                            return Ok(eaten);
                        }
                        // The library knows what to answer.
                        Err(_) => cipher.len() - shown,
                    };
                }
                // The peer ends the handshake, or sends early data, which nobody has asked for.
                Ok(_) => return Err(Error::HandshakeNotComplete),
                Err(error) => {
                    while side.has_output()
                        && let Ok(ConnectionState::EncodeTlsData(data)) = side.process(&mut []).state
                    {
                        encode(data, reply)?;
                    }
                    self.phase = Phase::Over;
                    return Err(error);
                }
            }
        }
        if let Phase::Handshake { side, .. } = std::mem::replace(&mut self.phase, Phase::Over) {
            let (keys, secrets) = side.finish()?;
            self.phase = Phase::Traffic(Traffic::new(keys, secrets)?);
        }
        Ok(shown)
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, cipher: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(cipher)
    }

    fn finish(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error> {
        self.dangerous_into_kernel_connection()
    }

    fn has_output(&self) -> bool {
        self.wants_write()
    }

    fn take_ticket(_: &mut KernelConnection<Self::Data>, _: &[u8]) -> Result<(), Error> {
        Err(rustls::InvalidMessage::UnexpectedMessage("a ticket of a client").into())
    }
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, cipher: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(cipher)
    }

    fn finish(self) -> Result<(ExtractedSecrets, KernelConnection<Self::Data>), Error> {
        self.dangerous_into_kernel_connection()
    }

    fn has_output(&self) -> bool {
        self.wants_write()
    }

    fn take_ticket(secrets: &mut KernelConnection<Self::Data>, ticket: &[u8]) -> Result<(), Error> {
        secrets.handle_new_session_ticket(ticket)
    }
}

/// Puts a part of the handshake behind `reply`.
fn encode<D>(mut data: EncodeTlsData<'_, D>, reply: &mut Vec<u8>) -> Result<(), Error> {
    let end = reply.len();
    loop {
        match data.encode(&mut reply[end..]) {
            Ok(len) => {
                reply.truncate(end + len);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(needed)) => reply.resize(end + needed.required_size, 0),
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
