//! Why the state directory could not be used.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// Why the state directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be written: nothing that needs the record may be done.
    #[error("cannot write {}: {}", path.display(), explained(source))]
    Unwritable {
        /// What was to be written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something is there and could not be read.
    #[error("cannot read {}: {}", path.display(), explained(source))]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk did not respond in time. What was to be written is written as soon as it does, unless it was to be on disk
    /// before something else.
    #[error(
        "the disk under {} does not respond: a worn SD card stalls so, check it",
        path.display()
    )]
    Stalled {
        /// What was to be read or written.
        path: PathBuf,
    },
    /// Root must not work there, because another user decides what lies there or where the path leads.
    #[error("root does not use the state directory {}: {why}", path.display())]
    Foreign {
        /// The state directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
}

impl Error {
    /// Leaves out that the disk did not respond in time: what was to be written waits for it, and nothing depends on it.
    pub fn unless_waiting(outcome: Result<(), Self>) -> Result<(), Self> {
        if matches!(outcome, Err(Self::Stalled { .. })) { Ok(()) } else { outcome }
    }
}

/// The system's reason with what a person can do about it.
fn explained(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room on the disk",
        ErrorKind::FileTooLarge => {
            "; a limit on the size of files is in force (ulimit -f, or LimitFSIZE= in the unit): raise it"
        }
        ErrorKind::ReadOnlyFilesystem => "; the file system is read-only: a worn SD card turns so, check it",
        ErrorKind::PermissionDenied => {
            "; it has to belong to the user that enphased runs as (under systemd use `sudo enphased ...`)"
        }
        ErrorKind::NotADirectory => "; state_dir has to be a directory",
        _ => "",
    };
    format!("{error}{advice}")
}
