//! One connection of the load client: connect, upgrade, talk, close.

use lapps_parser::handshake::{ResponseError, check_response, encode_key, write_request};
use lapps_parser::http::{HeadLimits, HeadScan, ResponseHead};
use lapps_parser::{CloseCode, Decoder, Incoming, Limits, OpCode, Role, close, frame};
use mio::event::Event;
use mio::net::TcpStream;
use rustls::ClientConnection;

use crate::failure::Failure;
use crate::random::Random;
use crate::target::Target;
use crate::transport::{Buffers, Stream, Transport};
use crate::url::Scheme;

/// What came back on an open connection.
#[derive(Debug)]
pub enum Arrived<'a> {
    /// A WebSocket message.
    Message {
        /// Text or binary.
        opcode: OpCode,
        /// Its payload.
        payload: &'a [u8],
    },
    /// Bytes of the bare echo.
    Bytes(&'a [u8]),
}

/// One connection. It is driven by [`Connection::ready`] with every event of its socket.
#[derive(Debug)]
pub struct Connection {
    id: u32,
    transport: Transport,
    state: State,
}

#[derive(Debug)]
enum State {
    Connecting(Box<Opening>),
    Upgrading(Box<Opening>),
    Open(Speech),
    /// This end has said that it is done.
    Closing(Speech),
    Closed,
}

/// What is needed only until the connection is open.
#[derive(Debug)]
struct Opening {
    /// The upgrade request; empty for the bare echo.
    request: Vec<u8>,
    key: [u8; 24],
    head: Vec<u8>,
    scan: HeadScan,
}

/// How bytes become what arrived.
#[derive(Debug)]
enum Speech {
    Frames(Decoder),
    Bare,
}

/// The client checks contents and lengths itself, and asks no more of the server.
const LIMITS: Limits = Limits { max_message: usize::MAX, max_fragments: u32::MAX };

impl Connection {
    /// Begins to connect.
    ///
    /// # Errors
    /// [`Failure::Connect`] if there is no descriptor, port or route for it.
    pub fn start(id: u32, target: &Target, random: &mut Random) -> Result<Connection, Failure> {
        let socket =
            TcpStream::connect(target.address).map_err(|error| Failure::Connect { connection: id, error })?;
        let tls = match &target.tls {
            None => None,
            Some((config, name)) => {
                let mut tls = ClientConnection::new(config.clone(), name.clone())
                    .map_err(|error| Failure::Tls { connection: id, error })?;
                // The depth of the run bounds what is under way; the session must not cut it.
                tls.set_buffer_limit(None);
                Some(Box::new(tls))
            }
        };
        let key = encode_key(random.nonce());
        let mut request = Vec::new();
        if target.url.scheme != Scheme::Tcp {
            write_request(&mut request, &target.url.host_field(), &target.url.target, &key, &[]);
        }
        let opening = Opening { request, key, head: Vec::new(), scan: HeadScan::new() };
        let transport = Transport::new(id, socket, tls);
        Ok(Connection { id, transport, state: State::Connecting(Box::new(opening)) })
    }

