//! The server of a run: its address, and how to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::failure::Failure;
use crate::tls::{Trust, client_config};
use crate::url::{Scheme, Url};

/// A server that connections can be opened to.
#[derive(Debug, Clone)]
pub struct Target {
    /// As the user gave it.
    pub url: Url,
    /// Where it is.
    pub address: SocketAddr,
    /// For `wss://`: the TLS configuration and the name that its certificate must bear.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Target {
    /// Finds the server of `url`.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an unknown host, and for `wss://` without a word on whom to trust.
    pub fn find(url: Url, trust: Option<Trust<'_>>) -> Result<Target, Failure> {
        let tls = match (url.scheme, trust) {
            (Scheme::Wss, None) => {
                return Err(Failure::Usage(
                    "wss:// needs --ca FILE (the server's certificate or its authority, as PEM) or --insecure".into(),
                ));
            }
            (Scheme::Wss, Some(trust)) => {
                let name = ServerName::try_from(url.host.clone()).map_err(|error| {
                    Failure::Usage(format!("{:?} cannot be the name of a TLS server: {error}", url.host))
                })?;
                Some((client_config(trust)?, name))
            }
            (Scheme::Ws | Scheme::Tcp, _) => None,
        };
        let address = url.resolve()?;
        Ok(Target { url, address, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_needs_a_word_on_trust() {
        let url = Url::parse("wss://127.0.0.1:1/").unwrap();
        let text = Target::find(url.clone(), None).unwrap_err().to_string();
        assert!(text.contains("--ca FILE") && text.contains("--insecure"), "{text}");
        assert!(Target::find(url, Some(Trust::Anybody)).unwrap().tls.is_some());
    }
}
