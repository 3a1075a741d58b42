//! A read or a write of the history file in progress, and what came of it.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::reading::Serial;
use crate::io::history::rows::{Batch, Counted};
use crate::io::history::{Error, History};

/// The time after which a job counts as failed. It goes on, and no other begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// The outcome of a job.
pub(super) enum Done {
    Loaded(Serial, Result<Vec<Counted>, Error>),
    Written(Arc<Vec<Batch>>, Result<(), Error>),
}

/// A job that the disk is doing.
pub(super) struct DiskJob {
    work: Pin<Box<dyn Future<Output = Done> + Send>>,
    /// When the job counts as failed, or `None` after that.
    late_at: Option<Instant>,
}

impl DiskJob {
    pub(super) fn new(work: impl Future<Output = Done> + Send + 'static) -> Self {
        Self { work: Box::pin(work), late_at: Some(Instant::now() + PATIENCE) }
    }

    pub(super) const fn late_at(&self) -> Option<Instant> {
        self.late_at
    }

    /// Records that the job counts as failed.
    pub(super) const fn mark_late(&mut self) {
        self.late_at = None;
    }

    /// Waits for this job.
    pub(super) async fn done(self) -> Done {
        self.work.await
    }

    /// Waits for the job in `running`, and clears it. Never completes if there is none.
    pub(super) async fn finished(running: &mut Option<Self>) -> Done {
        let Some(current) = running else { return pending().await };
        let done = current.work.as_mut().await;
        *running = None;
        done
    }
}

/// Reads the totals of a gateway.
pub(super) async fn load(history: History, serial: Serial) -> Done {
    let stored = history.totals(&serial).await;
    Done::Loaded(serial, stored)
}

/// Writes `batches`, which come back with the outcome.
pub(super) async fn write(history: History, batches: Arc<Vec<Batch>>) -> Done {
    let outcome = history.write(Arc::clone(&batches)).await;
    Done::Written(batches, outcome)
}
