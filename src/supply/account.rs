//! The account to log in with: where its password comes from, and whether it is the one that was refused.
//!
//! The password is read when a login is due and not before, so that a corrected file is seen without a
//! restart, and so that it does not lie in memory for a year.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use fastrand::Rng;
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};

use crate::secrets::{Credentials, Secret};

/// Enough to make guessing slow for who has stolen the state directory, and little enough for a Raspberry Pi.
const ROUNDS: NonZeroU32 = NonZeroU32::new(60_000).unwrap();

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The first line of a file.
    File(PathBuf),
    /// Given at the start: from the environment, or asked for on the terminal.
    Given(Secret),
}

/// A secret that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the {what} from {}: {source}", path.display())]
pub struct UnreadableSecret {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl SecretSource {
    /// Reads the secret; the line break at its end does not belong to it.
    pub fn read(&self, what: &'static str) -> Result<Secret, UnreadableSecret> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned())),
                Err(source) => Err(UnreadableSecret { what, path: path.clone(), source }),
            },
        }
    }
}

/// The owner's account, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The e-mail address.
    pub username: Option<String>,
    /// Where the password is.
    pub password: Option<SecretSource>,
}

impl Account {
    /// The credentials; `None` where one half is missing.
    pub fn credentials(&self) -> Result<Option<Credentials>, UnreadableSecret> {
        let Some((username, source)) = self.username.as_ref().zip(self.password.as_ref()) else {
            return Ok(None);
        };
        let password = source.read("cloud password")?;
        if username.is_empty() || password.is_empty() {
            return Ok(None);
        }
        Ok(Some(Credentials { username: username.clone(), password }))
    }
}

/// A salted hash of `credentials`, to know them again without keeping them.
pub fn hash(credentials: &Credentials, rng: &mut Rng) -> String {
    let salt: [u8; 16] = rng.u128(..).to_le_bytes();
    let mut digest = [0; 32];
    pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, &salt, &joined(credentials), &mut digest);
    format!("{}${}", BASE64_STANDARD_NO_PAD.encode(salt), BASE64_STANDARD_NO_PAD.encode(digest))
}

/// Whether `hash` was made from these `credentials`.
pub fn is_same(hash: &str, credentials: &Credentials) -> bool {
    let decode = |text: &str| BASE64_STANDARD_NO_PAD.decode(text).ok();
    let Some((salt, digest)) = hash.split_once('$').and_then(|(a, b)| Some((decode(a)?, decode(b)?))) else {
        return false;
    };
    pbkdf2::verify(PBKDF2_HMAC_SHA256, ROUNDS, &salt, &joined(credentials), &digest).is_ok()
}

fn joined(credentials: &Credentials) -> Vec<u8> {
    [credentials.username.as_bytes(), credentials.password.expose().as_bytes()].join(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_password_file_is_read_at_each_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let account = Account {
            username: Some("owner@example.com".to_owned()),
            password: Some(SecretSource::File(file.path().to_owned())),
        };
        assert_eq!(account.credentials().unwrap(), None, "an empty password is none");
        fs::write(file.path(), "pass word\n").unwrap();
        assert_eq!(account.credentials().unwrap(), Some(credentials("pass word")));
        file.close().unwrap();
        assert!(
            account.credentials().unwrap_err().to_string().starts_with("cannot read the cloud password from")
        );
    }
}
