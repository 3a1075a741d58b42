//! Why there is no configuration to work with.

use std::fmt;
use std::path::PathBuf;

use super::secret::UnreadableSecret;
use crate::io::files;

/// Something wrong with a configuration, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The reason.
        source: files::Error,
    },
    /// The file has mistakes, see [`Error::problems`].
    #[error("the configuration {} does not hold", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problems: Vec<Problem>,
    },
    /// A secret that is read at the start cannot be read now; the configuration may be right.
    #[error(transparent)]
    Secret(UnreadableSecret),
}

impl Error {
    /// Everything that is wrong with what is written.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems, .. } => problems,
            Self::Unreadable { .. } | Self::Secret(_) => &[],
        }
    }
}
