//! Which keys are trusted: the cloud by its certificate authority, a gateway by the key it showed first.
//!
//! A gateway's certificate is self-signed and names nobody, so its chain, name and dates say nothing. What
//! says something is its public key: the same key as last time is the same gateway.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::{Deserialize, Serialize};
use webpki::EndEntityCert;

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

fn judged(why: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

/// What is wrong with a gateway's certificate, for people.
pub fn in_words(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.to_string(),
        TlsError::InvalidCertificate(CertificateError::BadSignature) => {
            "it does not prove that it owns the key it shows".to_owned()
        }
        other => other.to_string(),
    }
}

/// The cryptography behind every TLS connection: ring, which is small and builds for every Raspberry Pi.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// TLS 1.2 or 1.3 to a gateway, by `trust`.
pub fn gateway_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let judge = KeyJudge { trust: trust.clone(), provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows no certificate, so it would not be judged by a rule that has changed meanwhile.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// TLS to the cloud, trusted by the platform's certificate authorities. These are read from disk and kept in
/// memory: build it when a login is due and drop it after. An error where the platform has none.
pub fn cloud_config() -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS that trusts nobody, for a client that speaks plain http only.
pub fn empty_config() -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

#[derive(Debug)]
struct KeyJudge {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl KeyJudge {
    /// The gateway's proof that it owns the key it shows, checked by `verify`.
    fn proven(
        &self,
        certificate: &CertificateDer<'_>,
        verify: impl FnOnce() -> Result<HandshakeSignatureValid, TlsError>,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        // Again: the rule may have changed since the certificate arrived.
        self.trust.admit(certificate)?;
        let proof = match self.trust.rule() {
            Rule::Insecure => HandshakeSignatureValid::assertion(),
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
        self.proven(cert, || verify_tls12_signature(message, cert, dss, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.proven(cert, || verify_tls13_signature(message, cert, dss, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.provider.signature_verification_algorithms.supported_schemes();
        if self.trust.rule() == Rule::Insecure {
            // Nothing is verified then, so a gateway may sign with what ring cannot read.
            schemes.extend([
                SignatureScheme::ECDSA_NISTP521_SHA512,
                SignatureScheme::RSA_PKCS1_SHA1,
                SignatureScheme::ECDSA_SHA1_Legacy,
            ]);
        }
        schemes
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn certificate(pem: &[u8]) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem).unwrap()
    }

    fn gateway() -> CertificateDer<'static> {
        certificate(include_bytes!("../fixtures/tls/gateway.pem"))
    }

    fn replaced() -> CertificateDer<'static> {
        certificate(include_bytes!("../fixtures/tls/replaced.pem"))
    }

    #[test]
    fn a_fingerprint_is_what_openssl_computes_from_the_public_key() {
        // openssl x509 -in gateway.pem -noout -pubkey | openssl pkey -pubin -outform der | sha256sum
        assert_eq!(
            Fingerprint::of(&gateway()).unwrap().to_string(),
            "07c3cb2d446fdcfca0a43f6c25ff2ab0d76d2090f20717ef173bb8f8301a9b38"
        );
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
    fn a_certificate_of_version_1_cannot_be_checked() {
        let old = certificate(include_bytes!("../fixtures/tls/version1.pem"));
        assert!(Fingerprint::of(&old).is_err());
    }

    #[test]
    fn insecure_offers_the_signatures_that_nobody_checks() {
        let schemes = |rule| {
            let judge = KeyJudge { trust: Trust::new(rule), provider: provider() };
            judge.supported_verify_schemes().contains(&SignatureScheme::ECDSA_NISTP521_SHA512)
        };
        assert!(schemes(Rule::Insecure) && !schemes(Rule::FirstUse));
    }

    #[test]
    fn a_fingerprint_is_stored_as_plain_hexadecimal() {
        let fingerprint = Fingerprint::of(&gateway()).unwrap();
        assert_eq!(serde_json::to_string(&fingerprint).unwrap(), format!("\"{fingerprint}\""));
    }
}
