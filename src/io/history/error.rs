//! Errors of the history.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

/// An error of the history, by what follows from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has locked the file. A later attempt will succeed.
    #[error("another program has locked it; close the program that has it open for writing")]
    Locked,
    /// The file is not a database, or damaged.
    #[error("it is damaged ({0})")]
    Damaged(rusqlite::Error),
    /// A newer version of the program has written the file.
    #[error(
        "a newer version of enphased has written it (schema {version}); install that version again, or move the file away"
    )]
    Newer {
        /// The version of its schema.
        version: i64,
    },
    /// There is no file.
    #[error("there is no history yet; the daemon writes it every 15 minutes")]
    Absent,
    /// The disk is full, read-only or failing, or the file may not be used.
    #[error("{}", unusable(.0))]
    Unusable(rusqlite::Error),
    /// The file cannot be created.
    #[error("it cannot be created or opened: {0}")]
    Files(#[from] io::Error),
    /// The disk did not respond in time.
    #[error("the disk does not respond; check it, because a worn SD card stalls like this")]
    Stalled,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            // Also for a value of another type, or a table that is missing.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                Self::Damaged(error)
            }
            Some(_) => Self::Unusable(error),
            None => Self::Damaged(error),
        }
    }
}

impl Error {
    /// Returns the message about the file at `path`.
    pub fn about(&self, path: &Path) -> String {
        match self {
            Self::Absent | Self::Stalled => format!("the history {}: {self}", path.display()),
            _ => format!("cannot use the history {}: {self}", path.display()),
        }
    }

    /// Returns a name that is the same for all errors with the same cause.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Damaged(_) => "damaged",
            Self::Newer { .. } => "newer",
            Self::Absent => "absent",
            Self::Unusable(_) | Self::Files(_) => "unusable",
            Self::Stalled => "stalled",
        }
    }
}

fn unusable(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; make room on the disk".to_owned(),
        Some(ErrorCode::ReadOnly) => "the file or its file system is read-only".to_owned(),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "it cannot be opened; it must belong to the user of the daemon, as its directory".to_owned()
        }
        Some(ErrorCode::SystemIoFailure) => {
            format!("reading or writing failed ({error}); check the disk, or make room on it")
        }
        _ => error.to_string(),
    }
}
