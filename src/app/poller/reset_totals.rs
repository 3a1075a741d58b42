//! The operator's request to start totals again: `reset-totals-SERIAL.json`. A command writes it, and whoever writes the
//! totals next, a running daemon usually, obeys it and removes it.

use serde::{Deserialize, Serialize};

use crate::base::reading::Serial;
use crate::io::state_dir::{self, Stamp, StateDir, Stored};
use crate::rules::counters::Counter;

/// Which totals are to start again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// These.
    pub counters: Vec<Counter>,
}

impl Request {
    /// Leaves the request for whoever writes the totals of `serial`.
    pub fn save(&self, state: &StateDir, serial: &Serial) -> Result<(), state_dir::Error> {
        state.write(&name(serial), self)
    }
}

/// A request that was obeyed in memory, and is removed once the totals are on disk.
#[derive(Debug, Default)]
pub(super) struct Obeyed(Option<Stamp>);

impl Obeyed {
    /// The request for `serial` that was not obeyed yet, if there is one.
    pub(super) fn take(&mut self, state: &StateDir, serial: &Serial) -> Option<Request> {
        let stamp = state.stamp(&name(serial))?;
        if self.0 == Some(stamp) {
            return None;
        }
        self.0 = Some(stamp);
        match state.read(&name(serial)) {
            Ok(Stored::Found(request)) => Some(request),
            // What is set aside or cannot be read is no request.
            Ok(Stored::Absent | Stored::Damaged(_)) | Err(_) => None,
        }
    }

    /// Removes the request that was obeyed, unless another one has taken its place. The totals must be on disk before.
    pub(super) fn tidy_up(&mut self, state: &StateDir, serial: &Serial) {
        let Some(obeyed) = self.0 else { return };
        if state.stamp(&name(serial)) == Some(obeyed)
            && let Err(error) = state.remove(&name(serial))
        {
            tracing::debug!(%error, "the request to start totals again stays");
            return;
        }
        self.0 = None;
    }
}

fn name(serial: &Serial) -> String {
    format!("reset-totals-{serial}.json")
}
