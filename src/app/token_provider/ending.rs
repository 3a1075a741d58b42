//! Shutdown of the program: waits for the current request to the cloud, and prevents further ones.
//!
//! An interrupted login counts as a login, because it may have opened a session. On a new installation that costs a day
//! without a token.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::io::cloud;

/// The time to wait for a request: its maximum duration, and some time to record its outcome.
pub const PATIENCE: Duration = cloud::LONGEST_REQUEST.saturating_add(Duration::from_secs(5));

/// The shutdown state that a token provider shares with the code that ends the program. Clones share the same state.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    is_near: watch::Sender<bool>,
    requests: watch::Sender<u32>,
}

impl Ending {
    /// Begins the shutdown: no further request is sent.
    pub fn begin(&self) {
        self.is_near.send_replace(true);
    }

    pub(super) fn is_near(&self) -> bool {
        *self.is_near.borrow()
    }

    /// Waits until the shutdown begins.
    pub(super) async fn near(&self) {
        let mut is_near = self.is_near.subscribe();
        // Cannot fail, because `self` owns the sender.
        drop(is_near.wait_for(|is_near| *is_near).await);
    }

    /// Marks a request as running until the returned guard is dropped.
    pub(crate) fn request(&self) -> RequestGuard {
        self.requests.send_modify(|requests| *requests += 1);
        RequestGuard(self.requests.clone())
    }

    /// Returns whether a request is running.
    pub fn has_request(&self) -> bool {
        *self.requests.borrow() > 0
    }

    /// Waits until the outcome of the current request is recorded, for at most [`PATIENCE`].
    pub async fn wait(&self) {
        let mut requests = self.requests.subscribe();
        let over = timeout(PATIENCE, requests.wait_for(|requests| *requests == 0)).await;
        if over.is_err() {
            tracing::debug!("the request to the cloud did not end in time");
        }
    }
}

/// A running request to the cloud, from before it is recorded until its outcome is recorded.
#[derive(Debug)]
pub(crate) struct RequestGuard(watch::Sender<u32>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests = requests.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_is_waited_for_and_not_for_ever() {
        let ending = Ending::default();
        ending.wait().await;
        let request = ending.request();
        assert!(ending.has_request() && !ending.is_near());
        let start = tokio::time::Instant::now();
        let sent = async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            drop(request);
        };
        tokio::join!(ending.wait(), sent);
        assert_eq!(start.elapsed(), Duration::from_secs(50));
        let _hung = ending.request();
        ending.wait().await;
        assert_eq!(start.elapsed(), Duration::from_secs(50) + PATIENCE);
        ending.clone().begin();
        assert!(ending.is_near());
    }
}
