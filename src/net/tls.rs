//! The server's TLS configuration: certificate, key, versions.

pub(crate) mod records;
pub(crate) mod session;
mod traffic;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, ServerConfig};

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

/// A certificate with its key, ready for sessions.
#[derive(Debug)]
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// What a session needs. It keeps it, whatever is current later.
    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// One for tests, whose certificate is in its configuration alone.
    #[cfg(test)]
    pub(crate) fn of(config: Arc<ServerConfig>) -> Identity {
        Identity { chain: Vec::new(), config }
    }

    /// True for the same certificates, and so for the same key. Who has the first need not take the second, which knows
    /// nothing of the tickets that the first has given out.
    pub(crate) fn is_same(&self, other: &Identity) -> bool {
        self.chain == other.chain
    }
}

/// Reads the certificate chain and the key that `tls` names. Tickets of sessions are its own: one that was given out under
/// another certificate makes a whole handshake, so that clients see the new one.
///
/// # Errors
/// A file is missing, unreadable, or holds something else than what is wanted, or key and certificate do not belong
/// together.
pub(crate) fn load(tls: &Tls) -> Result<Identity, TlsError> {
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
    let (provider, in_hardware) = provider();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .map_err(|error| fail(&tls.certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates.clone(), key)
        .map_err(|error| {
            fail(&tls.key, format!("cannot be used with {}: {error}", tls.certificate.display()))
        })?;
    config.ignore_client_order = in_hardware;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // One ticket key for all workers, changed by itself; early data stays off.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| fail(&tls.key, error.to_string()))?;
    config.send_tls13_tickets = 1;
    // The handshake is the library's; what comes after it goes straight from buffer to buffer: see `session`.
    config.enable_secret_extraction = true;
    Ok(Identity { chain: certificates, config: Arc::new(config) })
}

/// The cipher suites in our order, and whether that goes before the client's: with AES in hardware AES-128 comes first. It
/// is as safe as AES-256 for as long as anybody can tell, takes ten rounds for fourteen, and is what browsers ask for;
/// libraries that ask for AES-256 first mostly mean no more by it than their default. Without that hardware the client
/// decides.
fn provider() -> (CryptoProvider, bool) {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    (provider, has_aes())
}

fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[allow(unreachable_code)]
    false
}

fn unreadable(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("does not hold {wanted}"),
        other => format!("is not {wanted}: {other:?}"),
    }
}
