//! Certificates and configurations for tests of sessions.

use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub(crate) fn server_config() -> Arc<ServerConfig> {
    server_config_of(tls13())
}

pub(crate) fn client_config() -> Arc<ClientConfig> {
    client_config_of(tls13())
}

/// A certificate for localhost, made once.
fn certificate() -> &'static (CertificateDer<'static>, PrivateKeyDer<'static>) {
    static MADE: OnceLock<(CertificateDer<'static>, PrivateKeyDer<'static>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.der().clone(), PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap())
    })
}

/// Every suite that fits the certificate.
pub(crate) fn suites() -> Vec<CryptoProvider> {
    let all = aws_lc_rs::default_provider().cipher_suites;
    all.into_iter()
        .filter(|suite| !format!("{suite:?}").contains("RSA"))
        .map(|suite| CryptoProvider { cipher_suites: vec![suite], ..aws_lc_rs::default_provider() })
        .collect()
}

pub(crate) fn tls13() -> CryptoProvider {
    suites().swap_remove(1)
}

pub(crate) fn tls12() -> CryptoProvider {
    suites().swap_remove(4)
}

pub(crate) fn server_config_of(provider: CryptoProvider) -> Arc<ServerConfig> {
    let (cert, key) = certificate();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key.clone_key())
        .unwrap();
    config.enable_secret_extraction = true;
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    config.send_tls13_tickets = 1;
    Arc::new(config)
}

pub(crate) fn client_config_of(provider: CryptoProvider) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate().0.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    Arc::new(config)
}

pub(crate) fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}
