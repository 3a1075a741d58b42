//! What is wrong with the state directory, reported once when it begins and once when it ends, for everything that uses
//! the directory; and whether the directory is still the same.

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

/// A disk that has worked for so long does not come and go.
const STEADY: Duration = Duration::from_secs(3600);

/// What was done with a file. A success shows what has ended: a file can be removed from a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// Its metadata was read.
    Look,
    Read,
    Write,
    Lock,
    Remove,
}

/// A trouble, which may be there beside others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// The disk does not respond.
    Stalled,
    /// The directory itself is gone or closed.
    Directory,
    /// Nothing can be written.
    Writing,
    /// With one file.
    File(PathBuf, Act),
}

/// The state directory's health. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The directory.
    path: PathBuf,
    /// Whether troubles are logged. A command that ends because of one says so itself.
    loud: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    troubles: BTreeMap<Trouble, Outage<()>>,
    /// The directory that was opened last. Kept open, so that no other gets its inode number.
    opened: Option<(u64, u64, File)>,
    /// How many other directories have been found under the path.
    replaced: u64,
}

impl Health {
    pub(super) fn new(path: &Path, loud: bool) -> Self {
        Self(Arc::new(Shared { path: path.to_owned(), loud, state: Mutex::default() }))
    }

    pub(super) fn is_loud(&self) -> bool {
        self.0.loud
    }

    /// No lock is held while something is read, written or logged, each of which may hang.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many other directories have been found under the path since the first.
    pub(super) fn replaced(&self) -> u64 {
        self.state().replaced
    }

    /// Takes note of the directory that was opened.
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
        let was_gone = state.troubles.get(&Trouble::Directory).is_some_and(Outage::is_unavailable);
        drop(state);
        if before.is_some() && !was_gone && self.0.loud {
            tracing::warn!(
                "the state directory {} was replaced by another one; what is in memory is written there",
                self.0.path.display()
            );
        }
    }

    /// The disk did not respond in time.
    pub(super) fn stalled(&self, error: &Error) {
        self.begins(Trouble::Stalled, error);
    }

    /// The disk has done something, be it with success or not.
    pub(super) fn responded(&self) {
        self.ends(&[Trouble::Stalled]);
    }

    /// Takes note of what came of `act` with the file at `path`.
    pub(super) fn note(&self, act: Act, path: &Path, outcome: Result<(), &Error>) {
        if !self.0.loud {
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
        if !self.0.loud {
            return;
        }
        let is_one_file = matches!(trouble, Trouble::File(..));
        let outage = || Outage::new(STEADY);
        let say =
            self.state().troubles.entry(trouble).or_insert_with(outage).failed((), false, Instant::now());
        match say {
            OutageReport::Begun if is_one_file => tracing::warn!("{error}; readings go on"),
            OutageReport::Begun => tracing::warn!(
                "{error}; readings go on, what is to be written stays in memory, and there is no login meanwhile"
            ),
            OutageReport::Flapping(times) => tracing::warn!(
                times,
                "{error}. This comes and goes; it is not reported again until an hour has passed without it"
            ),
            _ => tracing::debug!("{error}"),
        }
    }

    fn ends(&self, troubles: &[Trouble]) {
        let now = Instant::now();
        let mut state = self.state();
        let mut ended = Vec::new();
        for trouble in troubles {
            ended.extend(state.troubles.get_mut(trouble).map(|outage| (trouble, outage.ended(now))));
        }
        drop(state);
        for (trouble, say) in ended {
            let words = trouble.ended(&self.0.path);
            match say {
                OutageReport::Ended(Some(after)) => tracing::info!(after = %length(after), "{words}"),
                OutageReport::Stable(times, within) => {
                    tracing::info!(times, within = %length(within), "{words}, and it no longer comes and goes");
                }
                _ => {}
            }
        }
    }
}

impl Trouble {
    /// The words for its end.
    fn ended(&self, directory: &Path) -> String {
        let directory = directory.display();
        match self {
            Self::Stalled => format!("the disk under {directory} responds again"),
            Self::Directory => format!("the state directory {directory} can be used again"),
            Self::Writing => format!("the state directory {directory} can be written to again"),
            Self::File(path, _) => format!("{} can be used again", path.display()),
        }
    }
}
