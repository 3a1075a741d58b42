//! The guarded totals of a gateway and their file `counters-SERIAL.json`. The file is written rarely, to spare the SD
//! card. While the state directory cannot be used, the totals are guarded in memory.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::reset_totals::AppliedReset;
use crate::base::reading::Counter;
use crate::base::reading::{Event, Reading, Serial};
use crate::base::units::WattHours;
use crate::io::state_dir::{Saver, StateDir, Stored};
use crate::rules::counters::{Guard, GuardState};
use crate::rules::inverter_health::InverterHealth;
use crate::rules::production_meter::ProductionMeter;

/// The interval between two writes without an event.
const SAVE: Duration = Duration::from_secs(15 * 60);
/// The interval before a failed write is retried.
const AGAIN: Duration = Duration::from_secs(60);
/// The time limit for the last write when the program ends.
const LAST: Duration = Duration::from_millis(1500);

/// The contents of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct FileContents {
    totals: GuardState,
    #[serde(rename = "siblings")]
    inverter_health: InverterHealth,
    #[serde(default)]
    production_meter: ProductionMeter,
}

/// The time of the last write.
#[derive(Clone, Copy, Debug)]
struct LastSave {
    at: Instant,
    day: Date,
    /// The number of times that the directory under the path had been replaced by then.
    directory: u64,
}

/// The guarded totals of one gateway, and the state of the checks of its inverters and its production meter.
#[derive(Debug)]
pub struct CounterFile {
    serial: Serial,
    guard: Guard,
    inverter_health: InverterHealth,
    production_meter: ProductionMeter,
    /// The last request to reset totals that was applied.
    applied_reset: AppliedReset,
    /// The file was read, or does not exist. Before that the file is not written, because its contents would be lost.
    loaded: bool,
    saver: Saver,
    saved: Option<LastSave>,
    /// An event has changed the totals; the next write is due at once.
    urgent: bool,
    /// The last write failed.
    failed: bool,
}

impl CounterFile {
    /// Creates the totals of `serial`, which are empty until [`Self::load`].
    pub fn new(serial: &Serial) -> Self {
        Self {
            serial: serial.clone(),
            guard: Guard::provisional(),
            inverter_health: InverterHealth::default(),
            production_meter: ProductionMeter::default(),
            applied_reset: AppliedReset::default(),
            loaded: false,
            saver: Saver::new(name(serial)),
            saved: None,
            urgent: false,
            failed: false,
        }
    }

    /// Loads the file from `state` if it has not been loaded yet. A failed read is retried at the next call.
    pub async fn load(&mut self, state: &StateDir) {
        if self.loaded {
            return;
        }
        let kept = match state.read::<FileContents>(&name(&self.serial)).await {
            Ok(Stored::Found(kept)) => kept,
            Ok(Stored::Absent) => FileContents::default(),
            Ok(Stored::Damaged(aside)) => {
                tracing::warn!(
                    file = %aside.display(),
                    "the stored totals were damaged and are set aside; totals and daily values start again"
                );
                FileContents::default()
            }
            Err(error) => {
                // The state directory logs the error.
                tracing::debug!("{error}; totals and daily values start again until it can be read");
                return;
            }
        };
        (self.guard, self.inverter_health) = (Guard::new(kept.totals), kept.inverter_health);
        self.production_meter = kept.production_meter;
        self.loaded = true;
    }

    /// Returns the published total of `counter`.
    pub fn published(&self, counter: Counter) -> Option<WattHours> {
        self.guard.state().published(counter)
    }

    /// Returns the totals of the site that are held back.
    pub fn held(&self) -> Vec<Counter> {
        self.guard.state().held()
    }

    /// Resets `counters`: each starts again from the next value of the gateway.
    pub fn reset(&mut self, counters: &[Counter]) {
        self.guard.reset(counters);
        self.urgent = true;
    }

