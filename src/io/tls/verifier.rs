//! Checks that a gateway owns the key that it presents.
//!
//! Any key is accepted here. The connection records the key of the remote end, which decides what may be sent there.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error as TlsError, SignatureScheme};

use super::fingerprint::{Fingerprint, certificate_error};

/// The signature schemes that ring cannot verify. A gateway that uses one can be read only with [`Check::Nothing`].
const UNVERIFIABLE: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// The error for a handshake signed with one of [`UNVERIFIABLE`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its key signs with {0:?}, which this program cannot verify")]
struct Unverifiable(SignatureScheme);

/// The check of a gateway's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The gateway must prove that it owns the key. Any key is accepted.
    Ownership,
    /// No check, for certificates that cannot be checked at all (`tls = "insecure"`).
    Nothing,
}

/// Verifies the ownership of a key, and nothing else of a certificate.
#[derive(Debug)]
pub(super) struct KeyVerifier {
    pub(super) check: Check,
    pub(super) provider: Arc<CryptoProvider>,
}

impl KeyVerifier {
    /// Checks with `verify` that the gateway owns the key, which signs with `scheme`.
    fn verify_ownership(
        &self,
        scheme: SignatureScheme,
        verify: impl FnOnce() -> Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match self.check {
            Check::Ownership if UNVERIFIABLE.contains(&scheme) => {
                Err(certificate_error(Unverifiable(scheme)))
            }
            Check::Ownership => verify(),
            Check::Nothing => Ok(HandshakeSignatureValid::assertion()),
        }
    }
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if self.check == Check::Ownership {
            Fingerprint::of(end_entity)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.verify_ownership(dss.scheme, || verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.verify_ownership(dss.scheme, || verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        // Always offered, as the last: otherwise a gateway without another scheme ends the handshake with an alert that
        // does not name the reason.
        schemes.extend(UNVERIFIABLE);
        schemes
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::io::tls::provider::provider;

    fn verifier(check: Check) -> KeyVerifier {
        KeyVerifier { check, provider: provider() }
    }

    fn accepts(check: Check, certificate: &CertificateDer<'_>) -> bool {
        let name = ServerName::try_from("envoy.local").unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        verifier(check).verify_server_cert(certificate, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn any_valid_key_is_accepted_and_without_a_check_even_an_invalid_certificate() {
        let replaced =
            CertificateDer::from_pem_slice(include_bytes!("../../../fixtures/tls/replaced.pem")).unwrap();
        let junk = CertificateDer::from(vec![0x30, 0x00]);
        assert!(accepts(Check::Ownership, &replaced));
        assert!(!accepts(Check::Ownership, &junk));
        assert!(accepts(Check::Nothing, &junk));
    }

    #[test]
    fn a_signature_that_cannot_be_verified_is_accepted_only_without_a_check() {
        let scheme = SignatureScheme::ECDSA_NISTP521_SHA512;
        let verified = |check| {
            let verifier = verifier(check);
            let offered = verifier.supported_verify_schemes();
            assert!(offered.contains(&scheme) && offered.first() != Some(&scheme), "{offered:?}");
            verifier.verify_ownership(scheme, || panic!("it cannot be verified"))
        };
        verified(Check::Nothing).unwrap();
        let error = verified(Check::Ownership).unwrap_err();
        let shown = crate::io::tls::in_words(&error);
        assert_eq!(shown, "its key signs with ECDSA_NISTP521_SHA512, which this program cannot verify");
    }
}
