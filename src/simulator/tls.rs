//! The transport and certificates of simulated servers.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// The transport of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain http, as with gateways before firmware 7.
    Plain,
    /// TLS 1.2, the newest version seen on a gateway, with a self-signed certificate.
    Tls(Key),
}

impl Transport {
    pub(super) const fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls(_) => "https",
        }
    }

    /// # Errors
    /// Fails if rustls does not accept the certificate, which does not happen with those of the repository.
    pub(super) fn acceptor(self) -> io::Result<Option<TlsAcceptor>> {
        match self {
            Self::Plain => Ok(None),
            Self::Tls(key) => key.acceptor().map(Some).map_err(io::Error::other),
        }
    }
}

/// A key and its certificate, from `fixtures/tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The key at the start.
    First,
    /// The key after a replacement or a reset.
    Replaced,
}

impl Key {
    fn acceptor(self) -> Result<TlsAcceptor, rustls::Error> {
        let (certificate, key): (&[u8], &[u8]) = match self {
            Self::First => (
                include_bytes!("../../fixtures/tls/gateway.pem"),
                include_bytes!("../../fixtures/tls/gateway.key"),
            ),
            Self::Replaced => (
                include_bytes!("../../fixtures/tls/replaced.pem"),
                include_bytes!("../../fixtures/tls/replaced.key"),
            ),
        };
        let damaged = |err: rustls::pki_types::pem::Error| rustls::Error::General(err.to_string());
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(damaged)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(damaged)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
