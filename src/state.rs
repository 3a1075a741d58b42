//! The state directory: small files that survive a power cut, and locks that end with their process.
//!
//! A file is replaced whole: a temporary one in the same directory (mode 0600), synced, renamed, and the
//! directory synced. Writes are rare, because an SD card is under them, and so they are made in place rather
//! than on another thread.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// What the names of files begin with while they are written.
const TEMPORARY: &str = ".new-";

/// Why the state directory did not serve.
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
}

/// The system's reason with what a person can do about it.
fn explained(error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "; make room on the disk"
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

/// What a file held.
#[derive(Debug)]
pub enum Stored<T> {
    /// What was written last.
    Found(T),
    /// There is no such file.
    Absent,
    /// It could not be understood. It was set aside under the path given, for a person to look at.
    Damaged(PathBuf),
}

/// A file's identity and age: another value after each replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64, i64, i64, u64);

/// A directory of state files.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Opens the directory, making it (mode 0700) where it is missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| Error::Unwritable { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the JSON file `name`. A damaged one is set aside, so that it is reported once.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Stored<T>, Error> {
        let path = self.path.join(name);
        let bytes = match fs::read(&path) {
            // It may hold a token.
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Stored::Absent),
            Err(source) => return Err(Error::Unreadable { path, source }),
        };
        if let Ok(value) = serde_json::from_slice(&bytes) {
            return Ok(Stored::Found(value));
        }
        let aside = self.path.join(format!("{name}.damaged"));
        match fs::rename(&path, &aside) {
            Ok(()) => Ok(Stored::Damaged(aside)),
            // Where nothing can be renamed it stays, and is damaged again at the next look.
            Err(_) => Ok(Stored::Damaged(path)),
        }
    }

    /// Replaces the JSON file `name`. When this returns, `value` survives a power cut.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.path.join(name);
        self.replace(&path, value).map_err(|source| Error::Unwritable { path, source })
    }

    fn replace<T: Serialize>(&self, path: &Path, value: &T) -> io::Result<()> {
        let mut file = self.temporary()?;
        self.hand_over(file.as_file());
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(&self.path)?.sync_all()
    }

    /// A file that is locked as long as somebody writes it, by which [`Self::sweep`] knows one that nobody does.
    fn temporary(&self) -> io::Result<NamedTempFile> {
        loop {
            // tempfile makes its files with mode 0600.
            let file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.path)?;
            // A file system without locks is never swept.
            let locked = file.as_file().lock().is_ok();
            // It may have been swept away before it was locked.
            if !locked || file.as_file().metadata()?.nlink() > 0 {
                return Ok(file);
            }
        }
    }

    /// Gives a file that root made to the directory's owner: a command run with sudo must not lock the daemon
    /// out. For anybody else there is nothing to give.
    fn hand_over(&self, file: &File) {
        if let (Ok(directory), Ok(own)) = (fs::metadata(&self.path), file.metadata())
            && (directory.uid(), directory.gid()) != (own.uid(), own.gid())
            && let Err(error) = fchown(file, Some(directory.uid()), Some(directory.gid()))
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "a state file keeps its own owner");
        }
    }

    /// Removes the file `name`, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(Error::Unwritable { path, source }),
        }
    }

    /// Tells one version of the file `name` from the next without reading it; `None` when it is missing.
    pub fn stamp(&self, name: &str) -> Option<Stamp> {
        let data = fs::metadata(self.path.join(name)).ok()?;
        Some(Stamp(data.ino(), data.mtime(), data.mtime_nsec(), data.len()))
    }

    /// The names of the files that begin with `prefix` and end with `suffix`, sorted.
    pub fn names(&self, prefix: &str, suffix: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(prefix) && name.ends_with(suffix))
            .collect();
        names.sort();
        names
    }

    /// Removes temporary files that a process left behind which was killed while it wrote. One that is being
    /// written is locked, and stays.
    pub fn sweep(&self) {
        for name in self.names(TEMPORARY, "") {
            let path = self.path.join(&name);
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_err() {
                continue;
            }
            if let Err(error) = fs::remove_file(&path) {
                tracing::debug!(%error, name, "a file that was left behind stays");
            }
        }
    }

    /// Takes the lock `name`, or gives `None` while another process holds it. It ends with the value, and
    /// with the process however that ends.
    pub fn try_lock(&self, name: &str) -> Result<Option<Lock>, Error> {
        let path = self.path.join(name);
        let unwritable = |source| Error::Unwritable { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let file =
            options.create(true).write(true).truncate(false).mode(0o600).open(&path).map_err(unwritable)?;
        self.hand_over(&file);
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }

    /// Files that others than their owner may read, by name; there should be none.
    pub fn readable_by_others(&self) -> Vec<String> {
        let open = |name: &String| {
            fs::metadata(self.path.join(name)).is_ok_and(|data| data.permissions().mode() & 0o077 != 0)
        };
        self.names("", ".json").into_iter().filter(open).collect()
    }
}

