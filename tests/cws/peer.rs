//! A server written by hand, that says exactly the bytes it is told to.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use lapps_parser::decoder::{Decoder, Incoming, Limits, Role};
use lapps_parser::frame::{OpCode, write_frame};
use lapps_parser::handshake::accept_key;

use crate::common::PATIENCE;
use crate::common::client::Got;

/// One connection of a client.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// The request, up to its empty line.
    pub(crate) head: String,
    input: Vec<u8>,
    decoder: Decoder,
}

/// Serves one client on a thread of its own. The receiver gets what `serve` returns.
pub(crate) fn once<T: Send + 'static>(
    serve: impl FnOnce(Peer) -> T + Send + 'static,
) -> (SocketAddr, Receiver<T>) {
    on("127.0.0.1:0", serve)
}

/// The same at this address.
pub(crate) fn on<T: Send + 'static>(
    address: &str,
    serve: impl FnOnce(Peer) -> T + Send + 'static,
) -> (SocketAddr, Receiver<T>) {
    let listener = TcpListener::bind(address).expect("a port");
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let _ = sender.send(serve(Peer::of(stream)));
    });
    (address, receiver)
}

impl Peer {
    fn of(stream: TcpStream) -> Peer {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut peer =
            Peer { stream, head: String::new(), input: Vec::new(), decoder: Decoder::new(Role::Server) };
        while !peer.head.ends_with("\r\n\r\n") {
            let mut byte = [0];
            if peer.stream.read(&mut byte).unwrap_or(0) == 0 {
                break;
            }
            peer.head.push(char::from(byte[0]));
        }
        peer
    }

    /// The value of a field of the request.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// An acceptance, with these further lines.
    pub(crate) fn acceptance(&self, more: &str) -> String {
        let key = self.field("Sec-WebSocket-Key").expect("a key");
        let accept = String::from_utf8(accept_key(key.as_bytes()).to_vec()).unwrap();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    }

    /// Accepts the client.
    pub(crate) fn accept(mut self) -> Peer {
        let acceptance = self.acceptance("");
        self.write(acceptance.as_bytes());
        self
    }

    /// Sends bytes as they are; a client that has gone is no failure.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) {
        let mut frame = Vec::new();
        write_frame(&mut frame, fin, opcode, payload);
        self.write(&frame);
    }

    /// Sends a close frame.
    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
        self.send(true, OpCode::Close, &payload);
    }

    /// The next frame or message, which has to be masked, or how the stream ended.
    pub(crate) fn get(&mut self) -> Got {
        let limits = Limits { max_message: usize::MAX, max_fragments: u32::MAX };
        loop {
            let mut input = std::mem::take(&mut self.input);
            if !input.is_empty() {
                let step = self.decoder.decode(&limits, &mut input).expect("a frame that a client may send");
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
            let mut buffer = [0; 64 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Got::Eof,
                Ok(read) => self.input.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Got::Reset,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// All that comes until the stream ends.
    pub(crate) fn rest(&mut self) -> Vec<Got> {
        let mut all = Vec::new();
        loop {
            let got = self.get();
            let is_end = matches!(got, Got::Eof | Got::Reset);
            all.push(got);
            if is_end {
                return all;
            }
        }
    }

    /// Says that nothing more will be sent, and reads to the end.
    pub(crate) fn finish(mut self) -> Vec<Got> {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.rest()
    }

    /// Cuts the connection with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