    /// Applies the operator's request to reset totals, if there is a new one.
    pub(super) async fn apply_reset(&mut self, state: &StateDir) {
        self.tidy_up(state).await;
        if let Some(request) = self.applied_reset.take(state, &self.serial).await {
            self.reset(&request.counters);
        }
    }

    /// Returns the serial number of the gateway.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Guards the totals of `reading`, and adds its energy of the day. Marks silent and weak inverters, and compares the
    /// production meter with the inverters. Returns the events to report.
    pub fn apply(&mut self, reading: &mut Reading, zone: &TimeZone, now: Instant) -> Vec<Event> {
        let mut events = self.guard.apply(reading, zone, now);
        let date = reading.time.to_zoned(zone.clone()).date();
        events.extend(self.inverter_health.see(&mut reading.inverters, date, reading.time));
        events.extend(self.production_meter.see(reading));
        self.urgent |= !events.is_empty() || self.guard.exceeds_bounds();
        events
    }

    /// Writes the file if that is due: after an event, when `day` has changed, and every 15 minutes.
    pub fn save_when_due(&mut self, state: &StateDir, day: Date, now: Instant) {
        self.check_outcome();
        let directory = state.replaced();
        let due = self.saved.is_none_or(|last| {
            let passed = now.saturating_duration_since(last.at);
            let is_new = (self.urgent && !self.failed) || last.day != day || last.directory != directory;
            is_new || passed >= if self.failed { AGAIN } else { SAVE }
        });
        if due {
            // Set before the write, so that a failing write is not retried at each poll.
            self.saved = Some(LastSave { at: now, day, directory });
            let totals = self.guard.state_while_running();
            self.write(state, totals);
        }
    }

    /// Starts writing the file at an orderly end.
    pub fn save(&mut self, state: &StateDir) {
        let totals = self.guard.state().clone();
        self.write(state, totals);
    }

    fn write(&mut self, state: &StateDir, totals: GuardState) {
        if self.loaded {
            let kept = FileContents {
                totals,
                inverter_health: self.inverter_health.clone(),
                production_meter: self.production_meter.clone(),
            };
            self.saver.save(state, &kept);
            self.applied_reset.saving();
            self.urgent = false;
            self.check_outcome();
        }
    }

    /// Waits until the file is written, up to a time limit. Returns whether it was written.
    pub(super) async fn finish(&mut self, state: &StateDir) -> bool {
        let finished = self.saver.finish(LAST).await;
        self.tidy_up(state).await;
        finished
    }

    /// Removes an applied request when the reset totals are on disk.
    async fn tidy_up(&mut self, state: &StateDir) {
        self.check_outcome();
        if !self.failed && self.saver.is_idle() {
            self.applied_reset.tidy_up(state, &self.serial).await;
        }
    }

    /// Records the outcome of the last write, if it has finished.
    fn check_outcome(&mut self) {
        match self.saver.outcome() {
            Some(Ok(())) => self.failed = false,
            Some(Err(error)) => {
                tracing::debug!("{error}; keeping totals and daily values in memory");
                self.failed = true;
            }
            None => {}
        }
    }
}

