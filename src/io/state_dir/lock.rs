//! A lock in the state directory.

use std::fs::File;

use super::disk::Disk;

/// A lock that is held until it is dropped, and until the disk has done what was asked of it before that: a write that
/// waits for a disk that hangs must not replace what another process writes meanwhile.
#[derive(Debug)]
pub struct Lock {
    /// The open file is the lock.
    file: Option<File>,
    disk: Disk,
}

impl Lock {
    pub(super) fn new(file: File, disk: Disk) -> Self {
        Self { file: Some(file), disk }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let file = self.file.take();
        // Unlocked, not only closed: a process that is being started holds a copy of the file for a moment. A disk that
        // takes no job drops the file, and the lock with it.
        self.disk.start(move || drop(file.map(|file| file.unlock())));
    }
}
