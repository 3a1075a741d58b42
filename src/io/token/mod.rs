//! A gateway token (a JWT) and its claims. Only the gateway decides whether the token is valid.
//!
//! According to docs/protocol.md, section 2, `aud` is the gateway's serial number and `enphaseUser` is the role. The
//! lifetime, `exp - iat`, is 365 days for most owners, 12 hours for installers, and 1 hour for some owners.

mod readable;
pub mod store;
mod tokens;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::dangerous::insecure_decode_claims;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::printable::Printable;
use crate::base::reading::{NotASerial, Serial};
use crate::base::secrets::Secret;

/// The maximum length of a token. Real ones have 408 to 420 characters.
const MAX_LENGTH: usize = 8192;

/// The minimum lifetime of a token that is renewed automatically (L8).
pub const LONG_LIVED: Duration = Duration::from_hours(30 * 24);

/// The Entrez production key, an uncompressed point on P-256, in use since at least 2022 (docs/protocol.md, section 2).
#[rustfmt::skip]
const ENTREZ_KEY: [u8; 65] = [
    0x04, 0xe8, 0xf8, 0x40, 0x53, 0x73, 0x24, 0xe1, 0x6e, 0xc0, 0xad, 0xae, 0x61, 0x09, 0x63, 0xc7,
    0x0e, 0xdb, 0xfc, 0x2d, 0x8d, 0x02, 0xb4, 0x1c, 0x04, 0x56, 0x3e, 0x24, 0xe1, 0x3b, 0xbc, 0x29,
    0x10, 0x4c, 0x3a, 0x16, 0xd3, 0x70, 0x71, 0xe7, 0xc5, 0x82, 0x77, 0x50, 0xaa, 0x69, 0x20, 0xac,
    0xab, 0x68, 0x1d, 0x86, 0x15, 0x49, 0x8e, 0x84, 0x63, 0xfd, 0x3b, 0x68, 0xe6, 0x71, 0xbe, 0x14,
    0x03,
];

/// Why a text is not the token of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    /// The text does not have the three parts of a JWT.
    #[error(
        "this is not a token: a token is one long line that begins with `eyJ` and contains two dots. Copy the \
         whole line from https://entrez.enphaseenergy.com"
    )]
    Shape,
    /// The text is a JWT, but not for a gateway.
    #[error("this token is not for a gateway ({0})")]
    Claims(&'static str),
}

/// The role of the user of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The owner of the system.
    Owner,
    /// An installer. May read more pages; the token expires after 12 hours.
    Installer,
    /// A role that this program does not know.
    Other(String),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Installer => "installer",
            // The text comes from the issuer of the token.
            Self::Other(role) => return Printable(role).fmt(f),
        })
    }
}

/// An identifier that distinguishes tokens without revealing them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(String);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token and its claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub secret: Secret,
    /// The gateway that the token is for.
    pub serial: Serial,
    /// The role of the user.
    pub role: Role,
    /// The account, an e-mail address. Must not be logged.
    pub username: Option<String>,
    /// The time of issue.
    pub issued_at: Timestamp,
    /// The time of expiry.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    aud: Option<Audience>,
    iss: Option<String>,
    #[serde(rename = "enphaseUser")]
    enphase_user: Option<String>,
    username: Option<String>,
    iat: Option<i64>,
    exp: Option<i64>,
}

/// The `aud` claim: one name, or a list of names (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
    Other(IgnoredAny),
}

/// Returns the one gateway that a token is for.
fn audience(aud: Option<Audience>) -> Result<Serial, NotAToken> {
    let name = match aud {
        Some(Audience::One(name)) => name,
        Some(Audience::List(names)) => match <[String; 1]>::try_from(names) {
            Ok([name]) => name,
            Err(names) if names.is_empty() => return Err(NotAToken::Claims("it is for no gateway")),
            Err(_) => {
                return Err(NotAToken::Claims(
                    "it is for several gateways; choose one gateway when you create the token",
                ));
            }
        },
        Some(Audience::Other(_)) | None => return Err(NotAToken::Claims("it is for no gateway")),
    };
    Serial::parse(&name)
        .map_err(|NotASerial| NotAToken::Claims("its audience is not the serial number of a gateway"))
}

impl Token {
    /// Decodes a token. Ignores spaces and line breaks around and inside it, which may come from copying.
    pub fn decode(text: &str) -> Result<Self, NotAToken> {
        let mut whole = Zeroizing::new(String::with_capacity(text.len()));
        whole.extend(text.chars().filter(|c| !c.is_whitespace()));
        let text = whole.trim_matches('"');
        let well_formed = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        if text.len() > MAX_LENGTH || !text.starts_with("eyJ") || !text.bytes().all(well_formed) {
            return Err(NotAToken::Shape);
        }
        let claims = insecure_decode_claims::<Claims>(text).map_err(|_shape| NotAToken::Shape)?;
        let time = |seconds: Option<i64>| Timestamp::from_second(seconds?).ok();
        let expires_at = time(claims.exp).ok_or(NotAToken::Claims("it has no expiry time"))?;
        if claims.iss.as_deref() != Some("Entrez") {
            return Err(NotAToken::Claims("it was not issued by Entrez, Enphase's token service"));
        }
        Ok(Self {
            serial: audience(claims.aud)?,
            role: match claims.enphase_user.as_deref() {
                Some("owner") => Role::Owner,
                Some("installer") => Role::Installer,
                other => Role::Other(other.unwrap_or("unknown").to_owned()),
            },
            username: claims.username,
            issued_at: time(claims.iat).unwrap_or(expires_at),
            expires_at,
            secret: Secret::new(text.to_owned()),
        })
    }

