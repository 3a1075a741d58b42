//! Errors of the state directory.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use rustix::process::geteuid;

/// An error of the state directory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written. No step that requires the record may follow.
    #[error("cannot write {}: {}", path.display(), explained(source))]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file exists but could not be read.
    #[error("cannot read {}: {}", path.display(), explained(source))]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The disk did not respond in time. A pending write is completed when the disk responds, unless it was a
    /// [`write_ahead`](super::StateDir::write_ahead).
    #[error(
        "the disk under {} does not respond; check it, because a worn SD card stalls like this",
        path.display()
    )]
    Stalled {
        /// The file or directory.
        path: PathBuf,
    },
    /// Root must not use the directory, because another user controls its contents or its path.
    #[error("root does not use the state directory {}: {why}", path.display())]
    Foreign {
        /// The state directory.
        path: PathBuf,
        /// The problem, and what to do.
        why: String,
    },
}

impl Error {
    /// Ignores [`Self::Stalled`], for a pending write that no other step requires.
    pub fn unless_waiting(outcome: Result<(), Self>) -> Result<(), Self> {
        if matches!(outcome, Err(Self::Stalled { .. })) { Ok(()) } else { outcome }
    }
}

/// Returns the error of the operating system, with advice for the operator.
fn explained(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room on the disk",
        ErrorKind::FileTooLarge => "; raise the limit on file sizes (ulimit -f, or LimitFSIZE= in the unit)",
        ErrorKind::ReadOnlyFilesystem => {
            "; the file system is read-only; check it, because a worn SD card becomes read-only"
        }
        ErrorKind::PermissionDenied => {
            let user = geteuid().as_raw();
            return format!(
                "{error}; the file must belong to the user that enphased runs as ({user}; under systemd use `sudo enphased ...`)"
            );
        }
        ErrorKind::NotADirectory => "; state_dir must be a directory",
        _ => "",
    };
    format!("{error}{advice}")
}
