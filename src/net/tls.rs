//! The server's TLS configuration: certificate, key, versions.

pub(crate) mod records;
pub(crate) mod session;
mod traffic;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Tls, TlsVersion};

/// Why TLS cannot be configured. Names the file.
#[derive(Debug)]
pub struct TlsError {
    file: PathBuf,
    what: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

impl std::error::Error for TlsError {}

/// Reads the certificate chain and the key that `tls` names.
///
/// # Errors
/// A file is missing, unreadable, or holds something else than what is wanted, or key and certificate do not belong
/// together.
pub(crate) fn load(tls: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let fail = |file: &Path, what: String| TlsError { file: file.to_owned(), what };
    let certificates = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(&tls.certificate, unreadable(&error, "a PEM certificate")))?;
    if certificates.is_empty() {
        return Err(fail(&tls.certificate, "holds no PEM certificate (-----BEGIN CERTIFICATE-----)".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| fail(&tls.key, unreadable(&error, "a PEM private key")))?;
    let versions: &[&rustls::SupportedProtocolVersion] = match tls.minimum {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| fail(&tls.certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| {
            fail(&tls.key, format!("cannot be used with {}: {error}", tls.certificate.display()))
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // One ticket key for all workers, changed by itself; early data stays off.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| fail(&tls.key, error.to_string()))?;
    config.send_tls13_tickets = 1;
    // The handshake is the library's; what comes after it goes straight from buffer to buffer: see `session`.
    config.enable_secret_extraction = true;
    Ok(Arc::new(config))
}

fn unreadable(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("does not hold {wanted}"),
        other => format!("is not {wanted}: {other:?}"),
    }
}
