//! Recognizes credentials that the cloud has refused.

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use fastrand::Rng;
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use zeroize::Zeroizing;

use crate::base::secrets::Credentials;

/// The number of rounds. Slows down a thief of the state directory who guesses passwords, and is feasible on a Raspberry Pi.
const ROUNDS: NonZeroU32 = NonZeroU32::new(60_000).unwrap();

/// Returns a salted hash of `credentials`, which recognizes them without storing them.
pub fn hash(credentials: &Credentials, rng: &mut Rng) -> String {
    let salt: [u8; 16] = rng.u128(..).to_le_bytes();
    let mut digest = [0; 32];
    pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, &salt, &joined(credentials), &mut digest);
    format!("{}${}", BASE64_STANDARD_NO_PAD.encode(salt), BASE64_STANDARD_NO_PAD.encode(digest))
}

/// Returns whether `hash` is a hash of `credentials`.
pub fn is_same(hash: &str, credentials: &Credentials) -> bool {
    let decode = |text: &str| BASE64_STANDARD_NO_PAD.decode(text).ok();
    let Some((salt, digest)) = hash.split_once('$').and_then(|(a, b)| Some((decode(a)?, decode(b)?))) else {
        return false;
    };
    pbkdf2::verify(PBKDF2_HMAC_SHA256, ROUNDS, &salt, &joined(credentials), &digest).is_ok()
}

fn joined(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([credentials.username.as_bytes(), credentials.password.expose().as_bytes()].join(&0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secrets::Secret;

    fn credentials(password: &str) -> Credentials {
        Credentials { username: "owner@example.com".to_owned(), password: Secret::new(password.to_owned()) }
    }

    #[test]
    fn refused_credentials_are_known_again_and_not_kept() {
        let hash = hash(&credentials("wrong"), &mut Rng::with_seed(3));
        assert!(is_same(&hash, &credentials("wrong")));
        assert!(!is_same(&hash, &credentials("right")));
        assert!(!hash.contains("wrong") && !hash.contains("owner"));
        assert!(!is_same("", &credentials("wrong")) && !is_same("a$b", &credentials("wrong")));
    }
}
