//! The fingerprint of a public key.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error as TlsError, OtherError};
use serde::{Deserialize, Serialize};
use webpki::EndEntityCert;

/// The SHA-256 of a gateway's public key (SPKI), shown and stored in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "Cow<'_, str>")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns the fingerprint of the key in `certificate`. Fails for a certificate that cannot be parsed, such as
    /// X.509 version 1.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let parsed = EndEntityCert::try_from(certificate)
            .map_err(|error| certificate_error(Unreadable::from(error)))?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &parsed.subject_public_key_info());
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, hashed)| *byte = *hashed);
        Ok(Self(bytes))
    }
}

const INVALID: &str = "a fingerprint has 64 hexadecimal digits";

impl TryFrom<Cow<'_, str>> for Fingerprint {
    type Error = &'static str;

    fn try_from(text: Cow<'_, str>) -> Result<Self, &'static str> {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(INVALID);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high).zip(digit(*low)).map(|(h, l)| h << 4 | l).ok_or(INVALID)?;
        }
        Ok(Self(bytes))
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("it uses X.509 version 1, which is no longer supported")]
    Version,
    #[error("it cannot be parsed: {0}")]
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

/// Wraps an error of this program in the form that rustls passes on.
pub(super) fn certificate_error(why: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn of(pem: &[u8]) -> Result<Fingerprint, TlsError> {
        Fingerprint::of(&CertificateDer::from_pem_slice(pem).unwrap())
    }

    fn gateway() -> Fingerprint {
        of(include_bytes!("../../../fixtures/tls/gateway.pem")).unwrap()
    }

    #[test]
    fn a_fingerprint_equals_the_one_that_openssl_computes() {
        // openssl x509 -in gateway.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum
        assert_eq!(gateway().to_string(), "07c3cb2d446fdcfca0a43f6c25ff2ab0d76d2090f20717ef173bb8f8301a9b38");
    }

    #[test]
    fn a_certificate_of_version_1_cannot_be_checked() {
        assert!(of(include_bytes!("../../../fixtures/tls/version1.pem")).is_err());
    }

    #[test]
    fn a_fingerprint_is_stored_as_plain_hexadecimal() {
        let fingerprint = gateway();
        let stored = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(stored, format!("\"{fingerprint}\""));
        assert_eq!(serde_json::from_str::<Fingerprint>(&stored).unwrap(), fingerprint);
        for odd in [stored.replace('7', "x"), stored.replace("07", ""), stored.replace("07", "007")] {
            assert!(serde_json::from_str::<Fingerprint>(&odd).is_err(), "{odd}");
        }
    }
}
