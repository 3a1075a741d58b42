//! A task that runs only while the configuration asks for it.

use tokio::sync::watch;

use super::running_task::RunningTask;
use crate::base::heartbeat::Heartbeat;

/// A task that runs only while the configuration asks for it, e.g. the publisher.
pub(super) struct OptionalTask<S>(Option<RunningTask<S>>);

impl<S: PartialEq> OptionalTask<S> {
    pub(super) const fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps the task, which has just been started.
    pub(super) fn set(&mut self, started: RunningTask<S>) {
        self.0 = Some(started);
    }

    /// Stops the task unless it runs with the settings `wanted`.
    pub(super) async fn stop_unless(&mut self, wanted: Option<&S>) {
        if let Some(running) = self.0.take_if(|running| wanted != Some(&running.settings)) {
            running.stop().await;
        }
    }

    /// Returns what stops the task.
    pub(super) fn stop_signal(&self) -> Option<&watch::Sender<bool>> {
        self.0.as_ref().map(|running| &running.stop)
    }

    pub(super) fn heartbeat(&self) -> Option<&Heartbeat> {
        self.0.as_ref().map(|running| &running.heartbeat)
    }
}

/// No task is running. Not derived, because the settings need no default.
impl<S> Default for OptionalTask<S> {
    fn default() -> Self {
        Self(None)
    }
}
