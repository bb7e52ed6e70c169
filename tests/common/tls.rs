//! The client's TLS: it trusts everybody, because the tests are not about certificates.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DEFAULT_VERSIONS, DigitallySignedStruct, HandshakeKind,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};

use super::client::{Client, Stream};
use super::process::Lapps;

impl Client {
    /// Connects with these versions of TLS, and offers these protocols in ALPN.
    pub fn with_tls(
        server: &Lapps,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Client {
        let socket = TcpStream::connect(server.address).expect("connect");
        Client::with_session(socket, Some(session(versions, protocols)))
    }

    /// Connects and sends its ClientHello byte by byte.
    pub fn drop_by_drop(server: &Lapps) -> Client {
        let mut session = session(DEFAULT_VERSIONS, &[]);
        let mut socket = TcpStream::connect(server.address).expect("connect");
        socket.set_nodelay(true).unwrap();
        for byte in first_flight(&mut session) {
            socket.write_all(&[byte]).unwrap();
        }
        Client::with_session(socket, Some(session))
    }

    /// The protocol that the server chose in ALPN.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => stream.conn.alpn_protocol(),
        }
    }

    /// The certificate that the server showed, or had shown when the session was first made.
    pub fn certificate(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(stream.conn.peer_certificates()?.first()?),
        }
    }

    /// Connects by a configuration that may have tickets of sessions before.
    pub fn returning(server: &Lapps, config: &Arc<ClientConfig>) -> Client {
        let socket = TcpStream::connect(server.address).expect("connect");
        let name = ServerName::try_from("localhost").unwrap();
        Client::with_session(socket, Some(ClientConnection::new(Arc::clone(config), name).unwrap()))
    }

    /// Whether its session goes on with one from before.
    pub fn is_resumed(&self) -> bool {
        match &self.stream {
            Stream::Plain(_) => false,
            Stream::Tls(stream) => stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// The cipher suite that the server chose.
    pub fn suite(&self) -> Option<CipherSuite> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => stream.conn.negotiated_cipher_suite().map(|suite| suite.suite()),
        }
    }
}

/// The bytes of a ClientHello.
pub fn hello() -> Vec<u8> {
    first_flight(&mut session(DEFAULT_VERSIONS, &[]))
}

fn first_flight(session: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    bytes
}

/// A session that has not begun.
pub(super) fn session(
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> ClientConnection {
    let config = config(versions, protocols);
    ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap()
}

/// What sessions have in common, their tickets among other things.
pub fn config(versions: &[&'static SupportedProtocolVersion], protocols: &[&[u8]]) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// Reads plaintext; 0 is the end that close_notify and FIN make. A FIN alone is an error of the kind `UnexpectedEof`.
pub(super) fn read(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let read = stream.read(buffer)?;
    if read == 0 && stream.sock.read(&mut [0])? > 0 {
        return Err(io::Error::other("bytes after close_notify"));
    }
    Ok(read)
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
