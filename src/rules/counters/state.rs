//! The stored state of the guard.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::days::Days;
use super::estimates::Estimates;
use super::guarded_total::{GuardedTotal, Suspect};
use super::stopwatch::Stopwatch;
use crate::base::reading::Counter;
use crate::base::reading::Reading;
use crate::base::units::WattHours;

/// The state of the guard, which must survive a restart.
///
/// The caller writes it rarely: after an event, after midnight, every 15 minutes, and at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doubt: Option<Suspect>,
    #[serde(default, skip_serializing_if = "Estimates::is_empty")]
    pub(super) estimates: Estimates,
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
