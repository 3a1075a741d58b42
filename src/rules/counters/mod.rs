//! Guards lifetime totals so that they never decrease, and derives daily values from them.
//!
//! Gateways show zeros after a boot, the total of another meter, a total that has wrapped, or a slightly decreased one.
//! The damage to a year of statistics could not be repaired later. So every total passes the guard before it is
//! published: see [`guarded_total`] for the rules.
//!
//! Where a gateway has no counter for the energy of its inverters or batteries, it is estimated: see `estimated_total.rs`.

mod battery_power;
pub mod days;
mod details;
mod estimated_total;
mod estimates;
pub mod guarded_total;
mod incident;
mod inverter_reports;
mod level;
mod state;
mod stopwatch;
mod suspect;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use self::estimates::Counted;
use self::guarded_total::GuardedTotal;
use self::incident::Incident;
pub use self::state::GuardState;
use self::stopwatch::GuardTime;
use self::suspect::Suspect;
use crate::base::reading::Counter;
use crate::base::reading::{Event, Reading, Serial};
use crate::base::units::{WattHours, Watts};

/// The maximum number of totals of phases and inverters; the oldest are dropped. A gateway has at most 60 totals of
/// phases and 600 of inverters.
const MOST_DETAILS: usize = 2_000;
/// The hours of 30 years: Enphase sold its first inverter in 2008.
const LIFE_H: f64 = 30.0 * 365.25 * 24.0;
/// The highest capacity factor of a site (a tracker in a desert: 35 %).
const CAPACITY_FACTOR: f64 = 0.4;

/// The guard of one gateway's totals.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    state: GuardState,
    /// The counters that the operator has reset, with their last published totals.
    resets: BTreeMap<Counter, Option<WattHours>>,
    /// The stored state is not known yet, so nothing is estimated: an estimate would begin at 0.
    is_provisional: bool,
    /// More has been published of an estimate than the bound that is stored.
    exceeds_bounds: bool,
}

impl Guard {
    /// Creates a guard that continues from a stored state.
    pub fn new(state: GuardState) -> Self {
        Self { state: GuardState { version: 2, ..state }, ..Self::default() }
    }

    /// Creates a guard for the time until the stored state can be read.
    pub fn provisional() -> Self {
        Self { is_provisional: true, ..Self::default() }
    }

    /// Returns the state to store at an orderly end.
    pub fn state(&self) -> &GuardState {
        &self.state
    }

    /// Returns the state to store while the program runs. If the program crashes, the estimates continue at an upper bound
    /// of what was published since.
    pub fn state_while_running(&mut self) -> GuardState {
        self.exceeds_bounds = false;
        GuardState { estimates: self.state.estimates.bounded(), ..self.state.clone() }
    }

    /// Returns `true` if [`Self::state_while_running`] has to be stored now, because an estimate exceeds its bound.
    pub fn exceeds_bounds(&self) -> bool {
        self.exceeds_bounds
    }

    /// Resets `counters`, so that they start again from the next reading.
    ///
    /// If all counters are reset, so are those of phases and inverters.
    pub fn reset(&mut self, counters: &[Counter]) {
        for counter in counters {
            let published = self.state.published(*counter);
            self.state.totals.remove(counter);
            self.state.estimates.forget(*counter);
            self.state.days.remove(counter);
            self.resets.insert(*counter, published);
        }
        if counters.contains(&Counter::Production) {
            self.state.doubt = None;
        }
        if Counter::ALL.iter().all(|counter| counters.contains(counter)) {
            self.state.details.clear();
            self.state.estimates.forget_inverters();
        }
    }

    /// Replaces the totals of `reading`, made at `now`, by those to publish, and fills in the daily values.
    ///
    /// Days end at midnight in `zone`. Returns the incidents to report.
    pub fn apply(&mut self, reading: &mut Reading, zone: &TimeZone, now: Instant) -> Vec<Event> {
        let time = reading.time;
        let now = self.state.stopwatch.read(now, time, newest_stamp(reading));
        let counted = Counted::of(reading);
        let mut events = Vec::new();
        for counter in Counter::ALL {
            let Some(raw) = counter.of(reading).and_then(|total| *total) else { continue };
            let (published, incident) = self.step(counter, raw, reading, now);
            if let Some(total) = counter.of(reading) {
                *total = published;
            }
            events.extend(incident.map(|incident| event(counter, &incident, time)));
        }
        events.extend(self.apply_to_details(reading, now));
        if !self.is_provisional {
            events.extend(self.estimate(reading, &counted, now));
        }
        self.state.record_days(reading, zone);
        self.state.fill_days(reading, zone);
        events
    }