/// A lock that is held until dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, StateDir) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(&outer.path().join("state")).unwrap();
        (outer, state)
    }

    #[test]
    fn what_is_written_is_read_again_and_closed_to_others() {
        let (_outer, state) = directory();
        state.write("a.json", &[1, 2]).unwrap();
        assert!(matches!(state.read::<Vec<u8>>("a.json").unwrap(), Stored::Found(list) if list == [1, 2]));
        assert_eq!(state.readable_by_others(), Vec::<String>::new());
        assert_eq!(state.names("", ""), ["a.json"], "no temporary file is left");
        let mode = fs::metadata(state.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_damaged_file_is_set_aside_once() {
        let (_outer, state) = directory();
        fs::write(state.path().join("a.json"), "[1, 2").unwrap();
        assert!(matches!(state.read::<Vec<u8>>("a.json").unwrap(), Stored::Damaged(_)));
        assert!(matches!(state.read::<Vec<u8>>("a.json").unwrap(), Stored::Absent));
        assert_eq!(state.names("", ""), ["a.json.damaged"]);
    }

    #[test]
    fn what_a_killed_process_left_behind_is_swept_away_and_what_is_being_written_stays() {
        let (_outer, state) = directory();
        fs::write(state.path().join(".new-abc"), "").unwrap();
        fs::write(state.path().join("a.json"), "1").unwrap();
        let written = state.temporary().unwrap();
        let name = written.path().file_name().unwrap().to_str().unwrap().to_owned();
        state.sweep();
        assert_eq!(state.names("", ""), [name, "a.json".to_owned()]);
        drop(written);
        assert_eq!(state.names("", ""), ["a.json"]);
    }

    #[test]
    fn writing_and_sweeping_at_once_loses_nothing() {
        let (_outer, state) = directory();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..100).try_for_each(|number| state.write("a.json", &number)));
            while !writer.is_finished() {
                state.sweep();
            }
            writer.join().unwrap().unwrap();
        });
        assert_eq!(state.names("", ""), ["a.json"]);
    }

    #[test]
    fn a_lock_keeps_others_out_until_it_is_dropped() {
        let (_outer, state) = directory();
        let held = state.try_lock("login.lock").unwrap();
        assert!(held.is_some());
        assert!(state.try_lock("login.lock").unwrap().is_none());
        drop(held);
        assert!(state.try_lock("login.lock").unwrap().is_some());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_explained() {
        let (outer, _state) = directory();
        fs::write(outer.path().join("file"), "").unwrap();
        let error = StateDir::open(&outer.path().join("file/state")).unwrap_err();
        assert!(error.to_string().ends_with("state_dir has to be a directory"), "{error}");
    }

    #[test]
    fn a_replacement_changes_the_stamp() {
        let (_outer, state) = directory();
        assert_eq!(state.stamp("a.json"), None);
        state.write("a.json", &1).unwrap();
        let first = state.stamp("a.json");
        state.write("a.json", &2).unwrap();
        assert_ne!(state.stamp("a.json"), first);
    }
}
