//! A client that sends exactly the bytes it is told to, plain or through TLS, and reads frames and responses.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use lapps_parser::decoder::{Decoder, Incoming, Limits, Role};
use lapps_parser::frame::{OpCode, write_masked_frame};
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Type};

use super::process::Lapps;
use super::{PATIENCE, tls};

/// The key of RFC 6455 1.3, and what answers it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The mask of all frames that [`Client::send`] writes.
pub const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// One connection.
pub struct Client {
    pub(super) stream: Stream,
    /// Bytes that were read and not used.
    input: Vec<u8>,
    decoder: Decoder,
}

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What came from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code (0 if there is none) and reason.
    Close(u16, String),
    /// The end of the stream: FIN.
    Eof,
    /// The stream was reset.
    Reset,
}

/// A response head and body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// All that followed until the end of the stream; empty for 101.
    pub body: String,
}

impl Response {
    /// The value of a field, if it is there.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Client {
    /// Connects, with TLS if the server speaks it.
    pub fn connect(server: &Lapps) -> Client {
        Client::to(server.address, server.tls)
    }

    /// Connects to an address.
    pub fn to(address: SocketAddr, tls: bool) -> Client {
        Client::over(TcpStream::connect(address).expect("connect"), tls)
    }

    /// Connects with little room for what comes, so that what it does not read soon waits at the server.
    pub fn narrow(server: &Lapps) -> Client {
        let socket = socket2::Socket::new(Domain::for_address(server.address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&server.address.into()).expect("connect");
        Client::over(socket.into(), server.tls)
    }

    /// Gives a narrow client the room in which reading is quick.
    pub fn widen(&mut self) {
        socket2::SockRef::from(self.socket()).set_recv_buffer_size(1 << 20).unwrap();
    }

    fn over(socket: TcpStream, tls: bool) -> Client {
        Client::with_session(socket, tls.then(|| tls::session(rustls::DEFAULT_VERSIONS, &[])))
    }

    /// A client over a connected socket, with TLS if there is a session for it.
    pub(super) fn with_session(socket: TcpStream, session: Option<ClientConnection>) -> Client {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        let stream = match session {
            Some(session) => Stream::Tls(Box::new(StreamOwned::new(session, socket))),
            None => Stream::Plain(socket),
        };
        Client { stream, input: Vec::new(), decoder: Decoder::new(Role::Client) }
    }

    /// Connects and upgrades at `target`.
    pub fn open(server: &Lapps, target: &str) -> Client {
        Client::connect(server).upgraded(target)
    }

    /// Upgrades at `target`.
    pub fn upgraded(mut self, target: &str) -> Client {
        self.write(upgrade(target).as_bytes());
        let response = self.read_response();
        assert_eq!(response.status, 101, "{response:?}");
        assert_eq!(response.field("Sec-WebSocket-Accept"), Some(ACCEPT), "{response:?}");
        self
    }

    /// Writes frames as `next` makes them, without reading, until the server takes nothing for `quiet` or the bytes are
    /// more than `most`. Tells how many frames are written, and gives what of the last one is not. Plain only.
    pub fn stuff(
        &mut self,
        mut next: impl FnMut(u32) -> Vec<u8>,
        most: usize,
        quiet: Duration,
    ) -> (u32, Vec<u8>) {
        let mut socket = self.socket();
        socket.set_write_timeout(Some(quiet)).unwrap();
        let (mut count, mut written, mut rest) = (0, 0, Vec::new());
        while written < most {
            if rest.is_empty() {
                rest = next(count);
                count += 1;
            }
            match socket.write(&rest) {
                Ok(taken) => {
                    written += taken;
                    rest.drain(..taken);
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    break;
                }
                Err(error) => panic!("after {written} bytes: {error}"),
            }
        }
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        (count, rest)
    }

    /// Gets an echo of `text`.
    #[track_caller]
    pub fn echo(&mut self, text: &str) {
        self.text(text);
        assert_eq!(self.get(), Got::Text(text.into()));
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).expect("write");
    }

    /// Sends bytes as they are; a server that has closed is no failure of the test.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Sends one masked frame.
    pub fn send(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) {
        let mut frame = Vec::new();
        write_masked_frame(&mut frame, fin, opcode, payload, MASK);
        self.write(&frame);
    }

    /// Sends one text message.
    pub fn text(&mut self, text: &str) {
        self.send(true, OpCode::Text, text.as_bytes());
    }

