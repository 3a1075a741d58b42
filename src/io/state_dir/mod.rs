//! The state directory: small files that survive a power cut, and locks that end with their process.
//!
//! A file is replaced atomically: a temporary file in the same directory (mode 0600) is written, synced and renamed, and
//! the directory is synced. Writes are rare, to spare the SD card.

mod directory;
mod disk;
mod entry;
mod error;
mod health;
mod lock;
mod open;
mod owner;
mod place;
mod saver;
mod temporary;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub use directory::Stamp;
use directory::{Content, Directory};
use disk::Stalled;
pub use disk::{Disk, Job, Worker};
pub use entry::Entry;
pub use error::Error;
use health::{Act, Health};
pub use lock::Lock;
pub use owner::Entrance;
pub use saver::Saver;

/// The initial buffer size in bytes, enough for the longest file with a secret.
const ROOM: usize = 16 << 10;

/// The result of reading a file.
#[derive(Debug)]
pub enum Stored<T> {
    /// The value that was written last.
    Found(T),
    /// The file does not exist.
    Absent,
    /// The file could not be parsed. It was set aside under the given path, for the operator to examine.
    Damaged(PathBuf),
}

/// The time limit for a write that must be on disk before the next step.
const AHEAD: Duration = Duration::from_secs(60);

/// A directory of state files.
#[derive(Clone, Debug)]
pub struct StateDir {
    directory: Directory,
    disk: Disk,
}

