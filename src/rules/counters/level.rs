//! The level of a gateway's total, and which totals continue it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stopwatch::GuardTime;
use crate::base::reading::Source;

/// More power than the inverters of any gateway have (600 of them produce 180 kW).
const MOST_POWER_W: f64 = 200_000.0;
/// The delay of inverters' reports, up to 15 minutes, after which they arrive all at once.
const LATE_S: f64 = 15.0 * 60.0;
/// The largest decrease that is expected to be caught up.
const SMALL_STEP_WH: f64 = 5_000.0;

/// The gateway's total, with the base that is added to it, both in Wh.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Source>,
    pub(super) raw: f64,
    #[serde(default)]
    pub(super) base: f64,
    /// [`GuardTime::passed`] at the last reading.
    #[serde(default)]
    pub(super) seen: f64,
}

impl Level {
    /// Returns `true` if `raw` can be this total at `now`: grown by a possible amount, or slightly decreased.
    pub(super) fn continues(&self, raw: f64, source: Option<Source>, now: GuardTime) -> bool {
        let growth = raw - self.raw;
        self.source == source && growth >= -SMALL_STEP_WH && growth <= self.most_growth(now)
    }

    /// Returns the energy in Wh that the total can have grown by since the last reading.
    pub(super) fn most_growth(&self, now: GuardTime) -> f64 {
        MOST_POWER_W * ((now.passed - self.seen).max(0.0) + LATE_S) / 3600.0
    }
}

/// The form of a [`Level`] in the file.
#[derive(Serialize)]
pub(super) struct StoredLevel<'a> {
    #[serde(flatten)]
    pub(super) level: &'a Level,
    pub(super) at: Timestamp,
}
