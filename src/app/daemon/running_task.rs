//! A task of the daemon that can be stopped on its own.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::base::heartbeat::Heartbeat;
use crate::base::reading::Serial;

/// The time limit for all tasks to end.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_millis(1800);

/// A task that can be stopped on its own.
pub(super) struct RunningTask<S> {
    pub(super) settings: S,
    pub(super) heartbeat: Heartbeat,
    pub(super) stop: watch::Sender<bool>,
    /// Receives the serial number of the gateway that the task read, when the task has ended.
    ended: oneshot::Receiver<Option<Serial>>,
}

impl<S> RunningTask<S> {
    /// Starts the task in `set`.
    pub(super) fn start<F>(
        set: &mut JoinSet<()>,
        settings: S,
        heartbeat: Heartbeat,
        work: impl FnOnce(Stopped) -> F,
    ) -> Self
    where
        F: Future<Output = Option<Serial>> + Send + 'static,
    {
        let stop = watch::Sender::new(false);
        let (tell, ended) = oneshot::channel();
        let work = work(stopped(&stop));
        set.spawn(async move {
            // Without a receiver, all tasks are being stopped.
            tell.send(work.await).unwrap_or_default();
        });
        Self { settings, heartbeat, stop, ended }
    }

    /// Stops the task, and returns the gateway that it read.
    pub(super) async fn stop(self) -> Option<Serial> {
        self.stop.send_replace(true);
        timeout(STOP_TIMEOUT, self.ended).await.ok()?.ok()?
    }
}

/// A future that completes when a task has to stop.
pub(super) type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

fn stopped(stop: &watch::Sender<bool>) -> Stopped {
    let mut stop = stop.subscribe();
    // A dropped sender is a stop too.
    Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) })
}
