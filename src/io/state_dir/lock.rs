//! A lock in the state directory.

use std::fs::File;

use super::disk::Disk;

/// A lock that is held until it is dropped and all earlier jobs of the disk have finished. Otherwise a delayed write could
/// replace a newer file of another process.
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
        // Unlock the file before closing it: a process that is being started briefly holds a copy of the descriptor. If the
        // disk refuses the job, the file and its lock are dropped.
        self.disk.start(move || drop(file.map(|file| file.unlock())));
    }
}
