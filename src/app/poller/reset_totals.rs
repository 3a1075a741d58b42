//! The operator's request to start totals again: `reset-totals-SERIAL.json`. A command writes it, and whoever writes the
//! totals next, a running daemon usually, obeys it and removes it.

use serde::{Deserialize, Serialize};

use crate::base::reading::Serial;
use crate::io::state_dir::{self, Stamp, StateDir, Stored};
use crate::rules::counters::Counter;

/// Which totals are to start again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsReset {
    /// These.
    pub counters: Vec<Counter>,
}

impl TotalsReset {
    /// Leaves the request for whoever writes the totals of `serial`.
    pub async fn save(&self, state: &StateDir, serial: &Serial) -> Result<(), state_dir::Error> {
        state.write(&name(serial), self).await
    }
}

/// A request that was obeyed in memory, and is removed once the totals are on disk.
#[derive(Debug, Default)]
pub(super) struct Obeyed {
    stamp: Option<Stamp>,
    /// The totals that came of it are being written.
    is_saved: bool,
}

impl Obeyed {
    /// The request for `serial` that was not obeyed yet, if there is one.
    pub(super) async fn take(&mut self, state: &StateDir, serial: &Serial) -> Option<TotalsReset> {
        let stamp = state.stamp(&name(serial)).await.ok()??;
        if self.stamp == Some(stamp) {
            return None;
        }
        *self = Self { stamp: Some(stamp), is_saved: false };
        match state.read(&name(serial)).await {
            Ok(Stored::Found(request)) => Some(request),
            // What is set aside or cannot be read is no request.
            Ok(Stored::Absent | Stored::Damaged(_)) | Err(_) => None,
        }
    }

    /// The totals are handed to the disk, those that came of the request among them.
    pub(super) fn saving(&mut self) {
        self.is_saved = self.stamp.is_some();
    }

    /// Removes the request that was obeyed, unless another one has taken its place. The totals must be on disk before.
    pub(super) async fn tidy_up(&mut self, state: &StateDir, serial: &Serial) {
        let Some(obeyed) = self.stamp.filter(|_| self.is_saved) else { return };
        if state.stamp(&name(serial)).await.ok().flatten() == Some(obeyed)
            && let Err(error) = state.remove(&name(serial)).await
        {
            tracing::debug!(%error, "the request to start totals again stays");
            return;
        }
        *self = Self::default();
    }
}

fn name(serial: &Serial) -> String {
    format!("reset-totals-{serial}.json")
}
