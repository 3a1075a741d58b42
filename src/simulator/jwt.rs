//! Tokens in the format of those that Entrez signs.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// The role that a token is issued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The owner of the system.
    Owner,
    /// An installer, whose tokens are valid for 12 hours.
    Installer,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Installer => "installer",
        }
    }
}

/// A key for tests, made with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1`.
const KEY: &[u8] = include_bytes!("../../fixtures/token.key");
/// The header of Entrez, the same in every public token from 2022 to 2026.
const HEADER: &str = r#"{"kid":"7d10005d-7899-4d0d-bcb4-244f98ee156b","typ":"JWT","alg":"ES256"}"#;

/// Creates a token for the gateway `serial`, signed with the simulator's key and not with Entrez's.
pub fn mint_token(serial: &str, role: Role, issued: Timestamp, lifetime: Duration) -> String {
    mint(serial, "owner@example.com", role, issued, lifetime)
}

/// Returns the public key of the simulator's tokens: an uncompressed point of P-256, 65 bytes.
pub fn token_public_key() -> Vec<u8> {
    signing_key().public_key().as_ref().to_vec()
}

pub(super) fn mint(
    serial: &str,
    username: &str,
    role: Role,
    issued: Timestamp,
    lifetime: Duration,
) -> String {
    let expires = issued.as_second().saturating_add_unsigned(lifetime.as_secs());
    let payload = json!({
        "aud": serial, "iss": "Entrez", "enphaseUser": role.name(), "exp": expires,
        "iat": issued.as_second(), "jti": unique(), "username": username,
    });
    let signed =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload.to_string()));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature(&signed)))
}

/// Returns a random identifier in the format of a UUID.
#[expect(clippy::expect_used, reason = "fails only if the machine has no random numbers")]
fn unique() -> String {
    let bytes: [u8; 16] = ring::rand::generate(&SystemRandom::new()).expect("random numbers").expose();
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let at = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [at(0, 8), at(8, 12), at(12, 16), at(16, 20), at(20, 32)].join("-")
}

#[expect(clippy::expect_used, reason = "the key is a part of the source")]
fn signing_key() -> EcdsaKeyPair {
    let key = PrivatePkcs8KeyDer::from_pem_slice(KEY).expect("PEM");
    let random = SystemRandom::new();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der(), &random)
        .expect("a P-256 key")
}

/// Returns the signature as 64 bytes, r and s.
#[expect(clippy::expect_used, reason = "fails only if the machine has no random numbers")]
fn signature(signed: &str) -> Vec<u8> {
    let signature = signing_key().sign(&SystemRandom::new(), signed.as_bytes());
    signature.expect("random numbers").as_ref().to_vec()
}

/// Returns the claims of a token, if it has three parts and the second is JSON. Does not check the signature.
pub(super) fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    fn token() -> String {
        mint_token("122300000001", Role::Owner, "2026-06-21T12:00:00Z".parse().unwrap(), YEAR)
    }

    #[test]
    fn a_token_looks_like_one_from_entrez() {
        let token = token();
        assert!(token.starts_with("eyJraWQiOiI3ZDEwMDA1ZC03ODk5"), "{token}");
        assert!((380..440).contains(&token.len()), "{}", token.len());
        let claims = claims(&token).unwrap();
        assert_eq!(claims["aud"], "122300000001");
        assert_eq!(claims["enphaseUser"], "owner");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 31_536_000);
    }

    #[test]
    fn the_signature_matches_the_public_key() {
        let token = token();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(signature.len(), 64);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, token_public_key());
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn a_text_without_three_parts_has_no_claims() {
        assert_eq!(claims("a.b"), None);
        assert_eq!(claims(&format!("{}.x", token())), None);
        assert_eq!(claims("not a token"), None);
    }
}
