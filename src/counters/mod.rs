//! Lifetime totals that never go backward, and the days made of them.
//!
//! Gateways show zeros after a boot, the total of another meter, a total that wrapped, or one a little lower
//! than before. What such a total does to a year of statistics cannot be mended afterwards, so every total passes
//! the guard before it is published: see [`track`] for the rules.

pub mod days;
mod details;
pub mod track;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use self::days::Days;
use self::track::{Incident, Track};
use crate::reading::{Event, Reading, Source};
use crate::units::WattHours;

/// A lifetime total of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// What the sun gave.
    Production,
    /// What the house used.
    Consumption,
    /// What was bought.
    Import,
    /// What was fed in.
    Export,
    /// What the batteries took.
    Charged,
    /// What the batteries gave.
    Discharged,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Production, Self::Consumption, Self::Import, Self::Export, Self::Charged, Self::Discharged];

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Consumption => "consumption",
            Self::Import => "import",
            Self::Export => "export",
            Self::Charged => "battery charge",
            Self::Discharged => "battery discharge",
        }
    }

    fn of(self, reading: &mut Reading) -> Option<&mut Option<WattHours>> {
        match self {
            Self::Production => reading.production.as_mut().map(|it| &mut it.energy_wh),
            Self::Consumption => reading.consumption.as_mut().map(|it| &mut it.energy_wh),
            Self::Import => reading.grid.as_mut().map(|it| &mut it.import_wh),
            Self::Export => reading.grid.as_mut().map(|it| &mut it.export_wh),
            Self::Charged => reading.storage.as_mut().map(|it| &mut it.charged_wh),
            Self::Discharged => reading.storage.as_mut().map(|it| &mut it.discharged_wh),
        }
    }
}

/// What must survive a restart. The caller writes it, rarely: after an event, after midnight, every hour or so, and
/// at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardState {
    /// The version of this form: 1.
    pub version: u8,
    #[serde(default)]
    tracks: BTreeMap<Counter, Track>,
    #[serde(default)]
    days: BTreeMap<Counter, Days>,
    /// Of each phase and inverter, by name.
    #[serde(default)]
    details: BTreeMap<String, Track>,
}

impl Default for GuardState {
    fn default() -> Self {
        Self { version: 1, tracks: BTreeMap::new(), days: BTreeMap::new(), details: BTreeMap::new() }
    }
}

/// The guard of one gateway's totals.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    state: GuardState,
}

impl Guard {
    /// Goes on from what was kept.
    pub fn new(state: GuardState) -> Self {
        Self { state }
    }

    /// What to keep.
    pub fn state(&self) -> &GuardState {
        &self.state
    }

    /// Replaces each total of `reading` by what may be published, if anything, and fills in the days, which
    /// end at midnight in `zone`. Gives what happened, each incident once.
    pub fn apply(&mut self, reading: &mut Reading, zone: &TimeZone) -> Vec<Event> {
        let time = reading.time;
        let source = reading.production.as_ref().map(|production| production.source);
        let mut events = Vec::new();
        for counter in Counter::ALL {
            let source = source.filter(|_| counter == Counter::Production);
            let Some(total) = counter.of(reading) else { continue };
            let Some(raw) = *total else { continue };
            let track = self.state.tracks.entry(counter).or_insert_with(|| Track::new(raw, source, time));
            let (published, incident) = track.step(raw, source, time);
            *total = published;
            events.extend(incident.map(|incident| event(counter, &incident, time)));
            if let Some(published) = published {
                let days = self.state.days.entry(counter).or_default();
                days.see(published, time, zone);
            }
        }
        events.extend(self.apply_to_details(reading));
        self.fill_days(reading, zone);
        events
    }

    fn apply_to_details(&mut self, reading: &mut Reading) -> Vec<Event> {
        let time = reading.time;
        let mut incidents = Vec::new();
        for (name, total) in details::details(reading) {
            let Some(raw) = *total else { continue };
            if !self.state.details.contains_key(&name) {
                self.state.details.insert(name.clone(), Track::new(raw, None, time));
            }
            let Some(track) = self.state.details.get_mut(&name) else { continue };
            let (published, incident) = track.step(raw, None, time);
            *total = published;
            incidents.extend(incident.map(|incident| (name, incident)));
        }
        details::events(&incidents, time)
    }

