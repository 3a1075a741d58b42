//! The workers that write and read the history.

use crate::io::state_dir::Disk;

/// The workers that write and read the history. They are apart, so that a request is answered while a write waits.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Disks {
    pub writes: Disk,
    pub reads: Disk,
}

impl Disks {
    /// Creates workers that are threads.
    pub fn threads() -> Self {
        Self { writes: Disk::thread_named("history"), reads: Disk::thread_named("history reads") }
    }

    /// Creates workers that work on the calling thread.
    pub fn inline() -> Self {
        Self { writes: Disk::inline(), reads: Disk::inline() }
    }
}