    /// Returns the time from issue to expiry.
    pub fn lifetime(&self) -> Duration {
        Duration::try_from(self.expires_at.duration_since(self.issued_at)).unwrap_or_default()
    }

    /// Returns whether the token is renewed automatically (L8).
    pub fn is_long_lived(&self) -> bool {
        self.lifetime() >= LONG_LIVED
    }

    /// Returns the time to expiry at `now`; negative after it.
    pub fn remaining(&self, now: Timestamp) -> SignedDuration {
        self.expires_at.duration_since(now)
    }

    /// Returns the identifier for logs and records.
    pub fn id(&self) -> TokenId {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.secret.expose().as_bytes());
        TokenId(BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref().get(..6).unwrap_or_default()))
    }

    /// Returns whether Enphase's known key signed the token. `false` only causes a warning (L11): Enphase may replace
    /// the key, and the gateway decides.
    pub fn signed_by_entrez(&self) -> bool {
        signed_by(&ENTREZ_KEY, self.secret.expose())
    }
}

fn signed_by(key: &[u8], token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message.as_bytes(), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a token in the real format with `payload` and a signature of zeros.
    fn token(payload: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let header = part(r#"{"kid":"7d10005d-7899-4d0d-bcb4-244f98ee156b","typ":"JWT","alg":"ES256"}"#);
        format!("{header}.{}.{}", part(payload), BASE64_URL_SAFE_NO_PAD.encode([0; 64]))
    }

    const OWNER: &str = r#"{"aud":"122300000001","iss":"Entrez","enphaseUser":"owner","exp":1795170000,
        "iat":1763634000,"jti":"x","username":"owner@example.com"}"#;

    #[test]
    fn an_owner_token_is_read() {
        let token = Token::decode(&format!("  {}\n", token(OWNER))).unwrap();
        assert_eq!((token.serial.as_str(), &token.role), ("122300000001", &Role::Owner));
        assert_eq!(token.lifetime(), Duration::from_hours(365 * 24));
        assert!(token.is_long_lived());
        assert!(!token.signed_by_entrez(), "the signature is made of zeros");
        assert!(!format!("{token:?}").contains("eyJ"));
    }

    #[test]
    fn a_twelve_hour_token_is_short() {
        let payload = OWNER.replace("1795170000", "1763677200").replace("owner\"", "installer\"");
        let token = Token::decode(&token(&payload)).unwrap();
        assert_eq!(token.role, Role::Installer);
        assert_eq!(token.lifetime(), Duration::from_hours(12));
        assert!(!token.is_long_lived());
    }

    #[test]
    fn an_invalid_token_is_refused_with_the_reason() {
        for text in ["", "hello", "eyJ", "eyJhbGciOiJIUzI1NiJ9.e30", "eyJ<html>.a.b"] {
            assert_eq!(Token::decode(text).unwrap_err(), NotAToken::Shape, "{text}");
        }
        let other = token(&OWNER.replace("Entrez", "somebody"));
        assert!(Token::decode(&other).unwrap_err().to_string().contains("not issued by Entrez"));
        assert!(matches!(Token::decode(&token(r#"{"iss":"Entrez"}"#)), Err(NotAToken::Claims(_))));
    }

    #[test]
    fn a_token_is_for_one_gateway_by_serial_number() {
        let decode = |aud: &str| Token::decode(&token(&OWNER.replace("\"122300000001\"", aud)));
        assert_eq!(decode(r#"["122300000001"]"#).unwrap().serial.as_str(), "122300000001");
        for (aud, why) in [
            (r#"["122300000001","122300000002"]"#, "several gateways"),
            ("[]", "for no gateway"),
            ("7", "for no gateway"),
            ("null", "for no gateway"),
            (r#"{"a":1}"#, "for no gateway"),
            (r#""122300000001.copy""#, "not the serial number"),
            (r#"[".."]"#, "not the serial number"),
        ] {
            let error = decode(aud).unwrap_err();
            assert!(error.to_string().contains(why), "{aud}: {error}");
        }
    }

    #[test]
    fn a_truncated_token_is_refused() {
        let whole = token(OWNER);
        for cut in 0..whole.len() - 86 {
            assert!(Token::decode(&whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn two_tokens_have_different_identifiers() {
        let first = Token::decode(&token(OWNER)).unwrap();
        let second = Token::decode(&token(&OWNER.replace("\"x\"", "\"y\""))).unwrap();
        assert_ne!(first.id(), second.id());
        assert_eq!(first.id().to_string().len(), 8);
    }

    #[test]
    fn a_signature_is_checked_against_the_key() {
        use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
        let random = ring::rand::SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let unsigned = token(OWNER).rsplit_once('.').unwrap().0.to_owned();
        let signature = pair.sign(&random, unsigned.as_bytes()).unwrap();
        let signed = format!("{unsigned}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        assert!(signed_by(pair.public_key().as_ref(), &signed));
        assert!(!signed_by(&ENTREZ_KEY, &signed));
    }
}
