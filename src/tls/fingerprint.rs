//! A public key in short.

use std::fmt;
use std::fmt::Write as _;

use rustls::Error as TlsError;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use webpki::EndEntityCert;

use super::judged;

/// The SHA-256 of a gateway's public key (SPKI), in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of the key in `certificate`; an error for what cannot be read, such as X.509 version 1.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let parsed = EndEntityCert::try_from(certificate).map_err(|error| judged(Unreadable::from(error)))?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &parsed.subject_public_key_info());
        let hex = digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").ok();
            text
        });
        Ok(Self(hex))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("it is of X.509 version 1, which is not read any more")]
    Version,
    #[error("it cannot be read: {0}")]
    Other(webpki::Error),
}

impl From<webpki::Error> for Unreadable {
    fn from(error: webpki::Error) -> Self {
        match error {
            webpki::Error::UnsupportedCertVersion => Self::Version,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn of(pem: &[u8]) -> Result<Fingerprint, TlsError> {
        Fingerprint::of(&CertificateDer::from_pem_slice(pem).unwrap())
    }

    fn gateway() -> Fingerprint {
        of(include_bytes!("../../fixtures/tls/gateway.pem")).unwrap()
    }

    #[test]
    fn a_fingerprint_is_what_openssl_computes_from_the_public_key() {
        // openssl x509 -in gateway.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum
        assert_eq!(gateway().to_string(), "07c3cb2d446fdcfca0a43f6c25ff2ab0d76d2090f20717ef173bb8f8301a9b38");
    }

    #[test]
    fn a_certificate_of_version_1_cannot_be_checked() {
        assert!(of(include_bytes!("../../fixtures/tls/version1.pem")).is_err());
    }

    #[test]
    fn a_fingerprint_is_stored_as_plain_hexadecimal() {
        let fingerprint = gateway();
        assert_eq!(serde_json::to_string(&fingerprint).unwrap(), format!("\"{fingerprint}\""));
    }
}
