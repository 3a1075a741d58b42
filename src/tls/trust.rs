//! Trust on first use: which key a gateway may show, and which one it has shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, SignatureScheme};

use super::{Fingerprint, judged};

/// Which key a gateway may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Any, as long as the gateway proves that it owns it: who asks has to remember it then.
    FirstUse,
    /// This one alone. Another ends the handshake before anything is sent.
    Only(Fingerprint),
    /// Anything, unproven: for a certificate that cannot be checked at all.
    Insecure,
}

/// The rule for one gateway, and the key that it showed last. Clones share both.
#[derive(Clone, Debug)]
pub struct Trust(Arc<Mutex<Judgement>>);

#[derive(Debug)]
struct Judgement {
    rule: Rule,
    seen: Option<Fingerprint>,
}

impl Trust {
    /// By `rule`; no key seen yet.
    pub fn new(rule: Rule) -> Self {
        Self(Arc::new(Mutex::new(Judgement { rule, seen: None })))
    }

    /// The rule in force.
    pub fn rule(&self) -> Rule {
        self.judgement().rule.clone()
    }

    /// Changes the rule; a connection that it would not have let through is not used again.
    pub fn set_rule(&self, rule: Rule) {
        self.judgement().rule = rule;
    }

    /// The key of the newest connection, which the gateway has proven to own (unless the rule is
    /// [`Rule::Insecure`]). `None` before the first.
    pub fn seen(&self) -> Option<Fingerprint> {
        self.judgement().seen.clone()
    }

    fn judgement(&self) -> MutexGuard<'_, Judgement> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the certificate's key may be spoken to; its owner is not proven yet.
    fn admit(&self, certificate: &CertificateDer<'_>) -> Result<(), TlsError> {
        let rule = self.rule();
        if rule == Rule::Insecure {
            return Ok(());
        }
        let seen = Fingerprint::of(certificate)?;
        match rule {
            Rule::Only(known) if known != seen => Err(judged(OtherKey { known, seen })),
            _ => Ok(()),
        }
    }

    /// Remembers the key of a handshake that has succeeded.
    fn note(&self, certificate: &CertificateDer<'_>) {
        self.judgement().seen = Fingerprint::of(certificate).ok();
    }
}

/// Why a handshake under [`Rule::Only`] was ended; found inside the TLS library's error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the key is {seen}, not {known}")]
pub struct OtherKey {
    /// The only key that is trusted.
    pub known: Fingerprint,
    /// The key that was shown.
    pub seen: Fingerprint,
}

impl OtherKey {
    /// The same, out of the TLS library's `error`.
    pub fn within(error: &TlsError) -> Option<&Self> {
        match error {
            TlsError::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref(),
            _ => None,
        }
    }
}

/// What ring cannot verify. A gateway that signs so is read under [`Rule::Insecure`] only, which verifies nothing.
const UNVERIFIABLE: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// Why a handshake was ended that was signed in one of [`UNVERIFIABLE`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its key signs with {0:?}, which this program cannot verify")]
struct Unverifiable(SignatureScheme);

/// What the TLS library asks about a gateway's key.
#[derive(Debug)]
pub(super) struct KeyJudge {
    pub(super) trust: Trust,
    pub(super) provider: Arc<CryptoProvider>,
}

impl KeyJudge {
    /// The gateway's proof, in the signature scheme `scheme`, that it owns the key it shows, checked by `verify`.
    fn proven(
        &self,
        certificate: &CertificateDer<'_>,
        scheme: SignatureScheme,
        verify: impl FnOnce() -> Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        // Again: the rule may have changed since the certificate arrived.
        self.trust.admit(certificate)?;
        let proof = match self.trust.rule() {
            Rule::Insecure => HandshakeSignatureValid::assertion(),
            Rule::FirstUse | Rule::Only(_) if UNVERIFIABLE.contains(&scheme) => {
                return Err(judged(Unverifiable(scheme)));
            }
            Rule::FirstUse | Rule::Only(_) => verify()?,
        };
        self.trust.note(certificate);
        Ok(proof)
    }
}

impl ServerCertVerifier for KeyJudge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.trust.admit(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(cert, dss.scheme, || verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(cert, dss.scheme, || verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        // Under every rule, and last: a gateway that has no other then shows its certificate rather than end the handshake
        // with an alert that says nothing.
        schemes.extend(UNVERIFIABLE);
        schemes
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::tls::provider;

    fn gateway() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("../../fixtures/tls/gateway.pem")).unwrap()
    }

    fn replaced() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("../../fixtures/tls/replaced.pem")).unwrap()
    }

    #[test]
    fn only_the_remembered_key_is_admitted() {
        let known = Fingerprint::of(&gateway()).unwrap();
        let trust = Trust::new(Rule::Only(known.clone()));
        trust.admit(&gateway()).unwrap();
        let refused = trust.admit(&replaced()).unwrap_err();
        let other = OtherKey::within(&refused).unwrap();
        assert_eq!((&other.known, &other.seen), (&known, &Fingerprint::of(&replaced()).unwrap()));
    }

    #[test]
    fn a_first_use_admits_any_key_and_insecure_even_what_is_no_certificate() {
        let junk = CertificateDer::from(vec![0x30, 0x00]);
        assert!(Trust::new(Rule::FirstUse).admit(&replaced()).is_ok());
        assert!(Trust::new(Rule::FirstUse).admit(&junk).is_err());
        assert!(Trust::new(Rule::Insecure).admit(&junk).is_ok());
    }

    #[test]
    fn a_signature_that_cannot_be_verified_is_taken_by_insecure_alone() {
        let odd = SignatureScheme::ECDSA_NISTP521_SHA512;
        let proven = |rule| {
            let judge = KeyJudge { trust: Trust::new(rule), provider: provider() };
            let offered = judge.supported_verify_schemes();
            assert!(offered.contains(&odd) && offered.first() != Some(&odd), "{offered:?}");
            judge.proven(&gateway(), odd, || panic!("it cannot be verified"))
        };
        proven(Rule::Insecure).unwrap();
        let error = proven(Rule::FirstUse).unwrap_err();
        let shown = crate::tls::in_words(&error);
        assert_eq!(shown, "its key signs with ECDSA_NISTP521_SHA512, which this program cannot verify");
    }
}
