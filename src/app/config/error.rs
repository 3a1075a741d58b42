//! The errors of loading a configuration.

use std::fmt;
use std::path::PathBuf;

use super::secret::UnreadableSecret;
use crate::io::files;

/// The maximum number of problems to report. A file of another kind may have a hundred thousand.
pub(super) const MAX_PROBLEMS: usize = 20;

/// A mistake in a configuration, described for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason that a configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The underlying error.
        source: files::Error,
    },
    /// The file has mistakes; see [`Error::problems`].
    #[error("the configuration {} is invalid", path.display())]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// The mistakes.
        problems: Vec<Problem>,
    },
    /// A secret that is read at the start cannot be read now, although the configuration may be valid.
    #[error(transparent)]
    Secret(UnreadableSecret),
}

impl Error {
    /// Returns the mistakes in the file.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems, .. } => problems,
            Self::Unreadable { .. } | Self::Secret(_) => &[],
        }
    }
}
