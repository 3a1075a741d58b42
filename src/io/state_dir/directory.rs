//! The files in the state directory, opened relative to the directory. No link is followed, and only regular files are
//! opened. Otherwise a user who can write to the directory could make root write elsewhere, and a FIFO or a device could
//! block the program.

use std::fs::{DirBuilder, File, Metadata, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use super::Error;
use super::health::{Act, Health};
use super::open::{create, look, open};
use super::place::Place;
use super::temporary::{TEMPORARY, Temporary};
use crate::io::files;

/// The size limit of a state file in bytes. The record of a thousand gateways has about 1 MB.
const LONGEST: u64 = 4 << 20;

/// The identity and age of a file. Changes with each replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64, i64, i64, u64);

/// The content of a file.
pub(super) enum Content {
    Bytes(Zeroizing<Vec<u8>>),
    Absent,
    /// Not a state file: not a regular file, too large, or not text.
    Odd,
}

/// The state directory. It is opened for each operation, so that a later mount or replacement is detected.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    /// Kept open, because the path may lead through a directory that only root may enter, such as `/var/lib/private`.
    kept: Option<Arc<File>>,
    pub(super) health: Health,
}

impl Directory {
    /// Opens the directory, and creates it (mode 0700) if it is missing. Root may not use a directory of another user.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let directory = Self { path: path.to_owned(), kept: None, health: Health::new(path, false) };
        if geteuid().is_root() {
            directory.place()?.make()?;
        } else {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(|source| Error::Unwritable { path: path.to_owned(), source })?;
        }
        Ok(directory)
    }

    /// Creates a value for the directory at `path`, which is open as `kept`.
    pub(super) fn kept(path: &Path, kept: File) -> Self {
        Self { path: path.to_owned(), kept: Some(Arc::new(kept)), health: Health::new(path, false) }
    }

    /// Finds the directory, which must belong to root.
    fn place(&self) -> Result<Place, Error> {
        let place = Place::find(&self.path)?;
        if place.uid == 0 {
            return Ok(place);
        }
        let why = format!("it belongs to user {}; run this as that user, or give it to root", place.uid);
        Err(Error::Foreign { path: self.path.clone(), why })
    }

    /// Runs `job` on the file `name`, and records the outcome.
    pub(super) fn work<T>(
        &self,
        act: Act,
        name: &str,
        job: impl FnOnce(&Self, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = job(self, name);
        self.health.responded();
        self.health.record(act, &self.path.join(name), done.as_ref().map(drop));
        done
    }

    /// Opens the directory, and records its identity.
    fn handle(&self) -> Result<File, Error> {
        let handle = self.open_again()?;
        self.health.opened(&handle);
        Ok(handle)
    }

    fn open_again(&self) -> Result<File, Error> {
        if geteuid().is_root() {
            return self.place()?.open();
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match (openat(CWD, &self.path, flags, Mode::empty()), &self.kept) {
            (Err(Errno::ACCESS), Some(kept)) => kept.try_clone(),
            (opened, _) => opened.map(File::from).map_err(io::Error::from),
        };
        opened.map_err(|source| Error::Unreadable { path: self.path.clone(), source })
    }

    /// Reads the file `name`.
    pub(super) fn read(&self, name: &str) -> Result<Content, Error> {
        let directory = self.handle()?;
        let read = open(&directory, name, OFlags::RDONLY).and_then(|file| files::read_file(file, LONGEST));
        match read {
            Ok(bytes) => Ok(Content::Bytes(bytes)),
            // Container runtimes create a directory in place of a mounted file that is missing. Renaming it would not help.
            Err(files::Error::NotAFile(_)) if look(&directory, name).is_ok_and(|data| data.is_dir()) => {
                Err(Error::Unreadable { path: self.path.join(name), source: Errno::ISDIR.into() })
            }
            Err(files::Error::NotAFile(_) | files::Error::TooLarge(_) | files::Error::NotText) => {
                Ok(Content::Odd)
            }
            Err(error) if error.is_missing() => Ok(Content::Absent),
            Err(files::Error::System(source)) => {
                Err(Error::Unreadable { path: self.path.join(name), source })
            }
        }
    }

    /// Renames the file `name` to `name.damaged`. Returns its path afterwards.
    pub(super) fn set_aside(&self, name: &str) -> PathBuf {
        let aside = format!("{name}.damaged");
        let renamed = self.handle().map(|directory| renameat(&directory, name, &directory, &aside));
        // If the rename fails, the file stays, and is reported as damaged again at the next read.
        self.path.join(if matches!(renamed, Ok(Ok(()))) { &aside } else { name })
    }

    /// Replaces the file `name`. After `Ok`, `bytes` survive a power cut.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let directory = self.handle()?;
        let replaced = || {
            if u64::try_from(bytes.len()).is_ok_and(|length| length > LONGEST) {
                return Err(io::Error::other(format!(
                    "{} bytes exceed the size limit of a state file",
                    bytes.len()
                )));
            }
            let mut temporary = Temporary::new(&directory, &mut Rng::new())?;
            temporary.file.write_all(bytes)?;
            temporary.file.sync_all()?;
            temporary.persist(name)?;
            directory.sync_all()
        };
        replaced().map_err(|source| self.unwritable(name, source))
    }

    fn unwritable(&self, name: &str, source: io::Error) -> Error {
        Error::Unwritable { path: self.path.join(name), source }
    }

    /// Removes the file `name` if it exists.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        match unlinkat(self.handle()?, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.unwritable(name, error.into())),
        }
    }

    /// Returns the identity and age of the file `name`, or `None` if it is missing.
    pub(super) fn stamp(&self, name: &str) -> Result<Option<Stamp>, Error> {
        self.stamp_in(&self.handle()?, name)
    }

    fn stamp_in(&self, directory: &File, name: &str) -> Result<Option<Stamp>, Error> {
        match look(directory, name) {
            Ok(data) => Ok(Some(Stamp(data.ino(), data.mtime(), data.mtime_nsec(), data.len()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Unreadable { path: self.path.join(name), source }),
        }
    }

    /// Returns the stamps of several files, or an error if one of the files cannot be looked at.
    pub(super) fn stamps<const N: usize>(&self, names: &[String; N]) -> Result<[Option<Stamp>; N], Error> {
        let directory = self.handle()?;
        let mut stamps = [None; N];
        for (stamp, name) in stamps.iter_mut().zip(names) {
            *stamp = self.stamp_in(&directory, name)?;
        }
        Ok(stamps)
    }

    /// Returns the file names that begin with `prefix` and end with `suffix`, sorted.
    pub(super) fn names(&self, prefix: &str, suffix: &str) -> Result<Vec<String>, Error> {
        let unreadable = |error: Errno| Error::Unreadable { path: self.path.clone(), source: error.into() };
        let mut names = Vec::new();
        for entry in Dir::new(self.handle()?).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if ![".", "..", ""].contains(&name) && name.starts_with(prefix) && name.ends_with(suffix) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the metadata of `name`, without following a link.
    pub(super) fn metadata(&self, name: &str) -> Result<Metadata, Error> {
        let path = || self.path.join(name);
        look(&self.handle()?, name).map_err(|source| Error::Unreadable { path: path(), source })
    }

    /// Removes the temporary files of killed processes. A file that is being written is locked, and is not removed.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let directory = self.handle()?;
        for name in self.names(TEMPORARY, "")? {
            let file = open(&directory, &name, OFlags::RDONLY);
            // Locked until it is removed: whoever has just created it waits, sees that it is gone, and creates another.
            if file.as_ref().is_ok_and(|file| file.try_lock().is_err()) {
                continue;
            }
            if let Err(error) = unlinkat(&directory, &name, AtFlags::empty()) {
                tracing::debug!(%error, name, "cannot remove a temporary file of a killed process");
            }
        }
        Ok(())
    }

    /// Takes the lock `name`, or returns `None` while another process holds it.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<File>, Error> {
        let directory = self.handle()?;
        let file = match open(&directory, name, OFlags::RDWR) {
            Err(error) if error.is_missing() => create(&directory, name, OFlags::empty()),
            opened => opened.map_err(io::Error::from),
        };
        let file = file.map_err(|source| self.unwritable(name, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(self.unwritable(name, source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions, hard_link};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{FileType, mknodat};

    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let outer = tempfile::tempdir().unwrap();
        let directory = Directory::open(&outer.path().join("state")).unwrap();
        (outer, directory)
    }

    fn fifo(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    /// Calls `look` for each kind of file that is not a regular file, placed at `name`.
    fn odd_things(outer: &Path, directory: &Directory, name: &str, mut look: impl FnMut(&str)) {
        let path = directory.path.join(name);
        let target = outer.join("target");
        fs::write(&target, "untouched").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
        symlink(&target, &path).unwrap();
        look("a link to a file");
        fs::remove_file(&path).ok();
        symlink(outer.join("nothing"), &path).unwrap();
        look("a link to nothing");
        fs::remove_file(&path).ok();
        symlink("/dev/zero", &path).unwrap();
        look("a link to a device");
        fs::remove_file(&path).ok();
        fifo(&path);
        look("a FIFO");
        fs::remove_file(&path).ok();
        let socket = UnixListener::bind(&path).unwrap();
        look("a socket");
        drop(socket);
        fs::remove_file(&path).ok();
        fs::create_dir(&path).unwrap();
        look("a directory");
        fs::remove_dir(&path).ok();
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert!(!outer.join("nothing").exists(), "the target of the link was not created");
    }

    #[test]
    fn what_is_no_regular_file_is_neither_followed_nor_waited_for_and_can_be_set_aside() {
        let (outer, directory) = directory();
        odd_things(outer.path(), &directory, "a.json", |thing| {
            if thing == "a directory" {
                assert!(matches!(directory.read("a.json"), Err(Error::Unreadable { .. })));
                return;
            }
            assert!(matches!(directory.read("a.json"), Ok(Content::Odd)), "{thing}");
            let aside = directory.set_aside("a.json");
            assert_eq!(aside, directory.path.join("a.json.damaged"), "{thing}");
            assert!(matches!(directory.read("a.json"), Ok(Content::Absent)), "{thing}");
            fs::remove_file(&aside).unwrap();
        });
    }

    #[test]
    fn what_is_no_regular_file_is_replaced_and_what_it_leads_to_stays() {
        let (outer, directory) = directory();
        odd_things(outer.path(), &directory, "a.json", |thing| {
            let replaced = directory.replace("a.json", b"1");
            if thing == "a directory" {
                assert!(replaced.unwrap_err().to_string().contains("Is a directory"));
            } else {
                replaced.unwrap();
                assert_eq!(fs::read(directory.path.join("a.json")).unwrap(), b"1", "{thing}");
            }
        });
    }

    #[test]
    fn what_is_no_regular_file_cannot_be_locked_and_is_named() {
        let (outer, directory) = directory();
        odd_things(outer.path(), &directory, "a.lock", |thing| {
            let error = directory.try_lock("a.lock").unwrap_err().to_string();
            assert!(error.ends_with(", not a regular file"), "{thing}: {error}");
        });
        assert!(directory.try_lock("a.lock").unwrap().is_some());
    }

    #[test]
    fn a_hard_link_to_a_file_of_another_user_is_not_opened() {
        let (outer, directory) = directory();
        let target = outer.path().join("target");
        fs::write(&target, "1").unwrap();
        hard_link(&target, directory.path.join("a.json")).unwrap();
        assert!(
            matches!(directory.read("a.json"), Ok(Content::Bytes(_))),
            "our own file, as in a backup made of hard links"
        );
        if chown(&target, Some(12_345), None).is_err() {
            println!("skipped: only root can make a file of another user");
            return;
        }
        assert!(matches!(directory.read("a.json"), Ok(Content::Odd)));
        let error = directory.try_lock("a.json").unwrap_err().to_string();
        assert!(error.contains("a link to a file of another user"), "{error}");
    }

    #[test]
    fn a_file_that_is_far_too_large_is_not_read_and_not_written() {
        let (_outer, directory) = directory();
        let file = File::create(directory.path.join("a.json")).unwrap();
        file.set_len(LONGEST).unwrap();
        assert!(matches!(directory.read("a.json"), Ok(Content::Bytes(_))));
        file.set_len(60 << 30).unwrap();
        assert!(matches!(directory.read("a.json"), Ok(Content::Odd)));
        let long = vec![b' '; usize::try_from(LONGEST).unwrap() + 1];
        assert!(
            directory.replace("b.json", &long).unwrap_err().to_string().contains("exceed the size limit")
        );
        assert!(matches!(directory.read("b.json"), Ok(Content::Absent)));
    }

    #[test]
    fn what_a_killed_process_left_behind_is_swept_away_and_what_is_being_written_stays() {
        let (_outer, directory) = directory();
        fs::write(directory.path.join(".new-abc"), "").unwrap();
        fifo(&directory.path.join(".new-fifo"));
        symlink("/dev/zero", directory.path.join(".new-link")).unwrap();
        fs::write(directory.path.join("a.json"), "1").unwrap();
        let handle = directory.handle().unwrap();
        let written = Temporary::new(&handle, &mut Rng::new()).unwrap();
        directory.sweep().unwrap();
        assert_eq!(directory.names("", "").unwrap(), [written.name.clone(), "a.json".to_owned()]);
        drop(written);
        assert_eq!(directory.names("", "").unwrap(), ["a.json"]);
    }

    #[test]
    fn a_directory_that_is_gone_is_no_empty_one_and_one_that_comes_back_is_used() {
        let (_outer, directory) = directory();
        fs::remove_dir(&directory.path).unwrap();
        let error = directory.read("a.json").err().unwrap().to_string();
        assert!(error.contains("No such file or directory"), "{error}");
        assert!(directory.replace("a.json", b"1").is_err());
        assert!(!directory.path.exists(), "the directory is not created, because it may be unmounted");
        fs::create_dir(&directory.path).unwrap();
        directory.replace("a.json", b"1").unwrap();
    }
}
