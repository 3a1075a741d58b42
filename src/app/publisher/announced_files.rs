//! The state files `announced-SERIAL.json`, with the record of the retained topics of each gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::announced::AnnouncedTopics;
use crate::base::reading::Serial;
use crate::io::state_dir::{Saver, StateDir, Stored};
use crate::output::topics;

/// The prefix of the file names, `announced-SERIAL.json`.
const BEGINNING: &str = "announced-";
const END: &str = ".json";
/// The delay before a failed write is retried.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Reads the stored records of all gateways.
pub(super) async fn load(state: &StateDir) -> Vec<(Serial, AnnouncedTopics)> {
    let names = state.names(BEGINNING, END).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot list the records of announced topics");
        Vec::new()
    });
    let mut known = Vec::new();
    for name in names {
        let serial = name.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix(END)?.parse().ok());
        match state.read(&name).await {
            Ok(Stored::Found(announced)) => known.extend(serial.zip(AnnouncedTopics::publishable(announced))),
            // Without a record, the topics stay at the broker, which is harmless.
            Ok(Stored::Absent | Stored::Damaged(_)) => {}
            Err(error) => tracing::debug!(%error, "cannot read the record of announced topics"),
        }
    }
    known
}

/// The files with the record of each gateway. If a write fails, an announcement may outlive its device.
#[derive(Debug)]
pub(super) struct Files {
    state: StateDir,
    savers: BTreeMap<Serial, Saver>,
    /// The records that are being written.
    pending: BTreeSet<Serial>,
    /// The number of times that the state directory was replaced.
    directory: u64,
    /// The time of the first failed write that has not been retried.
    failed: Option<Instant>,
}

impl Files {
    /// Creates the files of the records in `state`, without reading or writing one.
    pub(super) fn new(state: StateDir) -> Self {
        let directory = state.replaced();
        Self { state, savers: BTreeMap::new(), pending: BTreeSet::new(), directory, failed: None }
    }

    /// Starts to write the record of `serial`.
    pub(super) fn save(&mut self, serial: &Serial, announced: &AnnouncedTopics) {
        let name = || format!("{BEGINNING}{}{END}", topics::level(serial.as_str()));
        let saver = self.savers.entry(serial.clone()).or_insert_with(|| Saver::new(name()));
        saver.save(&self.state, announced);
        self.pending.insert(serial.clone());
    }

    /// Returns whether all files have to be written again, because the directory was replaced or a write has failed.
    pub(super) fn are_lost(&mut self, now: Instant) -> bool {
        self.pending.retain(|serial| {
            let Some(saver) = self.savers.get(serial) else { return false };
            // Asked first: an outcome that arrives in between is found the next time.
            let is_idle = saver.is_idle();
            if let Some(Err(error)) = saver.outcome() {
                tracing::debug!(%error, "cannot write the record of announced topics");
                self.failed.get_or_insert(now);
            }
            !is_idle
        });
        let directory = self.state.replaced();
        let is_new = self.directory != directory;
        self.directory = directory;
        let is_time =
            self.failed.is_some_and(|failed| now.saturating_duration_since(failed) >= RETRY_INTERVAL);
        if is_new || is_time {
            self.failed = None;
        }
        is_new || is_time
    }

    /// Waits up to `patience` until all files are written.
    pub(super) async fn finish(&self, patience: Duration) {
        let end = Instant::now() + patience;
        for saver in self.savers.values() {
            saver.finish(end.saturating_duration_since(Instant::now())).await;
        }
    }
}
