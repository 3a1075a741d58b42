//! Where the account and its password come from.
//!
//! The password is read when a login is due and not before, so that a corrected file is seen without a
//! restart, and so that it does not lie in memory for a year.

use std::path::PathBuf;

use crate::files;
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
    /// The reason.
    pub source: files::Error,
}

impl UnreadableSecret {
    /// Whether a later attempt may succeed without a change by a person.
    pub fn may_pass(&self) -> bool {
        matches!(&self.source, files::Error::System(error) if !files::needs_a_person(error))
    }
}

/// The longest file that a secret is read from: its first line is all that counts.
const LONGEST: u64 = 64 * 1024;

impl SecretSource {
    /// Reads the secret; the line break at its end does not belong to it.
    pub fn read(&self, what: &'static str) -> Result<Secret, UnreadableSecret> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let unreadable = |source| UnreadableSecret { what, path: path.clone(), source };
                let bytes = files::read_bounded(path, LONGEST).map_err(unreadable)?;
                let text = str::from_utf8(&bytes).map_err(|_bytes| unreadable(files::Error::NotText))?;
                Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
            }
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
    use std::fs;

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
