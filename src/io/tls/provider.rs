//! The cryptography behind TLS.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// Returns the cryptography for every TLS connection: ring, which is small and builds for every Raspberry Pi.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