    /// Fills in the totals that are not counted. Returns the incidents to report.
    fn estimate(&mut self, reading: &mut Reading, counted: &Counted, now: GuardTime) -> Vec<Event> {
        let GuardState { estimates, totals, details, .. } = &mut self.state;
        let known = |serial: &Serial| details.get(&details::of_inverter(serial))?.published();
        estimates.apply_to_inverters(&mut reading.inverters, counted, known, now);
        let mut events = Vec::new();
        if let Some(storage) = &mut reading.storage {
            let known = |counter| totals.get(&counter)?.published();
            let is_reset = |counter| self.resets.contains_key(&counter);
            estimates.apply_to_storage(storage, counted, known, is_reset, now);
            for (counter, total) in
                [(Counter::Charged, storage.charged_wh), (Counter::Discharged, storage.discharged_wh)]
            {
                let Some(total) = total else { continue };
                let Some(from) = self.resets.remove(&counter) else { continue };
                let incident = Incident::Reset { from: from.map(WattHours::value), to: total.value() };
                events.push(event(counter, &incident, reading.time));
            }
        }
        self.exceeds_bounds |= self.state.estimates.exceed_bounds(now);
        events
    }

    /// Returns the total of `counter` to publish when the gateway's is `raw`, and an incident to report.
    fn step(
        &mut self,
        counter: Counter,
        raw: WattHours,
        reading: &Reading,
        now: GuardTime,
    ) -> (Option<WattHours>, Option<Incident>) {
        let is_production = counter == Counter::Production;
        let source = match &reading.production {
            Some(production) if is_production => Some(production.source),
            _ => None,
        };
        if let Some(total) = self.state.totals.get_mut(&counter) {
            return total.step(raw, source, now);
        }
        let reset = self.resets.remove(&counter);
        if is_production
            && reset.is_none()
            && let Some(most) = most_production(reading)
            && raw.value() > most
        {
            let is_first = self.state.doubt.is_none();
            let suspect = Suspect::record(self.state.doubt.take(), raw.value(), source, now);
            if !suspect.has_lasted(now) {
                self.state.doubt = Some(suspect);
                return (None, is_first.then_some(Incident::Doubted { raw: raw.value(), most }));
            }
        }
        if is_production {
            self.state.doubt = None;
        }
        self.state.totals.insert(counter, GuardedTotal::new(raw, source, now));
        let incident =
            reset.map(|from| Incident::Reset { from: from.map(WattHours::value), to: raw.value() });
        (Some(raw), incident)
    }

    fn apply_to_details(&mut self, reading: &mut Reading, now: GuardTime) -> Vec<Event> {
        let time = reading.time;
        let mut incidents = Vec::new();
        for (name, total) in details::details(reading) {
            let Some(raw) = *total else { continue };
            if !self.state.details.contains_key(&name) {
                self.state.details.insert(name.clone(), GuardedTotal::new(raw, None, now));
            }
            let Some(guarded) = self.state.details.get_mut(&name) else { continue };
            let (published, incident) = guarded.step(raw, None, now);
            *total = published;
            incidents.extend(incident.map(|incident| (name, incident)));
        }
        self.drop_surplus();
        details::events(&incidents, time)
    }

    /// Drops the details that have been missing for longest, if there are too many.
    fn drop_surplus(&mut self) {
        let surplus = self.state.details.len().saturating_sub(MOST_DETAILS);
        if surplus == 0 {
            return;
        }
        let mut ages: Vec<f64> = self.state.details.values().map(GuardedTotal::seen).collect();
        ages.sort_by(f64::total_cmp);
        let Some(oldest_kept) = ages.get(surplus).copied() else { return };
        self.state.details.retain(|_, total| total.seen() >= oldest_kept);
    }
}

/// Returns the newest timestamp of the gateway's measurements.
pub(crate) fn newest_stamp(reading: &Reading) -> Option<Timestamp> {
    let stamps = [
        reading.production.as_ref().and_then(|production| production.measured_at),
        reading.consumption.as_ref().and_then(|house| house.measured_at),
        reading.grid.as_ref().and_then(|grid| grid.measured_at),
        reading.storage.as_ref().and_then(|storage| storage.measured_at),
    ];
    stamps.into_iter().flatten().max()
}

