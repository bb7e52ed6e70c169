//! What the echo servers share: arguments, the listener, TLS, and how each socket gets to its handler.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Whatever ends a server or a connection.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A socket, plain or TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// What one server does with a socket.
pub trait Handler: Copy + 'static {
    /// Upgrades it, and echoes until the client closes.
    fn serve(self, stream: impl Stream) -> impl Future<Output = Result<(), Failure>>;
}

/// Serves on a free port of 127.0.0.1, one thread, for ever: `[CERTIFICATE.pem KEY.pem]` are the arguments.
///
/// # Errors
/// If the files cannot be used or the port cannot be had.
pub fn run(handler: impl Handler) -> Result<(), Failure> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let acceptor = match &files[..] {
        [certificate, key] => Some(acceptor(certificate, key)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let scheme = if acceptor.is_some() { "wss" } else { "ws" };
        println!("listening on {scheme}://{}", listener.local_addr()?);
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            // A connection that fails is the client's to notice.
            tokio::task::spawn_local(async move {
                match acceptor {
                    None => handler.serve(socket).await,
                    Some(acceptor) => handler.serve(acceptor.accept(socket).await?).await,
                }
            });
        }
    })
}

fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, Failure> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