    /// The socket, to be registered with a poller.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.transport.socket()
    }

    /// Whether it is connected and upgraded, and no end has closed it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether nothing is left of it.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Does what an event of the socket asks for, and gives what arrived to `sink`. What there is to answer on the
    /// way (pongs) is in `buffers.out` afterwards: the caller adds its own and calls [`Connection::send`].
    ///
    /// # Errors
    /// The failures of connecting, TLS and upgrade; [`Failure::EarlyClose`] if the server ends a connection that
    /// this end has not closed; [`Failure::Violation`]; and what `sink` answers.
    pub fn ready(
        &mut self,
        event: &Event,
        buffers: &mut Buffers,
        random: &mut Random,
        mut sink: impl FnMut(Arrived<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if matches!(self.state, State::Closed) {
            return Ok(());
        }
        if matches!(self.state, State::Connecting(_)) && !self.connected(buffers)? {
            return Ok(());
        }
        let done = self.exchange(event, buffers, random, &mut sink);
        match done {
            // A server may answer a close with a reset; it owes nothing more.
            Err(Failure::EarlyClose { .. }) if matches!(self.state, State::Closing(_)) => {
                self.state = State::Closed;
                buffers.out.clear();
                Ok(())
            }
            done => done,
        }
    }

    /// Sends `buffers.out` and what was left of earlier sends, and empties it.
    ///
    /// # Errors
    /// [`Failure::EarlyClose`] if the connection is gone and this end has not closed it. A server that hangs up while this
    /// end is still sending has often said why before: then that is the failure.
    pub fn send(&mut self, buffers: &mut Buffers, random: &mut Random) -> Result<(), Failure> {
        let Err(failure) = self.transport.send(&mut buffers.out) else { return Ok(()) };
        let Connection { id, transport, state } = self;
        if matches!(state, State::Closing(_) | State::Closed) {
            *state = State::Closed;
            return Ok(());
        }
        let rest = transport
            .receive(buffers, true, |bytes, out| state.take(*id, bytes, out, random, &mut |_| Ok(())));
        *state = State::Closed;
        Err(rest.err().unwrap_or(failure))
    }

    /// Says goodbye: a close frame with code 1000 (RFC 6455 section 5.5.1), or the end of the stream. The server
    /// ends the connection then.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub fn close(&mut self, buffers: &mut Buffers, random: &mut Random) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(Speech::Frames(decoder)) => {
                self.state = State::Closing(Speech::Frames(decoder));
                let mut payload = Vec::new();
                close::write_payload(&mut payload, CloseCode::NORMAL, "");
                frame::write_masked_frame(&mut buffers.out, true, OpCode::Close, &payload, random.mask());
                self.send(buffers, random)
            }
            State::Open(Speech::Bare) => {
                self.state = State::Closing(Speech::Bare);
                match self.transport.finish(&mut buffers.out) {
                    Err(Failure::EarlyClose { .. }) => {
                        self.state = State::Closed;
                        Ok(())
                    }
                    finished => finished,
                }
            }
            other => {
                self.state = other;
                Ok(())
            }
        }
    }

    fn connected(&mut self, buffers: &mut Buffers) -> Result<bool, Failure> {
        let failed = |error| Failure::Connect { connection: self.id, error };
        let socket = self.transport.socket();
        if let Some(error) = socket.take_error().map_err(failed)? {
            return Err(failed(error));
        }
        match socket.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
        socket.set_nodelay(true).map_err(failed)?;
        self.state = match std::mem::replace(&mut self.state, State::Closed) {
            State::Connecting(opening) if opening.request.is_empty() => State::Open(Speech::Bare),
            State::Connecting(opening) => {
                buffers.out.extend_from_slice(&opening.request);
                self.transport.send(&mut buffers.out)?;
                State::Upgrading(opening)
            }
            other => other,
        };
        Ok(true)
    }

    fn exchange(
        &mut self,
        event: &Event,
        buffers: &mut Buffers,
        random: &mut Random,
        sink: &mut impl FnMut(Arrived<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if event.is_writable() {
            self.send(buffers, random)?;
        }
        if !event.is_readable() && !event.is_read_closed() && !event.is_error() {
            return Ok(());
        }
        let Connection { id, transport, state } = self;
        let to_the_end = event.is_read_closed() || event.is_error();
        let stream =
            transport.receive(buffers, to_the_end, |bytes, out| state.take(*id, bytes, out, random, sink))?;
        if stream == Stream::Ended {
            let ended = std::mem::replace(state, State::Closed);
            return ended.end(*id);
        }
        // A TLS session has things of its own to say while it begins.
        if matches!(state, State::Upgrading(_)) {
            transport.send(&mut buffers.out)?;
        }
        Ok(())
    }
}

