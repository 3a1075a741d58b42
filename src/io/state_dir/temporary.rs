//! The temporary file that replaces a state file when it is complete.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;

use fastrand::Rng;
use rustix::fs::{AtFlags, OFlags, renameat, unlinkat};

use super::open::create;

/// The prefix of temporary files.
pub(super) const TEMPORARY: &str = ".new-";
/// The maximum number of names to try for a temporary file.
const NAMES: u32 = 100;

fn temporary_name(rng: &mut Rng) -> String {
    format!("{TEMPORARY}{:016x}", rng.u64(..))
}

/// A temporary file, which is removed on drop unless it was renamed to its final name.
pub(super) struct Temporary<'a> {
    directory: &'a File,
    /// Empty after the rename.
    pub(super) name: String,
    /// Locked while it is written, so that a sweep does not remove it.
    pub(super) file: File,
}

impl<'a> Temporary<'a> {
    /// Creates and locks a file with an unused name.
    pub(super) fn new(directory: &'a File, rng: &mut Rng) -> io::Result<Self> {
        for _ in 0..NAMES {
            // Never reuse a name: a sweep may be about to remove the file that had it.
            let name = temporary_name(rng);
            let file = match create(directory, &name, OFlags::EXCL) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            // On a file system without locks, sweeps remove nothing.
            let locked = file.lock().is_ok();
            // A sweep may have removed the file before it was locked.
            if !locked || file.metadata()?.nlink() > 0 {
                return Ok(Self { directory, name, file });
            }
        }
        Err(io::Error::new(
            ErrorKind::AlreadyExists,
            format!("no unused name for a temporary file ({TEMPORARY}…)"),
        ))
    }

    /// Renames the file to `name`.
    pub(super) fn persist(mut self, name: &str) -> io::Result<()> {
        renameat(self.directory, &self.name, self.directory, name)?;
        self.name.clear();
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // If this fails, a sweep removes the file later.
            unlinkat(self.directory, &self.name, AtFlags::empty()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_name_that_is_taken_is_not_followed_and_another_is_tried() {
        let outer = tempfile::tempdir().unwrap();
        let elsewhere = outer.path().join("elsewhere");
        let inner = outer.path().join("state");
        std::fs::create_dir(&inner).unwrap();
        let mut same = Rng::with_seed(1);
        for _ in 0..3 {
            symlink(&elsewhere, inner.join(temporary_name(&mut same))).unwrap();
        }
        let directory = File::open(&inner).unwrap();
        let temporary = Temporary::new(&directory, &mut Rng::with_seed(1)).unwrap();
        assert_eq!(temporary.name, temporary_name(&mut same));
        assert!(!elsewhere.exists());
    }
}