impl StateDir {
    /// Opens the directory, and creates it (mode 0700) if it is missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { directory: Directory::open(path)?, disk: Disk::inline() })
    }

    /// Uses `disk` for all operations.
    #[must_use]
    pub fn on(self, disk: Disk) -> Self {
        Self { disk, ..self }
    }

    /// Logs failures of the directory when they begin and when they end. Call this once per process, because each such
    /// value and its clones log on their own.
    #[must_use]
    pub fn reporting(mut self) -> Self {
        if !self.directory.health.logs_troubles() {
            self.directory.health = Health::new(&self.directory.path, true);
        }
        self
    }

    /// Returns how often the directory under the path was replaced. After a replacement, data in memory must be saved again.
    pub fn replaced(&self) -> u64 {
        self.directory.health.replaced()
    }

    /// Returns the error of the failure of the whole directory that lasts, if there is one and failures are logged.
    pub fn error(&self) -> Option<String> {
        self.directory.health.error()
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Runs `job` on the file `name`, and waits for a short time.
    async fn run<T: Send + 'static>(
        &self,
        act: Act,
        name: &str,
        job: impl FnOnce(&Directory, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (directory, own_name) = (self.directory.clone(), name.to_owned());
        let done = self.disk.run(move || directory.work(act, &own_name, job)).await;
        done.unwrap_or_else(|Stalled| Err(self.stalled(name)))
    }

    fn stalled(&self, name: &str) -> Error {
        let error = Error::Stalled { path: self.path().join(name) };
        self.directory.health.stalled(&error);
        error
    }

    /// Reads the JSON file `name`. A file that is damaged, too large or not a regular file is set aside, so that it is
    /// reported once.
    pub async fn read<T: DeserializeOwned + Send + 'static>(&self, name: &str) -> Result<Stored<T>, Error> {
        self.run(Act::Read, name, |directory, name| {
            match directory.read(name)? {
                Content::Absent => return Ok(Stored::Absent),
                Content::Bytes(bytes) => {
                    if let Ok(value) = serde_json::from_slice(&bytes) {
                        return Ok(Stored::Found(value));
                    }
                }
                Content::Odd => {}
            }
            Ok(Stored::Damaged(directory.set_aside(name)))
        })
        .await
    }

    /// Replaces the JSON file `name`. After `Ok`, `value` survives a power cut. After [`Error::Stalled`], `value` is written
    /// as soon as the disk responds, in the order of the calls.
    pub async fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let bytes = self.json(name, value)?;
        let (directory, own_name) = (self.directory.clone(), name.to_owned());
        let write =
            move || directory.work(Act::Write, &own_name, |directory, name| directory.replace(name, &bytes));
        self.disk.queue(write).await.unwrap_or_else(|Stalled| Err(self.stalled(name)))
    }

    /// Replaces the JSON file `name` before a step that requires this record. Waits up to a minute. If the write takes
    /// longer, or the caller is dropped, `before` is written back.
    pub async fn write_ahead<T: Serialize>(&self, name: &str, value: &T, before: &T) -> Result<(), Error> {
        let (bytes, before) = (self.json(name, value)?, self.json(name, before)?);
        let (directory, own_name) = (self.directory.clone(), name.to_owned());
        let (directory_again, name_again) = (directory.clone(), own_name.clone());
        let write =
            move || directory.work(Act::Write, &own_name, |directory, name| directory.replace(name, &bytes));
        let undo = move |late: Result<(), Error>| {
            let undone = late.and_then(|()| directory_again.replace(&name_again, &before));
            undone.unwrap_or_else(|error| tracing::debug!("{error}"));
        };
        let done = self.disk.run_or_undo(AHEAD, write, undo).await;
        done.unwrap_or_else(|Stalled| Err(self.stalled(name)))
    }

    fn json<T: Serialize>(&self, name: &str, value: &T) -> Result<Zeroizing<Vec<u8>>, Error> {
        json(value).map_err(|source| Error::Unwritable { path: self.path().join(name), source })
    }

    /// Removes the file `name` if it exists.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        self.run(Act::Remove, name, Directory::remove).await
    }

    /// Returns the identity and age of the file `name`, which change with each replacement, or `None` if it is missing.
    pub async fn stamp(&self, name: &str) -> Result<Option<Stamp>, Error> {
        self.run(Act::Look, name, Directory::stamp).await
    }

    /// Returns the stamps of several files, with one access to the disk.
    pub async fn stamps<const N: usize>(&self, names: [String; N]) -> Result<[Option<Stamp>; N], Error> {
        self.run(Act::Look, "", move |directory, _| directory.stamps(&names)).await
    }

    /// Returns the file names that begin with `prefix` and end with `suffix`, sorted.
    pub async fn names(&self, prefix: &'static str, suffix: &'static str) -> Result<Vec<String>, Error> {
        self.run(Act::Look, "", move |directory, _| directory.names(prefix, suffix)).await
    }

    /// Removes the temporary files of processes that were killed during a write. A file that is being written is locked,
    /// and is not removed.
    pub async fn sweep(&self) {
        let swept = self.run(Act::Look, "", |directory, _| directory.sweep()).await;
        swept.unwrap_or_else(|error| tracing::debug!("{error}"));
    }

    /// Takes the lock `name`, or returns `None` while another process holds it. The lock ends with the returned value, and
    /// with the process in any case.
    pub async fn try_lock(&self, name: &str) -> Result<Option<Lock>, Error> {
        let file = self.run(Act::Lock, name, Directory::try_lock).await?;
        Ok(file.map(|file| Lock::new(file, self.disk.clone())))
    }

    /// Listens at the socket `name` (mode 0600), in place of one that an earlier process has left.
    pub async fn listen(&self, name: &str) -> io::Result<UnixListener> {
        let path = self.path().join(name);
        let listening = self.disk.run(move || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        listening.await.unwrap_or_else(|Stalled| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Returns the entries of the directory, sorted by name.
    pub async fn entries(&self) -> Result<Vec<Entry>, Error> {
        self.run(Act::Look, "", |directory, _| {
            let entry = |name: String| directory.metadata(&name).ok().map(|data| Entry::new(name, &data));
            Ok(directory.names("", "")?.into_iter().filter_map(entry).collect())
        })
        .await
    }

    /// Returns the entry of the directory itself.
    pub async fn itself(&self) -> Result<Entry, Error> {
        self.run(Act::Look, "", |directory, _| Ok(Entry::new(String::new(), &directory.metadata(".")?))).await
    }
}

/// Serializes the content of a state file.
fn json<T: Serialize>(value: &T) -> io::Result<Zeroizing<Vec<u8>>> {
    // Large enough for any token: a buffer that grows leaves copies in memory that are not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer_pretty(&mut *bytes, value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, StateDir) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(&outer.path().join("state")).unwrap();
        (outer, state)
    }

    #[tokio::test]
    async fn what_is_written_is_read_again_and_closed_to_others() {
        let (_outer, state) = directory();
        state.write("a.json", &[1, 2]).await.unwrap();
        assert!(
            matches!(state.read::<Vec<u8>>("a.json").await.unwrap(), Stored::Found(list) if list == [1, 2])
        );
        let entries = state.entries().await.unwrap();
        assert_eq!(entries.len(), 1, "no temporary file is left");
        assert_eq!((entries[0].name.as_str(), entries[0].mode, entries[0].is_file), ("a.json", 0o600, true));
        assert_eq!(state.itself().await.unwrap().mode, 0o700);
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_once() {
        let (_outer, state) = directory();
        fs::write(state.path().join("a.json"), "[1, 2").unwrap();
        assert!(matches!(state.read::<Vec<u8>>("a.json").await.unwrap(), Stored::Damaged(_)));
        assert!(matches!(state.read::<Vec<u8>>("a.json").await.unwrap(), Stored::Absent));
        assert_eq!(state.names("", "").await.unwrap(), ["a.json.damaged"]);
    }

    #[test]
    fn writing_and_sweeping_at_once_loses_nothing() {
        let (_outer, state) = directory();
        let directory = &state.directory;
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..100).try_for_each(|_| directory.replace("a.json", b"1")));
            while !writer.is_finished() {
                directory.sweep().unwrap();
            }
            writer.join().unwrap().unwrap();
        });
        assert_eq!(directory.names("", "").unwrap(), ["a.json"]);
    }

    #[tokio::test]
    async fn a_lock_keeps_others_out_until_it_is_dropped() {
        let (_outer, state) = directory();
        let held = state.try_lock("login.lock").await.unwrap();
        assert!(held.is_some());
        assert!(state.try_lock("login.lock").await.unwrap().is_none());
        drop(held);
        assert!(state.try_lock("login.lock").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_made_is_explained() {
        let (outer, _state) = directory();
        fs::write(outer.path().join("file"), "").unwrap();
        let error = StateDir::open(&outer.path().join("file/state")).unwrap_err();
        assert!(error.to_string().ends_with("state_dir must be a directory"), "{error}");
    }

    #[tokio::test]
    async fn a_replacement_changes_the_stamp() {
        let (_outer, state) = directory();
        assert_eq!(state.stamp("a.json").await.unwrap(), None);
        state.write("a.json", &1).await.unwrap();
        let first = state.stamp("a.json").await.unwrap();
        state.write("a.json", &2).await.unwrap();
        assert_ne!(state.stamp("a.json").await.unwrap(), first);
    }
}
