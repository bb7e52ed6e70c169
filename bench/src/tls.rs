//! TLS as a load client needs it: a named authority or none at all, and a full handshake for every connection.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::failure::Failure;

/// Whom to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust<'a> {
    /// The certificates of this PEM file; a self-signed server certificate may stand there itself.
    Authority(&'a Path),
    /// Anybody: the channel is encrypted, and nobody knows with whom.
    Anybody,
}

/// A client configuration: TLS 1.2 and 1.3, ALPN `http/1.1`, no resumption (each connection stands for a client of
/// its own).
///
/// # Errors
/// [`Failure::Usage`] names the file if it cannot be read or holds no usable certificate.
pub fn client_config(trust: Trust<'_>) -> Result<Arc<ClientConfig>, Failure> {
    configure(trust, aws_lc_rs::default_provider())
}

/// As [`client_config`], for anybody, but with TLS 1.3 and AES-128-GCM alone: the same work for every server.
///
/// # Errors
/// [`Failure::Usage`] if the library does not have that.
pub fn uniform_config() -> Result<Arc<ClientConfig>, Failure> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    configure(Trust::Anybody, provider)
}

fn configure(trust: Trust<'_>, provider: CryptoProvider) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(provider);
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Authority(path) => {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots(path)?), Arc::clone(&provider))
                .build()
                .map_err(|error| Failure::Usage(format!("--ca {}: {error}", path.display())))?
        }
        Trust::Anybody => Arc::new(Unverified(Arc::clone(&provider))),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Usage(format!("TLS cannot be set up: {error}")))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn roots(path: &Path) -> Result<RootCertStore, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("--ca {}: {why}", path.display()));
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        store.add(certificate).map_err(|error| wrong(&error))?;
    }
    if store.is_empty() { Err(wrong(&"the file holds no certificate")) } else { Ok(store) }
}

/// Takes every certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing.pem");
        let text = client_config(Trust::Authority(&missing)).unwrap_err().to_string();
        assert!(text.contains("missing.pem"), "{text}");
        let empty = directory.path().join("empty.pem");
        std::fs::write(&empty, "nothing\n").unwrap();
        let text = client_config(Trust::Authority(&empty)).unwrap_err().to_string();
        assert!(text.contains("empty.pem") && text.contains("no certificate"), "{text}");
    }
}
