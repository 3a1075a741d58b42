//! The stored state of the guard.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize, Serializer};

use super::days::Days;
use super::estimates::Estimates;
use super::guarded_total::{GuardedTotal, StoredTotal};
use super::stopwatch::Stopwatch;
use super::suspect::{StoredSuspect, Suspect};
use crate::base::reading::Counter;
use crate::base::reading::Reading;
use crate::base::units::WattHours;

/// The state of the guard, which must survive a restart.
///
/// The caller writes it rarely: after an event, after midnight, every 15 minutes, and at the end.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct GuardState {
    /// The version of the format, 2. Version 1 had times of day instead of the stopwatch, which are ignored.
    pub version: u8,
    #[serde(default)]
    pub(super) stopwatch: Stopwatch,
    #[serde(default, rename = "tracks")]
    pub(super) totals: BTreeMap<Counter, GuardedTotal>,
    #[serde(default)]
    pub(super) days: BTreeMap<Counter, Days>,
    /// The totals of phases and inverters, by name.
    #[serde(default)]
    pub(super) details: BTreeMap<String, GuardedTotal>,
    /// The first total of the production, while it is not accepted.
    #[serde(default)]
    pub(super) doubt: Option<Suspect>,
    #[serde(default)]
    pub(super) estimates: Estimates,
}

/// The form of the state in the file.
#[derive(Serialize)]
struct StoredState<'a> {
    version: u8,
    stopwatch: &'a Stopwatch,
    #[serde(rename = "tracks")]
    totals: BTreeMap<Counter, StoredTotal<'a>>,
    days: &'a BTreeMap<Counter, Days>,
    details: BTreeMap<&'a str, StoredTotal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<StoredSuspect<'a>>,
    #[serde(skip_serializing_if = "Estimates::is_empty")]
    estimates: &'a Estimates,
}

impl Serialize for GuardState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = self.stopwatch.last_reading().unwrap_or(Timestamp::UNIX_EPOCH);
        let stored = StoredState {
            version: self.version,
            stopwatch: &self.stopwatch,
            totals: self.totals.iter().map(|(counter, total)| (*counter, total.stored(at))).collect(),
            days: &self.days,
            details: self.details.iter().map(|(name, total)| (name.as_str(), total.stored(at))).collect(),
            doubt: self.doubt.as_ref().map(|doubt| doubt.stored(at)),
            estimates: &self.estimates,
        };
        stored.serialize(serializer)
    }
}

impl Default for GuardState {
    fn default() -> Self {
        Self {
            version: 2,
            stopwatch: Stopwatch::default(),
            totals: BTreeMap::new(),
            days: BTreeMap::new(),
            details: BTreeMap::new(),
            doubt: None,
            estimates: Estimates::default(),
        }
    }
}

impl GuardState {
    /// Returns the published total of `counter`.
    pub fn published(&self, counter: Counter) -> Option<WattHours> {
        let guarded = self.totals.get(&counter).and_then(GuardedTotal::published);
        self.estimates.published(counter).or(guarded)
    }

    /// Returns the totals of the site that are held back.
    pub fn held(&self) -> Vec<Counter> {
        let held = self.totals.iter().filter(|(_, total)| total.is_held()).map(|(counter, _)| *counter);
        self.doubt.iter().map(|_| Counter::Production).chain(held).collect()
    }

    /// Records the published totals of the day.
    pub(super) fn record_days(&mut self, reading: &mut Reading, zone: &TimeZone) {
        let time = reading.time;
        for counter in Counter::ALL {
            if let Some(published) = counter.of(reading).and_then(|total| *total) {
                self.days.entry(counter).or_default().record(published, time, zone);
            }
        }
    }

    /// Fills in the energies of the day.
    pub(super) fn fill_days(&self, reading: &mut Reading, zone: &TimeZone) {
        let date = reading.time.to_zoned(zone.clone()).date();
        let today = |counter| self.days.get(&counter).and_then(|days: &Days| days.today(date));
        let yesterday = |counter| self.days.get(&counter).and_then(|days: &Days| days.yesterday(date));
        // The gateway's own value of the day is used only if its total is too coarse (see `Production::today_wh`).
        if let Some(production) = &mut reading.production
            && production.today_wh.is_none()
        {
            production.today_wh = today(Counter::Production);
            production.yesterday_wh = yesterday(Counter::Production);
        }
        if let Some(consumption) = &mut reading.consumption {
            consumption.today_wh = today(Counter::Consumption);
            consumption.yesterday_wh = yesterday(Counter::Consumption);
        }
        if let Some(grid) = &mut reading.grid {
            grid.import_today_wh = today(Counter::Import);
            grid.export_today_wh = today(Counter::Export);
        }
        if let Some(storage) = &mut reading.storage {
            storage.charged_today_wh = today(Counter::Charged);
            storage.discharged_today_wh = today(Counter::Discharged);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_level_has_the_time_without_which_version_0_1_0_reads_nothing() {
        let level = |seen: f64| json!({"source": "meter", "raw": 9.0, "base": 1.0, "seen": seen});
        let suspect = json!({"first": 3.0, "begun": 4.0, "readings": 2, "level": level(5.0)});
        let total = json!({"published": 10.0, "level": level(6.0), "former": level(2.0), "suspect": suspect, "told": true});
        let written = json!({
            "version": 2, "tracks": {"production": total}, "details": {"inverter 12": total}, "doubt": suspect,
            "stopwatch": {"running": 7.0, "passed": 8.0, "ours": "2026-06-21T12:00:00Z"},
        });
        let state: GuardState = serde_json::from_value(written).unwrap();
        let stored = serde_json::to_value(&state).unwrap();
        for total in [&stored["tracks"]["production"], &stored["details"]["inverter 12"]] {
            for part in [&total["level"]["at"], &total["former"]["at"], &total["suspect"]["since"]] {
                assert_eq!(*part, json!("2026-06-21T12:00:00Z"), "{stored}");
            }
            assert_eq!(total["suspect"]["level"]["at"], json!("2026-06-21T12:00:00Z"));
        }
        assert_eq!(serde_json::from_value::<GuardState>(stored).unwrap(), state, "nothing is lost");
    }
}
