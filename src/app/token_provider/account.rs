//! The account that logs in. Recognizes credentials that the cloud has refused.

use std::num::NonZeroU32;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use fastrand::Rng;
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use zeroize::Zeroizing;

use crate::app::config::secret::{Account, STRIPPED, UnreadableSecret};
use crate::base::secrets::Credentials;
use crate::io::cloud::Kind;
use crate::rules::logins::hold_off::Halt;
use crate::rules::logins::record::Record;

/// The number of rounds. Slows down a thief of the state directory who guesses passwords, and is feasible on a Raspberry Pi.
const ROUNDS: NonZeroU32 = NonZeroU32::new(60_000).unwrap();

/// The account that logs in.
#[derive(Debug)]
pub(super) struct LoginAccount {
    account: Account,
    /// The last result of [`Self::refusal`], cached because the hash is slow.
    compared: Option<(Vec<Halt>, Credentials, Option<Kind>)>,
    /// `true` once the warning about blanks around the password is logged.
    warned_stripped: bool,
}

impl LoginAccount {
    pub(super) fn new(account: Account) -> Self {
        Self { account, compared: None, warned_stripped: false }
    }

    /// Replaces the account by the one that a person has completed at the terminal.
    pub(super) fn replace(&mut self, account: Account) {
        self.account = account;
    }

    pub(super) fn username(&self) -> String {
        self.account.username().unwrap_or_default().to_owned()
    }

    /// Returns the credentials as they are sent. Warns once about blanks around the password.
    pub(super) fn credentials(&mut self) -> Result<Option<Credentials>, UnreadableSecret> {
        let complete = self.account.complete()?;
        let stripped = complete.as_ref().is_some_and(|complete| complete.password_was_stripped);
        if stripped && !self.warned_stripped {
            self.warned_stripped = true;
            tracing::warn!("{STRIPPED}");
        }
        Ok(complete.map(|complete| complete.credentials))
    }

    /// Returns how the cloud refused these credentials, or `None` if it did not.
    pub(super) fn refusal(&mut self, record: &Record, credentials: &Credentials) -> Option<Kind> {
        if let Some((halts, compared, refusal)) = &self.compared
            && *halts == record.halts
            && compared == credentials
        {
            return *refusal;
        }
        let mut halts = record.halts.iter().rev();
        let refusal = halts.find(|halt| is_same(&halt.credentials, credentials)).map(|halt| halt.kind);
        self.compared = Some((record.halts.clone(), credentials.clone(), refusal));
        refusal
    }
}

/// Returns the hash of `credentials` that `record` contains, or a new one.
pub(super) fn hash_in(record: &Record, credentials: &Credentials, rng: &mut Rng) -> String {
    let known = record.halts.iter().find(|halt| is_same(&halt.credentials, credentials));
    known.map_or_else(|| hash(credentials, rng), |halt| halt.credentials.clone())
}

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
