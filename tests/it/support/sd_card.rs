//! A disk that a test can let hang.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use enphased::io::state_dir::{Disk, Job, Worker};

/// Does every job at once, and none while it hangs.
#[derive(Default)]
pub(crate) struct SdCard {
    hangs: AtomicBool,
    done: AtomicUsize,
    waiting: Mutex<VecDeque<Job>>,
}

impl fmt::Debug for SdCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SdCard")
    }
}

impl Worker for SdCard {
    fn submit(&self, job: Job) -> bool {
        if self.hangs.load(Ordering::Relaxed) {
            self.waiting.lock().unwrap().push_back(job);
        } else {
            self.done.fetch_add(1, Ordering::Relaxed);
            job();
        }
        true
    }
}

impl SdCard {
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::Relaxed);
    }

    /// Does the jobs that wait, and no longer hangs.
    pub(crate) fn respond(&self) {
        loop {
            let Some(job) = self.waiting.lock().unwrap().pop_front() else { break };
            job();
        }
        self.hangs.store(false, Ordering::Relaxed);
    }

    /// Returns the number of jobs that were done while the disk did not hang.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    pub(crate) fn disk(self: &Arc<Self>) -> Disk {
        Disk::new(Arc::clone(self) as Arc<dyn Worker>)
    }
}