/// Returns the maximum lifetime energy of the inverters in Wh, if the maximum power of each is known.
fn most_production(reading: &Reading) -> Option<f64> {
    let power = Watts::total(reading.inverters.iter().map(|inverter| inverter.max_power_w))?;
    Some(power.value() * LIFE_H * CAPACITY_FACTOR)
}

fn event(counter: Counter, incident: &Incident, time: Timestamp) -> Event {
    let message = format!("total of {}: {incident}", counter.words());
    Event { time, kind: incident.kind(), message }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;
    use crate::base::reading::{GatewayFacts, Inverter, Phase, PhaseValues, Production, Serial, Source};

    fn reading(minute: i64, total: f64) -> Reading {
        let gateway = GatewayFacts {
            serial: Serial::parse("122300000001").unwrap(),
            name: None,
            firmware: "8.3.5289".to_owned(),
            part_number: None,
            metered: true,
        };
        let energy_wh = WattHours::new(total);
        let time = Timestamp::from_second(1_782_000_000 + 60 * minute).unwrap();
        let values = PhaseValues { energy_wh, ..PhaseValues::default() };
        let inverter = |serial: &str| Inverter {
            energy_wh,
            max_power_w: Watts::new(300.0),
            ..Inverter::unmeasured(Serial::parse(serial).unwrap())
        };
        Reading {
            phases: vec![Phase { phase: "L1".to_owned(), production: Some(values), ..Phase::default() }],
            inverters: vec![inverter("122310000101"), inverter("122310000102")],
            ..Reading::empty(time, gateway)
        }
    }

    #[test]
    fn phases_and_inverters_are_guarded_and_told_of_together() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        assert_eq!(guard.apply(&mut reading(0, 5_000_000.0), &TimeZone::UTC, now), []);
        let mut zeros = reading(1, 0.0);
        let events = guard.apply(&mut zeros, &TimeZone::UTC, now);
        assert_eq!(zeros.inverters[0].energy_wh, None);
        assert_eq!(zeros.phases[0].production.as_ref().unwrap().energy_wh, None);
        assert_eq!(events.len(), 1);
        assert!(events[0].message.starts_with("total of production on L1 (and 2 more): "), "{events:?}");
        let mut back = reading(2, 5_000_010.0);
        assert_eq!(guard.apply(&mut back, &TimeZone::UTC, now).len(), 1);
        assert_eq!(back.inverters[1].energy_wh, WattHours::new(5_000_010.0));
    }

    #[test]
    fn what_is_kept_goes_on_after_a_restart() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        guard.apply(&mut reading(0, 5_000_000.0), &TimeZone::UTC, now);
        let kept = serde_json::to_string(guard.state()).unwrap();
        assert!(kept.len() < 600, "compact: {kept}");
        let mut guard = Guard::new(serde_json::from_str(&kept).unwrap());
        let mut lower = reading(600, 4_999_990.0);
        guard.apply(&mut lower, &TimeZone::UTC, now);
        assert_eq!(lower.inverters[0].energy_wh, WattHours::new(5_000_000.0));
    }

    /// A guard that records a production total every 30 seconds, independent of the machine's clock.
    struct Roof {
        guard: Guard,
        start: Instant,
        seconds: u64,
        /// The error of the machine's clock in seconds.
        off: i64,
    }

    impl Roof {
        fn new(guard: Guard) -> Self {
            Self { guard, start: Instant::now(), seconds: 0, off: 0 }
        }

        /// Records a total. Returns the published total and the events.
        fn see(&mut self, total: f64) -> (Option<i64>, Vec<Event>) {
            self.seconds += 30;
            let now = self.start + Duration::from_secs(self.seconds);
            let mut reading = reading(0, total);
            let passed = SignedDuration::from_secs(i64::try_from(self.seconds).unwrap() + self.off);
            reading.time = reading.time.checked_add(passed).unwrap();
            reading.phases.clear();
            reading.production = Some(Production {
                power_w: None,
                energy_wh: WattHours::new(total),
                today_wh: None,
                yesterday_wh: None,
                source: Source::Meter,
                measured_at: None,
            });
            for inverter in &mut reading.inverters {
                inverter.energy_wh = None;
            }
            let events = self.guard.apply(&mut reading, &TimeZone::UTC, now);
            (reading.production.unwrap().energy_wh.map(WattHours::whole), events)
        }

        /// Returns the number of seconds until this total is published.
        fn seconds_until_published(&mut self, total: f64) -> u64 {
            let from = self.seconds;
            while self.see(total).0.is_none() {
                assert!(self.seconds - from < 7200, "held back for two hours");
            }
            self.seconds - from
        }

        fn restarted(self) -> Self {
            let kept = serde_json::to_string(self.guard.state()).unwrap();
            Self { off: self.off, ..Self::new(Guard::new(serde_json::from_str(&kept).unwrap())) }
        }
    }

    const YEAR: i64 = 365 * 86_400;

    #[test]
    fn a_total_that_was_reset_waits_half_an_hour_whatever_the_clock_does() {
        for (before, after) in [(0, 0), (5 * YEAR, 0), (-5 * YEAR, 0), (0, 5 * YEAR)] {
            let mut roof = Roof::new(Guard::default());
            roof.off = before;
            roof.see(9_000_000.0);
            assert_eq!(roof.see(100.0).0, None);
            roof.off = after;
            let waited = roof.seconds_until_published(110.0);
            assert_eq!(waited, 1800, "clock off by {before} s, then by {after} s");
        }
    }

    #[test]
    fn what_was_waited_before_a_restart_counts_and_the_time_between_does_not() {
        let mut roof = Roof::new(Guard::default());
        roof.see(9_000_000.0);
        for _ in 0..40 {
            roof.see(100.0);
        }
        roof.off = 30 * 86_400;
        let mut roof = roof.restarted();
        assert_eq!(roof.see(100.0).0, None, "a month between two runs is no half hour of readings");
        assert_eq!(roof.seconds_until_published(100.0), 630);
    }

    #[test]
    fn a_first_total_that_no_inverter_can_have_made_waits_and_the_true_one_does_not() {
        // Two inverters of 300 W make at most 63 MWh in 30 years.
        let mut roof = Roof::new(Guard::default());
        let (published, events) = roof.see(5_000_000_000.0);
        assert_eq!((published, events[0].kind), (None, "counter_held"));
        assert!(events[0].message.contains("5000000000 Wh"), "{}", events[0].message);
        assert_eq!(roof.see(5_000_000_000.0), (None, vec![]));
        assert_eq!(roof.see(5_000_000.0), (Some(5_000_000), vec![]));
        let mut roof = Roof::new(Guard::default());
        assert_eq!(roof.seconds_until_published(5_000_000_000.0), 1830);
    }

    #[test]
    fn a_reset_takes_the_gateways_total_whatever_was_published() {
        let mut roof = Roof::new(Guard::default());
        roof.see(50_000_000.0);
        assert_eq!(roof.guard.state().published(Counter::Production), WattHours::new(50_000_000.0));
        roof.guard.reset(&[Counter::Production]);
        let (published, events) = roof.see(50_000.0);
        assert_eq!((published, events[0].kind), (Some(50_000), "counter_reset"));
        assert!(events[0].message.contains("from 50000000 to 50000 Wh"), "{}", events[0].message);
        assert_eq!(roof.see(50_010.0), (Some(50_010), vec![]));
    }

    #[test]
    fn new_inverters_at_every_reading_do_not_grow_what_is_kept_without_end() {
        let (mut guard, start) = (Guard::default(), Instant::now());
        for visit in 0..10_u32 {
            let mut reading = reading(i64::from(visit), 1_000.0);
            reading.inverters = (0..1_000)
                .map(|number| Inverter {
                    energy_wh: WattHours::new(1_000.0),
                    ..Inverter::unmeasured(Serial::parse(&format!("{visit}x{number}")).unwrap())
                })
                .collect();
            guard.apply(&mut reading, &TimeZone::UTC, start + Duration::from_secs(300 * u64::from(visit)));
        }
        let kept = guard.state().details.len();
        assert!((1_000..=3_100).contains(&kept), "{kept}");
        assert!(guard.state().details.contains_key("inverter 9x0"), "the newest stay");
    }

    #[test]
    fn what_an_earlier_version_kept_goes_on() {
        let kept = r#"{"version":1,"tracks":{"production":{"published":9000000.0,"level":{"source":"meter",
            "raw":9000000.0,"base":0.0,"at":"2026-06-21T00:00:00Z"},"suspect":{"first":5.0,"since":"2026-06-21T00:00:00Z",
            "readings":7,"level":{"raw":5.0,"at":"2026-06-21T00:00:00Z"}},"told":true}},"days":{},"details":{}}"#;
        let mut roof = Roof::new(Guard::new(serde_json::from_str(kept).unwrap()));
        assert_eq!(roof.see(9_000_005.0).0, Some(9_000_005));
    }
}