    fn fill_days(&self, reading: &mut Reading, zone: &TimeZone) {
        let date = reading.time.to_zoned(zone.clone()).date();
        let today = |counter| self.state.days.get(&counter).and_then(|days: &Days| days.today(date));
        let yesterday = |counter| self.state.days.get(&counter).and_then(|days: &Days| days.yesterday(date));
        // A source that counts the day itself has a total too coarse for it (see `Production::today_wh`).
        if let Some(production) = reading.production.as_mut().filter(|it| it.today_wh.is_none()) {
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
    }
}

fn event(counter: Counter, incident: &Incident, time: jiff::Timestamp) -> Event {
    let message = format!("total of {}: {incident}", counter.name());
    Event { time, kind: incident.kind(), message }
}

/// The word for a source in messages.
fn source_name(source: Option<Source>) -> &'static str {
    match source {
        Some(Source::Meter) => "the meter",
        Some(Source::Inverters) => "the inverters",
        None => "the gateway",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{GatewayFacts, Inverter, Phase, PhaseValues, Serial};

    fn reading(minute: i64, total: f64) -> Reading {
        let gateway = GatewayFacts {
            serial: Serial::parse("122300000001").unwrap(),
            firmware: "8.3.5289".to_owned(),
            part_number: None,
            metered: true,
        };
        let energy_wh = WattHours::new(total);
        let time = jiff::Timestamp::from_second(1_782_000_000 + 60 * minute).unwrap();
        let values = PhaseValues { energy_wh, ..PhaseValues::default() };
        let inverter = |serial: &str| Inverter {
            serial: Serial::parse(serial).unwrap(),
            power_w: None,
            max_power_w: None,
            energy_wh,
            voltage_v: None,
            current_a: None,
            frequency_hz: None,
            dc_voltage_v: None,
            dc_current_a: None,
            temperature_c: None,
            reported_at: None,
            condition: None,
        };
        Reading {
            phases: vec![Phase { phase: "L1".to_owned(), production: Some(values), ..Phase::default() }],
            inverters: vec![inverter("122310000101"), inverter("122310000102")],
            ..Reading::empty(time, gateway)
        }
    }

    #[test]
    fn phases_and_inverters_are_guarded_and_told_of_together() {
        let mut guard = Guard::default();
        assert_eq!(guard.apply(&mut reading(0, 5_000_000.0), &TimeZone::UTC), []);
        let mut zeros = reading(1, 0.0);
        let events = guard.apply(&mut zeros, &TimeZone::UTC);
        assert_eq!(zeros.inverters[0].energy_wh, None);
        assert_eq!(zeros.phases[0].production.as_ref().unwrap().energy_wh, None);
        assert_eq!(events.len(), 1);
        assert!(events[0].message.starts_with("total of production on L1 (and 2 more): "), "{events:?}");
        let mut back = reading(2, 5_000_010.0);
        assert_eq!(guard.apply(&mut back, &TimeZone::UTC).len(), 1);
        assert_eq!(back.inverters[1].energy_wh, WattHours::new(5_000_010.0));
    }

    #[test]
    fn what_is_kept_goes_on_after_a_restart() {
        let mut guard = Guard::default();
        guard.apply(&mut reading(0, 5_000_000.0), &TimeZone::UTC);
        let kept = serde_json::to_string(guard.state()).unwrap();
        assert!(kept.len() < 600, "compact: {kept}");
        let mut guard = Guard::new(serde_json::from_str(&kept).unwrap());
        let mut lower = reading(600, 4_999_990.0);
        guard.apply(&mut lower, &TimeZone::UTC);
        assert_eq!(lower.inverters[0].energy_wh, WattHours::new(5_000_000.0));
    }
}
