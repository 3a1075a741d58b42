//! The lock that a daemon holds (`daemon.lock`), so that a second one on the same directory is detected.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

use crate::io::state_dir::{Lock, StateDir};

const NAME: &str = "daemon.lock";
/// The interval at which a directory is locked again that was replaced, or could not be locked.
const CHECK: Duration = Duration::from_secs(60);

/// The lock of the daemon. If nothing can be written in the directory, the daemon continues without it, which is harmless.
#[derive(Debug)]
pub(super) struct DaemonLock {
    state: StateDir,
    held: Option<Lock>,
    /// The number of times that the directory had been replaced when it was locked.
    directory: u64,
    /// Another daemon has locked the directory that replaced ours.
    is_taken: bool,
}

impl DaemonLock {
    /// Locks the directory. Returns `None` if another daemon has locked it.
    pub(super) async fn acquire(state: &StateDir) -> Option<Self> {
        let mut lock = Self { state: state.clone(), held: None, directory: 0, is_taken: false };
        lock.lock().await.then_some(lock)
    }

    /// Waits for `work`. Meanwhile, locks the directory again if it was replaced by another one.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.renew() => {}
            }
        }
    }

    async fn renew(&mut self) {
        sleep(CHECK).await;
        if self.held.is_some() && self.directory == self.state.replaced() {
            return;
        }
        let taken = !self.lock().await;
        if taken && !self.is_taken {
            tracing::warn!(
                "another enphased is using {}, which replaced the state directory of this one; stop one of them, or set a \
                 different state_dir",
                self.state.path().display()
            );
        }
        self.is_taken = taken;
    }

    /// Locks the directory that is under the path now. Returns `false` if another process has locked it.
    async fn lock(&mut self) -> bool {
        match self.state.try_lock(NAME).await {
            Ok(Some(lock)) => {
                self.held = Some(lock);
                self.directory = self.state.replaced();
                true
            }
            Ok(None) => {
                self.held = None;
                false
            }
            Err(error) => {
                // The state directory reports its own problems.
                tracing::debug!("{error}; continuing without a lock");
                self.held = None;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_directory_that_replaces_the_locked_one_is_locked_too() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("state");
        let state = StateDir::open(&path).unwrap();
        let other = || StateDir::open(&path).unwrap();
        let mut lock = DaemonLock::acquire(&state).await.unwrap();
        assert!(DaemonLock::acquire(&other()).await.is_none());
        std::fs::rename(&path, outer.path().join("away")).unwrap();
        std::fs::create_dir(&path).unwrap();
        // The next access notices the replacement.
        state.names("", "").await.unwrap();
        lock.during(sleep(2 * CHECK)).await;
        assert!(DaemonLock::acquire(&other()).await.is_none());
        drop(lock);
        assert!(DaemonLock::acquire(&other()).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_directory_in_which_another_daemon_runs_is_locked_when_that_one_ends() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("state");
        let state = StateDir::open(&path).unwrap();
        let mut lock = DaemonLock::acquire(&state).await.unwrap();
        std::fs::rename(&path, outer.path().join("away")).unwrap();
        let other = StateDir::open(&path).unwrap();
        let others_lock = DaemonLock::acquire(&other).await.unwrap();
        state.names("", "").await.unwrap();
        lock.during(sleep(2 * CHECK)).await;
        assert!(lock.held.is_none() && lock.is_taken);
        drop(others_lock);
        lock.during(sleep(2 * CHECK)).await;
        assert!(lock.held.is_some() && !lock.is_taken);
    }
}
