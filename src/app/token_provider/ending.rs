//! What the end of the program means to a login: the request that is under way is waited for, and no other follows.
//!
//! A login that is cut off counts as one, because it may have opened a session, and on a new installation that costs a
//! day without a token.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::io::cloud;

/// How long a request that is under way is waited for: as long as it may take, and a moment for its outcome to be
/// written down.
pub const PATIENCE: Duration = cloud::LONGEST_REQUEST.saturating_add(Duration::from_secs(5));

/// Shared by a token_provider and whoever ends the program. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    is_near: watch::Sender<bool>,
    requests: watch::Sender<u32>,
}

impl Ending {
    /// The program is about to end: no request follows the one that is under way.
    pub fn begin(&self) {
        self.is_near.send_replace(true);
    }

    pub(super) fn is_near(&self) -> bool {
        *self.is_near.borrow()
    }

    /// Comes when the program is about to end.
    pub(super) async fn near(&self) {
        let mut is_near = self.is_near.subscribe();
        // The sender is this value's own.
        drop(is_near.wait_for(|is_near| *is_near).await);
    }

    /// A request is under way until the result is dropped.
    pub(crate) fn request(&self) -> RequestGuard {
        self.requests.send_modify(|requests| *requests += 1);
        RequestGuard(self.requests.clone())
    }

    /// Whether a request is under way.
    pub fn has_request(&self) -> bool {
        *self.requests.borrow() > 0
    }

    /// Waits until the outcome of the request that is under way is written down; not longer than one may take.
    pub async fn wait(&self) {
        let mut requests = self.requests.subscribe();
        let over = timeout(PATIENCE, requests.wait_for(|requests| *requests == 0)).await;
        if over.is_err() {
            tracing::debug!("the request to the cloud did not end in time");
        }
    }
}

/// A request to the cloud, from before it is written down until its outcome is.
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
