//! Reads the history on a thread of its own, for the server.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::query::Report;
use crate::base::reading::Serial;
use crate::io::history::{Error, HistoryFile, gateways};
use crate::io::state_dir::Disk;

/// The time limit of a request for the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the history is read.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct HistoryReader {
    pub file: HistoryFile,
    /// The worker that reads it.
    pub disk: Disk,
}

impl HistoryReader {
    /// Runs `job` on the worker.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        // The request may have ended meanwhile.
        if !self.disk.start(move || drop(done.send(job()))) {
            return Err(Error::Stalled);
        }
        match timeout(PATIENCE, result).await {
            Ok(Ok(result)) => result,
            _ => Err(Error::Stalled),
        }
    }

    /// Returns the next piece of `report`.
    pub async fn next(&self, mut report: Report) -> Result<(Report, Option<String>), Error> {
        self.run(move || report.next_piece().map(|piece| (report, piece))).await
    }

    /// Returns whether `gateway` has a history.
    pub async fn knows(&self, gateway: &Serial) -> Result<bool, Error> {
        let (file, gateway) = (self.file.clone(), gateway.clone());
        let known = self.run(move || Ok(gateways(&file)?.contains(&gateway))).await;
        if matches!(known, Err(Error::Absent)) { Ok(false) } else { known }
    }
}
