//! The sources of the account and its password.
//!
//! The password is read only when a login is due, so that a corrected file takes effect without a restart, and the
//! password does not stay in memory for a year.

use std::path::PathBuf;

use crate::base::secrets::{Credentials, Secret};
use crate::io::files;

/// The source of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// The first non-empty line of a file.
    File(PathBuf),
    /// A value from the environment or the terminal.
    Given(Secret),
}

/// A secret that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the {what} from {}: {source}", path.display())]
pub struct UnreadableSecret {
    what: &'static str,
    path: PathBuf,
    /// The underlying error.
    pub source: files::Error,
}

impl UnreadableSecret {
    /// Returns whether a later attempt may succeed without a change by a person.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(&self.source, files::Error::System(error) if !files::needs_a_person(error))
    }
}

/// The maximum size of a file with a secret.
const MAX_SIZE: u64 = 64 * 1024;

impl SecretSource {
    /// Reads the secret, without line breaks and the byte order mark that some editors write.
    pub fn read(&self, what: &'static str) -> Result<Secret, UnreadableSecret> {
        match self {
            Self::Given(secret) => Ok(Secret::new(first_line(secret.expose()).to_owned())),
            Self::File(path) => {
                let unreadable = |source| UnreadableSecret { what, path: path.clone(), source };
                let bytes = files::read_bounded(path, MAX_SIZE).map_err(unreadable)?;
                let text = str::from_utf8(&bytes).map_err(|_bytes| unreadable(files::Error::NotText))?;
                Ok(Secret::new(first_line(text).to_owned()))
            }
        }
    }
}

/// Returns the first non-empty line, without the byte order mark.
fn first_line(text: &str) -> &str {
    let mut lines = text.split(['\n', '\r']).map(|line| line.trim_matches('\u{feff}'));
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

/// Returns `text` without surrounding invisible characters: blanks, byte order marks, and the characters of zero width that
/// are copied along with text from a web page.
pub fn stripped(text: &str) -> &str {
    let invisible = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    text.trim_matches(invisible)
}

impl SecretSource {
    /// Reads the secret now, if possible, and stores it in memory.
    pub fn load(&mut self) {
        if let Ok(secret) = self.read("password") {
            *self = Self::Given(secret);
        }
    }
}

/// The owner's account, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The e-mail address.
    pub username: Option<String>,
    /// The source of the password.
    pub password: Option<SecretSource>,
}

/// The credentials of an [`Account`], as they are sent to the cloud.
#[derive(Debug, PartialEq, Eq)]
pub struct Complete {
    /// The credentials.
    pub credentials: Credentials,
    /// `true` if surrounding invisible characters of the password were ignored. This is worth a warning, because a password
    /// may, rarely, begin or end with a blank.
    pub password_was_stripped: bool,
}

/// The warning about a password that was stripped.
pub const STRIPPED: &str = "ignoring blanks or other invisible characters before or after the password, because they \
                            would cost a login if they are not part of it";

impl Account {
    /// Returns the credentials, or `None` if the username or password is missing. Surrounding blanks are ignored, because
    /// they would cost a login and look like a wrong password.
    pub fn complete(&self) -> Result<Option<Complete>, UnreadableSecret> {
        let Some((username, source)) = self.username().zip(self.password.as_ref()) else {
            return Ok(None);
        };
        let read = source.read("cloud password")?;
        let password = stripped(read.expose());
        if username.is_empty() || password.is_empty() {
            return Ok(None);
        }
        let password_was_stripped = password.len() < read.expose().len();
        let password = if password_was_stripped { Secret::new(password.to_owned()) } else { read };
        let credentials = Credentials { username: username.to_owned(), password };
        Ok(Some(Complete { credentials, password_was_stripped }))
    }

    /// Returns the credentials, or `None` if the username or password is missing.
    pub fn credentials(&self) -> Result<Option<Credentials>, UnreadableSecret> {
        Ok(self.complete()?.map(|complete| complete.credentials))
    }

    /// Returns the e-mail address as it is sent to the cloud.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref().map(stripped)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn account(path: &Path) -> Account {
        Account {
            username: Some("owner@example.com".to_owned()),
            password: Some(SecretSource::File(path.to_owned())),
        }
    }

    #[test]
    fn a_password_file_is_read_at_each_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let account = account(file.path());
        assert_eq!(account.credentials().unwrap(), None, "an empty password is none");
        fs::write(file.path(), "pass word\n").unwrap();
        assert_eq!(account.credentials().unwrap().unwrap().password.expose(), "pass word");
        file.close().unwrap();
        let error = account.credentials().unwrap_err().to_string();
        assert!(error.starts_with("cannot read the cloud password from"), "{error}");
    }

    #[test]
    fn invisible_characters_around_a_password_are_ignored_and_reported_unless_an_editor_writes_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (written, is_reported) in [
            ("pass word", false),
            ("pass word\n", false),
            ("pass word\r\n", false),
            ("\n\npass word\nsomething else\n", false),
            ("\u{feff}pass word\r\n", false),
            ("\u{feff}\r\npass word", false),
            (" pass word\n", true),
            ("pass word \n", true),
            ("\tpass word\t\r\n", true),
            ("\u{feff} pass word\n", true),
            ("\u{a0}pass word\u{200b}", true),
        ] {
            fs::write(file.path(), written).unwrap();
            let given = SecretSource::Given(Secret::new(written.to_owned()));
            for source in [SecretSource::File(file.path().to_owned()), given] {
                let account = Account { password: Some(source), ..account(file.path()) };
                let complete = account.complete().unwrap().unwrap();
                assert_eq!(complete.credentials.password.expose(), "pass word", "{written:?}");
                assert_eq!(complete.password_was_stripped, is_reported, "{written:?}");
            }
        }
        for nothing in ["", "\n", " \n", "\u{feff}", "\u{feff}\r\n", " \t ", "\u{200b}\n"] {
            fs::write(file.path(), nothing).unwrap();
            assert_eq!(account(file.path()).complete().unwrap(), None, "{nothing:?}");
        }
    }

    #[test]
    fn invisible_characters_around_a_user_name_are_ignored() {
        for written in [
            " owner@example.com",
            "owner@example.com\n",
            "\u{feff}owner@example.com\u{a0}",
            "owner@example.com\u{200b}",
        ] {
            let given = SecretSource::Given(Secret::new("sun".to_owned()));
            let account = Account { username: Some(written.to_owned()), password: Some(given) };
            assert_eq!(account.credentials().unwrap().unwrap().username, "owner@example.com", "{written:?}");
        }
    }

    #[test]
    fn a_binary_file_or_a_device_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "\u{feff}sun".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
            .unwrap();
        let error = account(file.path()).complete().unwrap_err().to_string();
        assert!(error.contains("UTF-8") && !error.contains("sun"), "{error}");
        let error = account(Path::new("/dev/zero")).complete().unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
