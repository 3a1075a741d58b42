//! TLS: the cloud is verified by certificate authority, a gateway by its key.
//!
//! A gateway's certificate is self-signed and contains no name, so its chain, name and dates prove nothing. Its public
//! key does: the same key as last time means the same gateway.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, OtherError, RootCertStore,
};

pub mod authorities;
mod fingerprint;
mod provider;
mod verifier;

pub use authorities::authorities_config;
pub use fingerprint::Fingerprint;
pub use provider::provider;
pub use verifier::Check;
use verifier::KeyVerifier;

/// Returns the configuration for TLS 1.2 or 1.3 to a gateway, which may have any key.
pub fn gateway_config(check: Check) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = KeyVerifier { check, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Each connection must prove the key in a handshake of its own.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Returns the configuration for TLS to the cloud, which trusts the platform's certificate authorities.
pub fn cloud_config() -> Result<ClientConfig, authorities::Error> {
    let mut config = authorities_config()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns a configuration without certificate authorities, for a client that uses only plain http.
pub fn empty_config() -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Describes why a handshake with a gateway failed.
pub fn in_words(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.to_string(),
        // ring reports RSA keys below 2048 bits as a bad signature.
        TlsError::InvalidCertificate(CertificateError::BadSignature) => {
            "it does not prove ownership of its key, or the key is too short".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::HandshakeFailure) => {
            "it refused all versions and ciphers that this program offers".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion) => {
            "it does not support TLS 1.2 or later".to_owned()
        }
        other => other.to_string(),
    }
}
