//! Checks that a gateway owns the key that it shows.
//!
//! Which key may be shown is not judged here: a connection knows the key of its other end, and what may be sent there
//! depends on it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error as TlsError, SignatureScheme};

use super::fingerprint::{Fingerprint, judged};

/// What ring cannot verify. A gateway that signs so is read under [`Check::Nothing`] only.
const UNVERIFIABLE: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// Why a handshake was ended that was signed in one of [`UNVERIFIABLE`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its key signs with {0:?}, which this program cannot verify")]
struct Unverifiable(SignatureScheme);

/// What is asked of a gateway's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Any readable key, as long as the gateway proves that it owns it.
    Ownership,
    /// Nothing: for a certificate that cannot be checked at all (`tls = "insecure"`).
    Nothing,
}

/// Verifies the ownership of a key, and nothing else of a certificate.
#[derive(Debug)]
pub(super) struct KeyVerifier {
    pub(super) check: Check,
    pub(super) provider: Arc<CryptoProvider>,
}

impl KeyVerifier {
    /// The gateway's proof, in the signature scheme `scheme`, that it owns the key it shows, checked by `verify`.
    fn proven(
        &self,
        scheme: SignatureScheme,
        verify: impl FnOnce() -> Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match self.check {
            Check::Ownership if UNVERIFIABLE.contains(&scheme) => Err(judged(Unverifiable(scheme))),
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
        self.proven(dss.scheme, || verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(dss.scheme, || verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        // Always, and last: a gateway that has no other then shows its certificate rather than end the handshake with an
        // alert that says nothing.
        schemes.extend(UNVERIFIABLE);
        schemes
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::io::tls::provider;

    fn verifier(check: Check) -> KeyVerifier {
        KeyVerifier { check, provider: provider() }
    }

    fn admits(check: Check, certificate: &CertificateDer<'_>) -> bool {
        let name = ServerName::try_from("envoy.local").unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        verifier(check).verify_server_cert(certificate, &[], &name, &[], now).is_ok()
    }

    #[test]
    fn any_readable_key_may_be_shown_and_without_a_check_even_what_is_no_certificate() {
        let replaced =
            CertificateDer::from_pem_slice(include_bytes!("../../../fixtures/tls/replaced.pem")).unwrap();
        let junk = CertificateDer::from(vec![0x30, 0x00]);
        assert!(admits(Check::Ownership, &replaced));
        assert!(!admits(Check::Ownership, &junk));
        assert!(admits(Check::Nothing, &junk));
    }

    #[test]
    fn a_signature_that_cannot_be_verified_is_taken_without_a_check_alone() {
        let odd = SignatureScheme::ECDSA_NISTP521_SHA512;
        let proven = |check| {
            let verifier = verifier(check);
            let offered = verifier.supported_verify_schemes();
            assert!(offered.contains(&odd) && offered.first() != Some(&odd), "{offered:?}");
            verifier.proven(odd, || panic!("it cannot be verified"))
        };
        proven(Check::Nothing).unwrap();
        let error = proven(Check::Ownership).unwrap_err();
        let shown = crate::io::tls::in_words(&error);
        assert_eq!(shown, "its key signs with ECDSA_NISTP521_SHA512, which this program cannot verify");
    }
}
