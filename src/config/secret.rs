//! Where the account and its password come from.
//!
//! The password is read when a login is due and not before, so that a corrected file is seen without a
//! restart, and so that it does not lie in memory for a year.

use std::fs;
use std::io;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::secrets::{Credentials, Secret};

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
                Ok(text) => {
                    let text = Zeroizing::new(text);
                    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_is_read_at_each_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let account = Account {
            username: Some("owner@example.com".to_owned()),
            password: Some(SecretSource::File(file.path().to_owned())),
        };
        assert_eq!(account.credentials().unwrap(), None, "an empty password is none");
        fs::write(file.path(), "pass word\n").unwrap();
        assert_eq!(account.credentials().unwrap().unwrap().password.expose(), "pass word");
        file.close().unwrap();
        let error = account.credentials().unwrap_err().to_string();
        assert!(error.starts_with("cannot read the cloud password from"), "{error}");
    }
}