    /// Sends one text message; a server that has closed is no failure of the test.
    pub fn try_text(&mut self, text: &str) -> io::Result<()> {
        let mut frame = Vec::new();
        write_masked_frame(&mut frame, true, OpCode::Text, text.as_bytes(), MASK);
        self.try_write(&frame)
    }

    /// Sends a close frame with a code.
    pub fn close(&mut self, code: u16) {
        self.send(true, OpCode::Close, &code.to_be_bytes());
    }

    /// The next frame or message, or how the stream ended.
    pub fn get(&mut self) -> Got {
        let limits = Limits { max_message: usize::MAX, max_fragments: u32::MAX };
        loop {
            let mut input = std::mem::take(&mut self.input);
            if !input.is_empty() {
                let step = self.decoder.decode(&limits, &mut input).expect("a frame that a server may send");
                let consumed = step.consumed;
                let got = step.incoming.map(|incoming| match incoming {
                    Incoming::Message { opcode: OpCode::Text, payload } => {
                        Got::Text(String::from_utf8(payload.to_vec()).expect("text is UTF-8"))
                    }
                    Incoming::Message { payload, .. } => Got::Binary(payload.to_vec()),
                    Incoming::Ping(payload) => Got::Ping(payload.to_vec()),
                    Incoming::Pong(payload) => Got::Pong(payload.to_vec()),
                    Incoming::Close { code, reason } => {
                        Got::Close(code.map_or(0, |code| code.get()), reason.to_owned())
                    }
                });
                self.input = input.split_off(consumed);
                if let Some(got) = got {
                    return got;
                }
            }
            match self.fill() {
                Ok(0) => return Got::Eof,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Got::Reset,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// The next `count` bytes as they come.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count {
            let read = self.fill().expect("bytes");
            assert!(read > 0, "the stream ended after {} of {count} bytes", self.input.len());
        }
        let rest = self.input.split_off(count);
        std::mem::replace(&mut self.input, rest)
    }

    /// All bytes until the stream ends, by FIN.
    pub fn everything(&mut self) -> Vec<u8> {
        while self.fill().expect("bytes or the end of the stream") > 0 {}
        std::mem::take(&mut self.input)
    }

    /// Reads a response head, and for anything but 101 the body until the end of the stream.
    pub fn read_response(&mut self) -> Response {
        let end = loop {
            if let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            let read = self.fill().expect("a response");
            assert!(
                read > 0,
                "the stream ended before a response: {:?}",
                String::from_utf8_lossy(&self.input)
            );
        };
        let rest = self.input.split_off(end);
        let head =
            String::from_utf8(std::mem::replace(&mut self.input, rest)).expect("a response head is ASCII");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        if status == 101 {
            return Response { status, head, body: String::new() };
        }
        while self.fill().expect("the body and the end of the stream") > 0 {}
        let body = String::from_utf8(std::mem::take(&mut self.input)).expect("a body in UTF-8");
        Response { status, head, body }
    }

    /// True when nothing comes for `time`, and the stream does not end either.
    pub fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.socket().set_read_timeout(Some(time)).unwrap();
        let quiet = self.input.is_empty()
            && match self.socket().peek(&mut [0]) {
                Ok(_) => false,
                Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            };
        self.socket().set_read_timeout(Some(PATIENCE)).unwrap();
        quiet
    }

    /// The status of the response; `None` if the stream ends without one.
    pub fn status(&mut self) -> Option<u16> {
        while !self.input.windows(4).any(|four| four == b"\r\n\r\n") {
            match self.fill() {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
        Some(self.read_response().status)
    }

    /// Reads until the stream ends, and throws away what comes. True: it ended by FIN, false: by a reset.
    pub fn drain(&mut self) -> bool {
        loop {
            self.input.clear();
            match self.fill() {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return true,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("the stream does not end: {error}"),
            }
        }
    }

    /// Says that nothing more will be sent (FIN), without TLS's word for it.
    pub fn half_close(&mut self) {
        self.socket().shutdown(Shutdown::Write).unwrap();
    }

    /// Cuts the connection with a reset.
    pub fn reset(mut self) {
        socket2::SockRef::from(self.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The socket below.
    pub fn socket(&mut self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut buffer)?,
            Stream::Tls(stream) => tls::read(stream, &mut buffer)?,
        };
        self.input.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

/// A good request for an upgrade at `target`.
pub fn upgrade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}
