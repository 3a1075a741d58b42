//! The operator's request to reset totals: `reset-totals-SERIAL.json`. A command writes it. The next process that writes
//! the counter file, usually a running daemon, applies the request and removes it.

use serde::{Deserialize, Serialize};

use crate::base::reading::Counter;
use crate::base::reading::Serial;
use crate::io::state_dir::{self, Stamp, StateDir, Stored};

/// The totals to reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TotalsReset {
    pub counters: Vec<Counter>,
}

impl TotalsReset {
    /// Writes the request for the process that writes the counter file of `serial`.
    pub async fn save(&self, state: &StateDir, serial: &Serial) -> Result<(), state_dir::Error> {
        state.write(&name(serial), self).await
    }
}

/// A request that has been applied in memory. Its file is removed when the totals are on disk.
#[derive(Debug, Default)]
pub(super) struct AppliedReset {
    stamp: Option<Stamp>,
    /// The reset totals are being written.
    is_saved: bool,
}

impl AppliedReset {
    /// Returns the request for `serial` that has not been applied yet, if there is one.
    pub(super) async fn take(&mut self, state: &StateDir, serial: &Serial) -> Option<TotalsReset> {
        let stamp = state.stamp(&name(serial)).await.ok()??;
        if self.stamp == Some(stamp) {
            return None;
        }
        *self = Self { stamp: Some(stamp), is_saved: false };
        match state.read(&name(serial)).await {
            Ok(Stored::Found(request)) => Some(request),
            // A damaged or unreadable file is not a request.
            Ok(Stored::Absent | Stored::Damaged(_)) | Err(_) => None,
        }
    }

    /// Notes that the totals, including the reset ones, are being written.
    pub(super) fn saving(&mut self) {
        self.is_saved = self.stamp.is_some();
    }

    /// Removes the applied request, unless a newer one has replaced it. The totals must already be on disk.
    pub(super) async fn tidy_up(&mut self, state: &StateDir, serial: &Serial) {
        let (Some(applied), true) = (self.stamp, self.is_saved) else { return };
        if state.stamp(&name(serial)).await.ok().flatten() == Some(applied)
            && let Err(error) = state.remove(&name(serial)).await
        {
            tracing::debug!(%error, "cannot remove the applied request to reset totals; retrying");
            return;
        }
        *self = Self::default();
    }
}

fn name(serial: &Serial) -> String {
    format!("reset-totals-{serial}.json")
}
