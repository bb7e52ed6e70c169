//! A WebSocket echo server for tests, with ways to be wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lapps_bench::bare::BareEcho;
use lapps_bench::echo::EchoPlan;
use lapps_bench::target::Target;
use lapps_bench::tls::Trust;
use lapps_bench::url::Url;
use lapps_parser::OpCode;
use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// What a server does with the messages of each connection.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Behaviour {
    /// Sends them back; of a request of the LAppS protocol its params as the result.
    Echo,
    /// Sends a ping before each echo, and no echo before its pong.
    Ping,
    /// Waits before each echo.
    Slow(Duration),
    /// Flips one bit in the last byte of the message of this number.
    Corrupt(u64),
    /// Sends each echo twice.
    Twice,
    /// Sends text back as binary.
    OtherOpcode,
    /// Sends a close frame in place of the echo of this number.
    Close(u64),
    /// The same, and then hangs up without reading what is still coming.
    HangUp(u64),
    /// Ends the stream in place of the echo of this number.
    Drop(u64),
    /// Reads and never answers.
    Silent,
}

/// Starts a server on a free port; it lives as long as the test.
pub(crate) fn serve(behaviour: Behaviour) -> SocketAddr {
    listen(move |socket| converse(socket, behaviour))
}

/// The same over TLS.
pub(crate) fn serve_tls(behaviour: Behaviour, config: Arc<ServerConfig>) -> SocketAddr {
    listen(move |socket| {
        let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        converse(rustls::StreamOwned::new(session, socket), behaviour);
    })
}

/// A server that reads a request head and answers with these bytes, then ends the stream.
pub(crate) fn serve_answer(answer: &'static str) -> SocketAddr {
    listen(move |mut socket| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|read| read == 1) {
            head.push(byte[0]);
        }
        let _ = socket.write_all(answer.as_bytes());
    })
}

/// The bare echo in a thread.
pub(crate) fn serve_bare() -> SocketAddr {
    let mut server = BareEcho::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = server.address().unwrap();
    thread::spawn(move || server.serve());
    address
}

/// A self-signed certificate for `name`, as a server uses it and as a client reads it.
pub(crate) fn certificate(name: &str) -> (Arc<ServerConfig>, tempfile::NamedTempFile) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(KeyPair::serialize_der(&signing_key)));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (Arc::new(config), file)
}

/// A short run: four connections, 0.1 s, gives up after 1 s without any progress.
pub(crate) fn plan(url: &str, trust: Option<Trust<'_>>) -> EchoPlan {
    EchoPlan {
        target: Target::find(Url::parse(url).unwrap(), trust).unwrap(),
        connections: 4,
        payload: 300,
        depth: 3,
        opcode: OpCode::Binary,
        lapps: false,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(100),
        rate: None,
        pid: None,
        stall: Duration::from_secs(10),
    }
}

fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(socket));
        }
    });
    address
}

/// Ends when the client or the behaviour ends it; errors are the client's business to notice.
fn converse(socket: impl Read + Write, behaviour: Behaviour) {
    let Ok(mut socket) = tungstenite::accept(socket) else { return };
    for number in 0.. {
        let Some(message) = next(&mut socket) else { return };
        let sent = match (behaviour, message) {
            (Behaviour::Silent, _) => Ok(()),
            (Behaviour::Slow(delay), message) => {
                thread::sleep(delay);
                socket.send(message)
            }
            (Behaviour::Ping, message) => ping(&mut socket).and_then(|()| socket.send(message)),
            (Behaviour::Corrupt(at), Message::Binary(bytes)) if at == number => {
                let mut bytes = bytes.to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                socket.send(Message::binary(bytes))
            }
            (Behaviour::Twice, message) => socket.send(message.clone()).and_then(|()| socket.send(message)),
            (Behaviour::OtherOpcode, message) => socket.send(Message::binary(message.into_data())),
            (Behaviour::Close(at), _) if at == number => close(&mut socket),
            (Behaviour::HangUp(at), _) if at == number => {
                let _ = close(&mut socket);
                return;
            }
            (Behaviour::Drop(at), _) if at == number => return,
            (Behaviour::Echo, Message::Binary(bytes)) if bytes.starts_with(b"\xa3\x65lapps") => {
                socket.send(Message::binary(response(&bytes)))
            }
            (_, message) => socket.send(message),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The response to a request of the LAppS protocol whose params are its last member.
fn response(request: &[u8]) -> Vec<u8> {
    let name = b"\x66params";
    let at = request.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    [b"\xa3\x63cid\x00\x66result", &request[at..], b"\x66status\x01"].concat()
}

/// The next text or binary message.
fn next(socket: &mut WebSocket<impl Read + Write>) -> Option<Message> {
    loop {
        let message = socket.read().ok()?;
        if message.is_text() || message.is_binary() {
            return Some(message);
        }
    }
}

fn close(socket: &mut WebSocket<impl Read + Write>) -> tungstenite::Result<()> {
    socket.close(Some(CloseFrame { code: 4001.into(), reason: "enough".into() }))?;
    socket.flush()
}

fn ping(socket: &mut WebSocket<impl Read + Write>) -> tungstenite::Result<()> {
    socket.send(Message::Ping("are you there".into()))?;
    loop {
        match socket.read()? {
            Message::Pong(payload) if payload == "are you there" => return Ok(()),
            other => assert!(!other.is_close(), "closed instead of answered"),
        }
    }
}
