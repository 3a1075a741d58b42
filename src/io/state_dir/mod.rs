//! The state directory: small files that survive a power cut, and locks that end with their process.
//!
//! A file is replaced whole: a temporary one in the same directory (mode 0600), synced, renamed, and the
//! directory synced. Writes are rare, because an SD card is under them.

mod directory;
mod error;
mod owner;
mod place;

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use directory::{Content, Directory};
pub use error::Error;
pub use owner::Entrance;

/// The longest file with a secret in it fits in this.
const ROOM: usize = 16 << 10;

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
    directory: Directory,
}

impl StateDir {
    /// Opens the directory, making it (mode 0700) where it is missing.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { directory: Directory::open(path)? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// Reads the JSON file `name`. A damaged one, or something that is no regular file or far too large, is set
    /// aside, so that it is reported once.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Stored<T>, Error> {
        match self.directory.read(name)? {
            Content::Absent => return Ok(Stored::Absent),
            Content::Bytes(bytes) => {
                if let Ok(value) = serde_json::from_slice(&bytes) {
                    return Ok(Stored::Found(value));
                }
            }
            Content::Odd => {}
        }
        Ok(Stored::Damaged(self.directory.set_aside(name)))
    }

    /// Replaces the JSON file `name`. When this returns, `value` survives a power cut.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        // Room for any token: a buffer that grows leaves copies behind that are not wiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
        let written = serde_json::to_writer_pretty(&mut *bytes, value);
        written.map_err(|error| Error::Unwritable { path: self.path().join(name), source: error.into() })?;
        bytes.push(b'\n');
        self.directory.replace(name, &bytes)
    }

    /// Removes the file `name`, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        self.directory.remove(name)
    }

    /// Tells one version of the file `name` from the next without reading it; `None` when it is missing.
    pub fn stamp(&self, name: &str) -> Option<Stamp> {
        self.directory.stamp(name)
    }

    /// The names of the files that begin with `prefix` and end with `suffix`, sorted.
    pub fn names(&self, prefix: &str, suffix: &str) -> Vec<String> {
        self.directory.names(prefix, suffix).unwrap_or_else(|error| {
            tracing::debug!("{error}");
            Vec::new()
        })
    }

    /// Removes temporary files that a process left behind which was killed while it wrote. One that is being
    /// written is locked, and stays.
    pub fn sweep(&self) {
        self.directory.sweep().unwrap_or_else(|error| tracing::debug!("{error}"));
    }

    /// Takes the lock `name`, or gives `None` while another process holds it. It ends with the value, and
    /// with the process however that ends.
    pub fn try_lock(&self, name: &str) -> Result<Option<Lock>, Error> {
        self.directory.try_lock(name)
    }

    /// Files that others than their owner may read or change, by name; there should be none.
    pub fn readable_by_others(&self) -> Vec<String> {
        let open = |name: &String| self.directory.metadata(name).is_ok_and(|data| data.mode() & 0o077 != 0);
        self.names("", "").into_iter().filter(open).collect()
    }
}

/// A lock that is held until dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

#[cfg(test)]
mod tests {
    use std::fs;

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
        let mode = fs::metadata(state.path()).unwrap().mode();
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