impl State {
    /// Understands plaintext that came in.
    fn take(
        &mut self,
        id: u32,
        mut bytes: &mut [u8],
        out: &mut Vec<u8>,
        random: &mut Random,
        sink: &mut impl FnMut(Arrived<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let State::Upgrading(opening) = self {
            let Some(head) = opening.take(id, bytes)? else { return Ok(()) };
            bytes = &mut bytes[head..];
            *self = State::Open(Speech::Frames(Decoder::new(Role::Client)));
        }
        match self {
            State::Open(Speech::Bare) => sink(Arrived::Bytes(bytes)),
            State::Open(Speech::Frames(decoder)) => match hear(decoder, id, bytes, out, random, sink)? {
                None => Ok(()),
                Some(how) => Err(Failure::EarlyClose { connection: id, how }),
            },
            // Echoes that were still under way when this end closed count for nothing.
            State::Closing(Speech::Frames(decoder)) => {
                hear(decoder, id, bytes, out, random, &mut |_| Ok(())).map(|_| ())
            }
            State::Connecting(_) | State::Upgrading(_) | State::Closing(Speech::Bare) | State::Closed => {
                Ok(())
            }
        }
    }

    /// The stream has ended in this state.
    fn end(self, id: u32) -> Result<(), Failure> {
        match self {
            State::Closing(_) | State::Closed => Ok(()),
            State::Connecting(_) | State::Open(_) => {
                Err(Failure::EarlyClose { connection: id, how: "the stream ended".into() })
            }
            State::Upgrading(opening) if opening.head.is_empty() => Err(Failure::Refused {
                connection: id,
                answer: "it ended the connection without an answer".into(),
            }),
            State::Upgrading(_) => Err(Failure::Refused {
                connection: id,
                answer: "it ended the connection inside of its answer".into(),
            }),
        }
    }
}

impl Opening {
    /// Collects the response. `Some(n)`: it is whole and an acceptance, and ends with the first `n` of these bytes.
    fn take(&mut self, id: u32, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let refused = |answer: String| Failure::Refused { connection: id, answer };
        let limits = HeadLimits::default();
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let end = self.scan.find_end(&self.head, &limits).map_err(|error| refused(error.to_string()))?;
        let Some(end) = end else { return Ok(None) };
        let head =
            ResponseHead::parse(&self.head[..end], &limits).map_err(|error| refused(error.to_string()))?;
        check_response(&head, &self.key).map_err(|error| match error {
            ResponseError::Status(status) => {
                refused(format!("{status} {}", String::from_utf8_lossy(head.reason)))
            }
            error => refused(error.to_string()),
        })?;
        Ok(Some(end - before))
    }
}

/// Decodes frames: messages to `sink`, pongs to `out`. `Some` says how the server closed the connection.
#[inline]
fn hear(
    decoder: &mut Decoder,
    id: u32,
    bytes: &mut [u8],
    out: &mut Vec<u8>,
    random: &mut Random,
    sink: &mut impl FnMut(Arrived<'_>) -> Result<(), Failure>,
) -> Result<Option<String>, Failure> {
    let mut at = 0;
    loop {
        let step = decoder
            .decode(&LIMITS, &mut bytes[at..])
            .map_err(|violation| Failure::Violation { connection: id, violation })?;
        at += step.consumed;
        match step.incoming {
            None => return Ok(None),
            Some(Incoming::Message { opcode, payload }) => sink(Arrived::Message { opcode, payload })?,
            Some(Incoming::Ping(payload)) => {
                frame::write_masked_frame(out, true, OpCode::Pong, payload, random.mask());
            }
            Some(Incoming::Pong(_)) => {}
            Some(Incoming::Close { code, reason }) => {
                let code = code.map_or_else(|| "without a code".to_owned(), |code| code.get().to_string());
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                return Ok(Some(format!("close frame {code}{reason}")));
            }
        }
    }
}