fn name(serial: &Serial) -> String {
    format!("counters-{serial}.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::reading::{GatewayFacts, Production, Source};
    use crate::base::units::WattHours;

    const DAY: Date = jiff::civil::date(2026, 6, 21);

    fn serial() -> Serial {
        Serial::parse("122300000001").unwrap()
    }

    fn reading(minute: i64, total: f64) -> Reading {
        let gateway = GatewayFacts {
            serial: serial(),
            name: None,
            firmware: "8.3.5289".to_owned(),
            part_number: None,
            metered: true,
        };
        let production = Production {
            power_w: None,
            energy_wh: WattHours::new(total),
            today_wh: None,
            yesterday_wh: None,
            source: Source::Meter,
            measured_at: None,
        };
        let time = jiff::Timestamp::from_second(1_782_000_000 + 60 * minute).unwrap();
        Reading { production: Some(production), ..Reading::empty(time, gateway) }
    }

    fn directory() -> (tempfile::TempDir, StateDir) {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(outer.path()).unwrap();
        (outer, state)
    }

    async fn loaded(state: &StateDir) -> CounterFile {
        let mut totals = CounterFile::new(&serial());
        totals.load(state).await;
        totals
    }

    #[tokio::test]
    async fn totals_are_written_at_first_at_midnight_after_an_event_and_every_quarter_of_an_hour() {
        let (_outer, state) = directory();
        let mut totals = loaded(&state).await;
        let start = Instant::now();
        let mut writes = 0;
        let mut stamp = None;
        let mut look = async |totals: &mut CounterFile, day: Date, seconds: u64| {
            totals.save_when_due(&state, day, start + Duration::from_secs(seconds));
            let now = state.stamp(&name(&serial())).await.unwrap();
            writes += usize::from(now != stamp);
            stamp = now;
            writes
        };
        assert_eq!(totals.apply(&mut reading(0, 9_000_000.0), &TimeZone::UTC, Instant::now()), []);
        assert_eq!(look(&mut totals, DAY, 0).await, 1);
        assert_eq!(look(&mut totals, DAY, 899).await, 1);
        assert_eq!(look(&mut totals, DAY, 900).await, 2);
        assert_eq!(look(&mut totals, DAY.tomorrow().unwrap(), 930).await, 3);
        assert_eq!(totals.apply(&mut reading(1, 0.0), &TimeZone::UTC, Instant::now()).len(), 1);
        assert_eq!(look(&mut totals, DAY.tomorrow().unwrap(), 960).await, 4);
        assert_eq!(look(&mut totals, DAY.tomorrow().unwrap(), 990).await, 4);
    }

    #[tokio::test]
    async fn a_restart_goes_on_with_what_was_published() {
        let (_outer, state) = directory();
        let mut totals = loaded(&state).await;
        totals.apply(&mut reading(0, 9_000_000.0), &TimeZone::UTC, Instant::now());
        totals.save(&state);
        let mut lower = reading(5, 8_999_000.0);
        loaded(&state).await.apply(&mut lower, &TimeZone::UTC, Instant::now());
        assert_eq!(lower.production.unwrap().energy_wh, WattHours::new(9_000_000.0));
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_and_totals_begin_anew() {
        let (outer, state) = directory();
        std::fs::write(outer.path().join(name(&serial())), "{\"version\":1,\"tracks\":7}").unwrap();
        let mut totals = loaded(&state).await;
        let mut first = reading(0, 5.0);
        totals.apply(&mut first, &TimeZone::UTC, Instant::now());
        assert_eq!(first.production.unwrap().energy_wh, WattHours::new(5.0));
        assert_eq!(state.names("counters", "").await.unwrap().len(), 1, "one file, set aside");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_yet_is_not_replaced_and_is_gone_on_from_later() {
        let (outer, state) = directory();
        let mut totals = loaded(&state).await;
        totals.apply(&mut reading(0, 9_000_000.0), &TimeZone::UTC, Instant::now());
        totals.save(&state);
        let (file, away) = (outer.path().join(name(&serial())), outer.path().join("away"));
        std::fs::rename(&file, &away).unwrap();
        std::fs::create_dir(&file).unwrap();
        let mut totals = loaded(&state).await;
        totals.apply(&mut reading(5, 8_999_000.0), &TimeZone::UTC, Instant::now());
        std::fs::remove_dir(&file).unwrap();
        totals.save(&state);
        assert!(!file.exists(), "nothing is written over what was not read");
        std::fs::rename(&away, &file).unwrap();
        totals.load(&state).await;
        let mut lower = reading(6, 8_999_100.0);
        totals.apply(&mut lower, &TimeZone::UTC, Instant::now());
        assert_eq!(lower.production.unwrap().energy_wh, WattHours::new(9_000_000.0));
    }
}
