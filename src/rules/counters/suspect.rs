//! A new level of a total, until it has lasted long enough to be accepted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::level::{Level, StoredLevel};
use super::stopwatch::GuardTime;
use crate::base::reading::Source;

/// The time for which a new total must last while the program runs.
const QUARANTINE_S: f64 = 30.0 * 60.0;
/// The number of readings for which a new total must last.
const QUARANTINE_READINGS: u32 = 3;

/// A new level that is not accepted yet.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Suspect {
    /// The first total of this level, in Wh.
    pub(super) first: f64,
    /// [`GuardTime::running`] at the first reading.
    #[serde(default)]
    begun: f64,
    readings: u32,
    pub(super) level: Level,
}

impl Suspect {
    /// Continues `known` if the gateway still shows that total, otherwise begins with the current one.
    pub(super) fn record(known: Option<Self>, raw: f64, source: Option<Source>, now: GuardTime) -> Self {
        let level = Level { source, raw, base: 0.0, seen: now.passed };
        match known {
            Some(suspect) if suspect.level.continues(raw, source, now) => {
                Self { readings: suspect.readings + 1, level, ..suspect }
            }
            _ => Self { first: raw, begun: now.running, readings: 1, level },
        }
    }

    /// Returns `true` if the level has lasted long enough to be accepted.
    pub(super) fn has_lasted(&self, now: GuardTime) -> bool {
        now.running - self.begun >= QUARANTINE_S && self.readings >= QUARANTINE_READINGS
    }

    /// Returns the form in the file of a state whose last reading was `at`.
    pub(super) fn stored(&self, at: Timestamp) -> StoredSuspect<'_> {
        let level = StoredLevel { level: &self.level, at };
        StoredSuspect { first: self.first, begun: self.begun, since: at, readings: self.readings, level }
    }
}

/// The form of a [`Suspect`] in the file.
#[derive(Serialize)]
pub(super) struct StoredSuspect<'a> {
    first: f64,
    begun: f64,
    since: Timestamp,
    readings: u32,
    level: StoredLevel<'a>,
}
