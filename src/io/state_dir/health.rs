//! The health of the state directory. Each failure is logged once when it begins and once when it ends. Also detects that
//! the directory was replaced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use crate::base::durations::length;
use crate::base::outage::{Outage, OutageReport};

/// The time without a failure after which the disk counts as stable.
const STEADY: Duration = Duration::from_secs(3600);

/// An operation on a file. A success ends only failures of the same operation: a file can be removed from a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// Reads the metadata of a file.
    Look,
    Read,
    Write,
    Lock,
    Remove,
}

/// A failure. Several can exist at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// The disk does not respond.
    Stalled,
    /// The directory itself is missing or inaccessible.
    Directory,
    /// No file can be written.
    Writing,
    /// An operation on one file fails.
    File(PathBuf, Act),
}

/// The health of the state directory. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The path of the directory.
    path: PathBuf,
    /// `true` if failures are logged. A command that ends because of one reports it itself.
    logs: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The failures so far, each with the newest error.
    troubles: BTreeMap<Trouble, (Outage<()>, String)>,
    /// The directory that was opened last. Kept open, so that no other directory reuses its inode number.
    opened: Option<(u64, u64, File)>,
    /// The number of times that the directory under the path was replaced.
    replaced: u64,
}

impl Health {
    pub(super) fn new(path: &Path, logs: bool) -> Self {
        Self(Arc::new(Shared { path: path.to_owned(), logs, state: Mutex::default() }))
    }

    pub(super) fn logs_troubles(&self) -> bool {
        self.0.logs
    }

    /// Locks the state. Release the lock before reading, writing or logging, each of which may hang.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how often the directory under the path was replaced.
    pub(super) fn replaced(&self) -> u64 {
        self.state().replaced
    }

    /// Returns the error of the present failure of the whole directory, if there is one. That of one file may not be tried
    /// again, so nobody notices its end.
    pub(super) fn error(&self) -> Option<String> {
        let state = self.state();
        let whole = [Trouble::Stalled, Trouble::Directory, Trouble::Writing];
        let mut present = whole.iter().filter_map(|trouble| state.troubles.get(trouble));
        present.find(|(outage, _)| outage.is_unavailable()).map(|(_, error)| error.clone())
    }

    /// Records the directory that was opened, and logs a replacement.
    pub(super) fn opened(&self, directory: &File) {
        let Ok(data) = directory.metadata() else { return };
        let is_same = |known: &(u64, u64, File)| (known.0, known.1) == (data.dev(), data.ino());
        if self.state().opened.as_ref().is_some_and(is_same) {
            return;
        }
        let Ok(kept) = directory.try_clone() else { return };
        let mut state = self.state();
        let before = state.opened.replace((data.dev(), data.ino(), kept));
        state.replaced += u64::from(before.is_some());
        let was_gone =
            state.troubles.get(&Trouble::Directory).is_some_and(|(outage, _)| outage.is_unavailable());
        drop(state);
        if before.is_some() && !was_gone && self.0.logs {
            tracing::warn!(
                "the state directory {} was replaced by another one; saving the data in memory there",
                self.0.path.display()
            );
        }
    }

    /// Records that the disk did not respond in time.
    pub(super) fn stalled(&self, error: &Error) {
        self.begins(Trouble::Stalled, error);
    }

    /// Records that the disk has completed an operation, successfully or not.
    pub(super) fn responded(&self) {
        self.ends(&[Trouble::Stalled]);
    }

    /// Records the outcome of the operation `act` on the file at `path`.
    pub(super) fn record(&self, act: Act, path: &Path, outcome: Result<(), &Error>) {
        if !self.0.logs {
            return;
        }
        match outcome.err().map(|error| (self.trouble(act, path, error), error)) {
            None => {
                let file = Trouble::File(path.to_owned(), act);
                let writing = (act == Act::Write).then_some(Trouble::Writing);
                let ended: Vec<Trouble> = [Trouble::Directory, file].into_iter().chain(writing).collect();
                self.ends(&ended);
            }
            Some((trouble, error)) => {
                if trouble != Trouble::Directory {
                    self.ends(&[Trouble::Directory]);
                }
                self.begins(trouble, error);
            }
        }
    }

    fn trouble(&self, act: Act, path: &Path, error: &Error) -> Trouble {
        match error {
            Error::Stalled { .. } => Trouble::Stalled,
            Error::Foreign { .. } => Trouble::Directory,
            Error::Unreadable { path, .. } if *path == self.0.path => Trouble::Directory,
            Error::Unwritable { source, .. }
                if !matches!(source.kind(), ErrorKind::IsADirectory | ErrorKind::Other) =>
            {
                Trouble::Writing
            }
            _ => Trouble::File(path.to_owned(), act),
        }
    }

    fn begins(&self, trouble: Trouble, error: &Error) {
        if !self.0.logs {
            return;
        }
        let is_one_file = matches!(trouble, Trouble::File(..));
        let report = {
            let mut state = self.state();
            let known = || (Outage::new(STEADY), String::new());
            let (outage, newest) = state.troubles.entry(trouble).or_insert_with(known);
            *newest = error.to_string();
            outage.failed((), false, Instant::now())
        };
        match report {
            OutageReport::Begun if is_one_file => tracing::warn!("{error}; readings continue"),
            OutageReport::Begun => tracing::warn!(
                "{error}; readings continue, unsaved data stays in memory, and logins pause until the directory works again"
            ),
            OutageReport::Flapping(times) => tracing::warn!(
                times,
                "{error}. This fails repeatedly; further failures are not logged until it has worked for an hour"
            ),
            _ => tracing::debug!("{error}"),
        }
    }

    fn ends(&self, troubles: &[Trouble]) {
        let now = Instant::now();
        let mut state = self.state();
        let mut ended = Vec::new();
        for trouble in troubles {
            ended.extend(state.troubles.get_mut(trouble).map(|(outage, _)| (trouble, outage.ended(now))));
        }
        drop(state);
        for (trouble, report) in ended {
            let words = trouble.ended(&self.0.path);
            match report {
                OutageReport::Ended(Some(after)) => tracing::info!(after = %length(after), "{words}"),
                OutageReport::Stable(times, within) => {
                    tracing::info!(times, within = %length(within), "{words}, and is stable");
                }
                _ => {}
            }
        }
    }
}

impl Trouble {
    /// Returns the message for the end of this failure.
    fn ended(&self, directory: &Path) -> String {
        let directory = directory.display();
        match self {
            Self::Stalled => format!("the disk under {directory} is responding again"),
            Self::Directory => format!("the state directory {directory} can be used again"),
            Self::Writing => format!("the state directory {directory} is writable again"),
            Self::File(path, _) => format!("{} can be used again", path.display()),
        }
    }
}
