//! One layer by itself, so many times as told: `layers NAME TIMES`, to be run under a counter of instructions.
//!
//! `bench/instructions` runs it twice and takes the difference, so that the start does not count. Without arguments every
//! layer runs a few times.

mod nowhere;

use std::env;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use lapps_bench::samples::{HEAD, LIMITS, frames};
use lapps_lua::{ConnId, Event, Progress, Protocol, Reactive, Setup, Source, Verdict};
use lapps_parser::frame::write_frame;
use lapps_parser::handshake::accept_key;
use lapps_parser::http::{HeadLimits, HeadScan, RequestHead};
use lapps_parser::utf8::is_valid;
use lapps_parser::{Decoder, Incoming, OpCode, Role};
use nowhere::Nowhere;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// The server's.
#[global_allocator]
static ALLOCATOR: lapps::Allocator = lapps::Allocator;

/// What it does `times` times.
type Layer = fn(times: u32);

const LAYERS: &[(&str, Layer)] = &[
    ("decode-20", |times| decode(20, times)),
    ("decode-128", |times| decode(128, times)),
    ("decode-16384", |times| decode(16_384, times)),
    ("encode-128", encode),
    ("utf8-ascii-1024", |times| utf8("x", times)),
    ("utf8-mixed-1024", |times| utf8("a\u{e9}\u{6f22}\u{1f980}b ", times)),
    ("upgrade-head-500", head),
    ("accept-key", key),
    ("lapps-echo-128", lapps_echo),
    ("tls-echo-128", tls_echo),
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    match &arguments[..] {
        [name, times] => {
            let layer = LAYERS.iter().find(|(known, _)| known == name).expect("a layer of that name");
            layer.1(times.parse().expect("how many times"));
        }
        _ => LAYERS.iter().for_each(|(_, layer)| layer(10)),
    }
}

/// Frames that came one by one.
fn decode(size: usize, times: u32) {
    let mut bytes = frames(OpCode::Binary, size, 1);
    let mut decoder = Decoder::new(Role::Server);
    for _ in 0..times {
        let step = decoder.decode(&LIMITS, black_box(&mut bytes)).expect("a well-formed frame");
        let Some(Incoming::Message { payload, .. }) = step.incoming else { panic!("no message") };
        black_box(payload.as_mut_ptr());
    }
}

fn encode(times: u32) {
    let payload = [b'x'; 128];
    let mut out = Vec::with_capacity(256);
    for _ in 0..times {
        out.clear();
        write_frame(black_box(&mut out), true, OpCode::Binary, black_box(&payload));
    }
}

fn utf8(piece: &str, times: u32) {
    let text = piece.repeat(1024 / piece.len());
    for _ in 0..times {
        assert!(is_valid(black_box(text.as_bytes())));
    }
}

fn head(times: u32) {
    let limits = HeadLimits::default();
    let bytes = HEAD.as_bytes();
    for _ in 0..times {
        let end = HeadScan::new().find_end(black_box(bytes), &limits).expect("a head").expect("all of it");
        let head = RequestHead::parse(&bytes[..end], &limits).expect("a request");
        black_box(&head);
    }
}

fn key(times: u32) {
    for _ in 0..times {
        black_box(accept_key(black_box(b"dGhlIHNhbXBsZSBub25jZQ==")));
    }
}

const ECHO: &str = "
local function nothing() end
local methods = {}
function methods.echo(handler, params)
  local response = nljson.decode('{\"cid\":0,\"status\":1,\"result\":[]}')
  response.result = params
  return ws:send(handler, response)
end
return {
    onStart = nothing, onDisconnect = nothing, onShutdown = nothing,
    onMessage = function(h, kind, message) return methods[message.method](h, message.params) end,
}";

/// A request of the LAppS protocol with one parameter of 128 bytes, and its response.
fn lapps_echo(times: u32) {
    let setup = Setup {
        memory_limit: 256 << 20,
        protocol: Protocol::Lapps,
        ..Setup::new("bench", Source::Embedded { text: ECHO })
    };
    let mut service = Reactive::load(&setup).expect("the service loads");
    assert_eq!(service.start(&mut Nowhere).expect("the service starts"), Progress::Done);
    let mut payload = lapps_bench::envelope::Envelope::lapps(128).sent;
    let text = payload.len();
    payload.extend([b'x'; 128]);
    for n in 0..times {
        // Every message differs.
        payload[text..text + 8].copy_from_slice(format!("{n:08}").as_bytes());
        let conn = ConnId::new(0, n % 240, 1);
        let event = Event::Message { conn, opcode: OpCode::Binary, payload: &payload };
        assert!(matches!(service.deliver(&mut Nowhere, event), Verdict::Keep));
    }
}

/// 128 bytes there and back through a session of TLS 1.3 with AES-128-GCM, both ends.
fn tls_echo(times: u32) {
    let (mut client, mut server) = session();
    let mut wire = Vec::with_capacity(4096);
    let mut bytes = [b'x'; 128];
    for _ in 0..times {
        client.writer().write_all(&bytes).expect("room in the session");
        carry(&mut wire, |wire| client.write_tls(wire), |wire| server.read_tls(wire));
        server.process_new_packets().expect("a record");
        std::io::Read::read_exact(&mut server.reader(), &mut bytes).expect("what was sent");
        server.writer().write_all(&bytes).expect("room in the session");
        carry(&mut wire, |wire| server.write_tls(wire), |wire| client.read_tls(wire));
        client.process_new_packets().expect("a record");
        std::io::Read::read_exact(&mut client.reader(), &mut bytes).expect("what was sent");
    }
}

fn carry(
    wire: &mut Vec<u8>,
    out: impl FnOnce(&mut dyn Write) -> std::io::Result<usize>,
    read: impl FnOnce(&mut dyn std::io::Read) -> std::io::Result<usize>,
) {
    wire.clear();
    out(wire).expect("a vector takes it");
    read(&mut &wire[..]).expect("a session takes it");
}

/// A client and a server that have shaken hands.
fn session() -> (ClientConnection, ServerConnection) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites = vec![rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = Arc::new(provider);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a key that fits");
    config.send_tls13_tickets = 0;
    let mut server = ServerConnection::new(Arc::new(config)).expect("a server");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        while client.wants_write() {
            carry(&mut wire, |wire| client.write_tls(wire), |wire| server.read_tls(wire));
        }
        server.process_new_packets().expect("a handshake");
        while server.wants_write() {
            carry(&mut wire, |wire| server.write_tls(wire), |wire| client.read_tls(wire));
        }
        client.process_new_packets().expect("a handshake");
    }
    (client, server)
}
