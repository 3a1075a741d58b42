//! The mistakes in a configuration, collected so that all are reported at once.

use super::error::Problem;
use super::secret::UnreadableSecret;
use crate::base::secrets::Secret;

/// The reason that a configuration cannot be completed.
pub(super) enum Failure {
    /// The file has mistakes.
    Problems(Vec<Problem>),
    /// A secret cannot be read, for a reason that may be temporary.
    Secret(UnreadableSecret),
}

/// The mistakes and warnings found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
    pub(super) unreadable: Option<UnreadableSecret>,
}

impl Findings {
    /// Returns the value, or records a problem with `key`.
    pub(super) fn take<T, E: ToString>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.push(Problem(format!("{key}: {}", error.to_string())));
                None
            }
        }
    }

    /// Returns the secret, or records a problem with `key`, unless the reason may be temporary.
    pub(super) fn secret(&mut self, key: &str, read: Result<Secret, UnreadableSecret>) -> Option<Secret> {
        match read {
            Err(error) if error.is_temporary() => {
                self.unreadable = Some(error);
                None
            }
            read => self.take(key, read),
        }
    }

    pub(super) fn problem(&mut self, key: &str, message: &str) {
        self.problems.push(Problem(format!("{key}: {message}")));
    }
}
