//! TLS: to the cloud by its certificate authority, to a gateway by the key it owns.
//!
//! A gateway's certificate is self-signed and names nobody, so its chain, name and dates say nothing. What
//! says something is its public key: the same key as last time is the same gateway.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, OtherError, RootCertStore,
};

pub mod authorities;
mod fingerprint;
mod verifier;

pub use authorities::authorities_config;
pub use fingerprint::Fingerprint;
pub use verifier::Check;
use verifier::KeyVerifier;

/// The cryptography behind every TLS connection: ring, which is small and builds for every Raspberry Pi.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// TLS 1.2 or 1.3 to a gateway, whatever key it owns.
pub fn gateway_config(check: Check) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = KeyVerifier { check, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Each connection shows its key in a handshake of its own.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// TLS to the cloud, trusted by the platform's certificate authorities.
pub fn cloud_config() -> Result<ClientConfig, authorities::Error> {
    let mut config = authorities_config()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS that trusts nobody, for a client that speaks plain http only.
pub fn empty_config() -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Why a handshake with a gateway failed, for people.
pub fn in_words(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.to_string(),
        // ring calls RSA below 2048 bits a bad signature.
        TlsError::InvalidCertificate(CertificateError::BadSignature) => {
            "it does not prove that it owns the key it shows, or the key is too short".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::HandshakeFailure) => {
            "it refused everything that this program offers".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion) => {
            "it speaks no TLS from version 1.2 on".to_owned()
        }
        other => other.to_string(),
    }
}
