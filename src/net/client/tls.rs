//! TLS of outgoing connections: whom to believe, and from which version on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::config::{ClientTls, TlsVersion};

/// Files whose certificates are kept at the same time.
const KEPT: usize = 64;

/// The TLS of all outgoing connections of a server. Certificates are read at the first use, and a file again when it has
/// changed.
#[derive(Debug)]
pub(crate) struct Trust {
    /// The configured file; `None`: the system's certificates.
    ca: Option<PathBuf>,
    minimum: TlsVersion,
    known: Mutex<HashMap<Option<PathBuf>, Known>>,
}

#[derive(Debug)]
struct Known {
    /// Of the file when it was read.
    modified: Option<SystemTime>,
    config: Arc<ClientConfig>,
}

impl Trust {
    pub(crate) fn new(tls: &ClientTls) -> Trust {
        Trust { ca: tls.ca.clone(), minimum: tls.minimum, known: Mutex::default() }
    }

    /// What a session needs that believes the certificates of the PEM file `ca`, or, without one, those that are configured
    /// or the system's. Reads files: not for a thread that others wait for.
    pub(crate) fn config(&self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
        let file = ca.map(Path::to_owned).or_else(|| self.ca.clone());
        let modified = file.as_ref().and_then(|file| file.metadata().ok()?.modified().ok());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&file)
            && known.modified == modified
        {
            return Ok(Arc::clone(&known.config));
        }
        let roots = match &file {
            Some(file) => roots_of(file)?,
            None => roots_of_system()?,
        };
        let config = self.build(roots)?;
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(file, Known { modified, config: Arc::clone(&config) });
        Ok(config)
    }

    fn build(&self, roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
        let versions: &[&rustls::SupportedProtocolVersion] = match self.minimum {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.enable_secret_extraction = true;
        // The library gathers entropy at its first use, for some 30 ms: here nobody waits for that.
        let _ = config.crypto_provider().secure_random.fill(&mut [0; 16]);
        Ok(Arc::new(config))
    }
}

/// The name that the server's certificate must have.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| format!("'{host}' is no name that a certificate can have"))
}

fn roots_of(file: &Path) -> Result<RootCertStore, String> {
    let wrong =
        |why: &dyn std::fmt::Display| format!("the certificates of {} cannot be used: {why}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"it holds no PEM certificate"));
    }
    Ok(roots)
}

fn roots_of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One that is broken does not keep the others from being believed.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!(
            "the system has no certificates to believe{why}; \"ca\" in tls_certificates of ws.json, or the option ca, \
             names a file with some"
        ));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> Trust {
        Trust::new(&ClientTls { ca: None, minimum: TlsVersion::Tls12 })
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let tls = trust();
        let missing = directory.path().join("missing.pem");
        assert!(tls.config(Some(&missing)).unwrap_err().contains("missing.pem"));
        let empty = directory.path().join("empty.pem");
        std::fs::write(&empty, "nothing\n").unwrap();
        let text = tls.config(Some(&empty)).unwrap_err();
        assert!(text.contains("empty.pem") && text.contains("no PEM certificate"), "{text}");
    }

    #[test]
    fn a_file_is_read_once_and_again_when_it_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let write = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(&file, made.cert.pem()).unwrap();
        };
        write();
        let tls = trust();
        let first = tls.config(Some(&file)).unwrap();
        assert!(Arc::ptr_eq(&first, &tls.config(Some(&file)).unwrap()));
        write();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert!(!Arc::ptr_eq(&first, &tls.config(Some(&file)).unwrap()));
    }
}
