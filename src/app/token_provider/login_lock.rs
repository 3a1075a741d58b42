//! The lock file that one process at a time holds, while it changes the record of logins or a token (L5).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Error;
use crate::io::state_dir::{self, Lock, StateDir};

/// The name of the lock file.
const LOCK: &str = "login.lock";
/// The interval between two attempts while another process holds the lock.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The lock of a state directory against other processes.
#[derive(Clone, Debug)]
pub(super) struct LoginLock(StateDir);

impl LoginLock {
    /// Creates an instance for the lock file in `state`. Does not lock it.
    pub(super) fn new(state: StateDir) -> Self {
        Self(state)
    }

    /// Locks, waiting up to `patience` for another process.
    pub(super) async fn acquire(&self, patience: Duration) -> Result<Lock, Error> {
        let give_up = Instant::now() + patience;
        loop {
            match self.try_acquire().await? {
                Some(lock) => return Ok(lock),
                None if Instant::now() < give_up => sleep(RETRY_INTERVAL).await,
                None => return Err(Error::Busy),
            }
        }
    }

    /// Locks, or returns `None` while another process holds the lock.
    pub(super) async fn try_acquire(&self) -> Result<Option<Lock>, state_dir::Error> {
        self.0.try_lock(LOCK).await
    }
}
