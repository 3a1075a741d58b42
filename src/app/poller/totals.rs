//! The guard of the totals and where it is kept: `counters-SERIAL.json`, written rarely, because an SD card is
//! under it. Without a state directory that serves, totals are guarded as long as the process lives.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::reset_totals::Obeyed;
use crate::base::reading::{Event, Reading, Serial};
use crate::base::units::WattHours;
use crate::io::state_dir::{Saver, StateDir, Stored};
use crate::rules::counters::{Counter, Guard, GuardState};
use crate::rules::inverter_health::InverterHealth;
use crate::rules::production_meter::ProductionMeter;

/// How often the totals are written when nothing happens to them.
const SAVE: Duration = Duration::from_secs(15 * 60);
/// How soon they are written again after that has failed.
const AGAIN: Duration = Duration::from_secs(60);
/// How long the last write is waited for at the end.
const LAST: Duration = Duration::from_millis(1500);

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    totals: GuardState,
    siblings: InverterHealth,
    #[serde(default)]
    production_meter: ProductionMeter,
}

/// When the totals were handed to the disk.
#[derive(Clone, Copy, Debug)]
struct Saved {
    at: Instant,
    day: Date,
    /// Which of the directories it was that were found under the same path.
    directory: u64,
}

/// The guarded totals of one gateway, and what its inverters made today.
#[derive(Debug)]
pub struct Totals {
    serial: Serial,
    guard: Guard,
    siblings: InverterHealth,
    production_meter: ProductionMeter,
    /// The operator's request that was obeyed last.
    obeyed: Obeyed,
    /// The file was read, or is not there. Before that nothing is written: it would replace what the file holds.
    loaded: bool,
    saver: Saver,
    saved: Option<Saved>,
    /// There is something that is not on disk and that should not wait.
    urgent: bool,
    /// The last write has failed.
    failed: bool,
}

impl Totals {
    /// The totals of `serial`, of which nothing is known yet.
    pub fn new(serial: &Serial) -> Self {
        Self {
            serial: serial.clone(),
            guard: Guard::default(),
            siblings: InverterHealth::default(),
            production_meter: ProductionMeter::default(),
            obeyed: Obeyed::default(),
            loaded: false,
            saver: Saver::new(name(serial)),
            saved: None,
            urgent: false,
            failed: false,
        }
    }

    /// Goes on from what is kept in `state`, if anything. What cannot be read just now is tried again at the next call.
    pub async fn load(&mut self, state: &StateDir) {
        if self.loaded {
            return;
        }
        let kept = match state.read::<Kept>(&name(&self.serial)).await {
            Ok(Stored::Found(kept)) => kept,
            Ok(Stored::Absent) => Kept::default(),
            Ok(Stored::Damaged(aside)) => {
                tracing::warn!(
                    file = %aside.display(),
                    "the kept totals were damaged and are set aside; totals and days begin anew"
                );
                Kept::default()
            }
            Err(error) => {
                // The state directory reports it.
                tracing::debug!("{error}; totals and days begin anew until it can be read");
                return;
            }
        };
        (self.guard, self.siblings) = (Guard::new(kept.totals), kept.siblings);
        self.production_meter = kept.production_meter;
        self.loaded = true;
    }

    /// What is published of `counter`.
    pub fn published(&self, counter: Counter) -> Option<WattHours> {
        self.guard.state().published(counter)
    }

    /// Lets `counters` start again from what the gateway shows next.
    pub fn reset(&mut self, counters: &[Counter]) {
        self.guard.reset(counters);
        self.urgent = true;
    }

    /// Obeys a request of the operator that was not obeyed yet.
    pub(super) async fn obey(&mut self, state: &StateDir) {
        self.tidy_up(state).await;
        if let Some(request) = self.obeyed.take(state, &self.serial).await {
            self.reset(&request.counters);
        }
    }

    /// Whose totals they are.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Guards the totals of `reading`, fills in its days, marks the inverters that are silent or weak, and compares the
    /// production meter with them; gives what is worth telling.
    pub fn apply(&mut self, reading: &mut Reading, zone: &TimeZone, now: Instant) -> Vec<Event> {
        let mut events = self.guard.apply(reading, zone, now);
        let date = reading.time.to_zoned(zone.clone()).date();
        events.extend(self.siblings.see(&mut reading.inverters, date, reading.time));
        events.extend(self.production_meter.see(reading));
        self.urgent |= !events.is_empty();
        events
    }

    /// Writes the totals if it is time: after an event, when another `day` has begun, and every quarter of an hour.
    pub fn save_when_due(&mut self, state: &StateDir, day: Date, now: Instant) {
        self.note();
        let directory = state.replaced();
        let due = self.saved.is_none_or(|last| {
            let passed = now.saturating_duration_since(last.at);
            let is_new = (self.urgent && !self.failed) || last.day != day || last.directory != directory;
            is_new || passed >= if self.failed { AGAIN } else { SAVE }
        });
        if due {
            // Where nothing can be written it is not tried at each poll either.
            self.saved = Some(Saved { at: now, day, directory });
            self.save(state);
        }
    }

    /// Lets the totals be written now.
    pub fn save(&mut self, state: &StateDir) {
        if self.loaded {
            let kept = Kept {
                totals: self.guard.state().clone(),
                siblings: self.siblings.clone(),
                production_meter: self.production_meter.clone(),
            };
            self.saver.save(state, &kept);
            self.obeyed.saving();
            self.urgent = false;
            self.note();
        }
    }

    /// Waits until the totals are written, but not for long; returns whether they are.
    pub(super) async fn finish(&mut self, state: &StateDir) -> bool {
        let finished = self.saver.finish(LAST).await;
        self.tidy_up(state).await;
        finished
    }

    /// Removes a request that was obeyed once the totals that came of it are on disk.
    async fn tidy_up(&mut self, state: &StateDir) {
        self.note();
        if !self.failed && self.saver.is_idle() {
            self.obeyed.tidy_up(state, &self.serial).await;
        }
    }

    /// Takes note of a write that has ended.
    fn note(&mut self) {
        match self.saver.outcome() {
            Some(Ok(())) => self.failed = false,
            Some(Err(error)) => {
                tracing::debug!("{error}; totals and days are kept in memory");
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

    async fn loaded(state: &StateDir) -> Totals {
        let mut totals = Totals::new(&serial());
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
        let mut look = async |totals: &mut Totals, day: Date, seconds: u64| {
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
