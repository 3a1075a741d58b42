//! Inverters that are silent or weak, judged by their siblings alone: whether the sun shines on this roof nobody knows
//! better, and no cloud is asked.
//!
//! A sample is taken whenever reports are five minutes newer. It is sunny when the median of the inverters makes
//! at least 50 W. At the end of a local day with an hour of sunny samples an inverter is *silent* if it reported next to
//! nothing in them, and *weak* if it made less than a third of what the median made: the sunny and the shady
//! side of a roof differ by less over a day. Fewer than three inverters have no siblings to be judged by.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::reading::{Condition, Event, Inverter, Serial};

/// The median power that makes a sample sunny.
const SUNNY_W: f64 = 50.0;
/// Samples are so far apart.
const STEP: SignedDuration = SignedDuration::from_mins(5);
/// So many of them make a judgement.
const ENOUGH: u32 = 12;
/// A report that is older than the newest one by this does not count: inverters report every 5 to 15 minutes, some
/// gateways once an hour.
const LATE: SignedDuration = SignedDuration::from_mins(65);
/// Below this share of the median an inverter is weak.
const WEAK: f64 = 1.0 / 3.0;
/// In less than this share of the samples a silent inverter reports.
const SILENT: f64 = 0.1;
/// Fewer inverters cannot be compared.
const FEWEST: usize = 3;

/// The inverters of one gateway over one day, and what the day before has shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Siblings {
    date: Option<Date>,
    newest: Option<Timestamp>,
    samples: u32,
    tallies: BTreeMap<Serial, Tally>,
    conditions: BTreeMap<Serial, Condition>,
}

/// One inverter in the sunny samples.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tally {
    reports: u32,
    watts: f64,
}

impl Siblings {
    /// Takes the inverters as a reading at `time`, on the local `date`, shows them, and marks each with what
    /// the last sunny day has shown. When a day has ended, gives what is to be said of it.
    pub fn see(&mut self, inverters: &mut [Inverter], date: Date, time: Timestamp) -> Vec<Event> {
        let ended = self.date.is_some_and(|day| day != date) && self.samples >= ENOUGH;
        if ended {
            self.conditions = self.judge();
        }
        let events = if ended { self.events(time) } else { Vec::new() };
        if self.date.is_some_and(|day| day != date) {
            let (newest, conditions) = (self.newest, std::mem::take(&mut self.conditions));
            *self = Self { newest, conditions, ..Self::default() };
        }
        self.date = Some(date);
        self.sample(inverters);
        for inverter in inverters {
            inverter.condition = self.conditions.get(&inverter.serial).copied();
        }
        events
    }

    fn sample(&mut self, inverters: &[Inverter]) {
        let Some(newest) = inverters.iter().filter_map(|inverter| inverter.reported_at).max() else { return };
        if self.newest.is_some_and(|last| newest.duration_since(last) < STEP) {
            return;
        }
        self.newest = Some(newest);
        let reported = |inverter: &Inverter| {
            let fresh = inverter.reported_at.is_some_and(|at| newest.duration_since(at) < LATE);
            inverter.power_w.filter(|_| fresh).map(crate::units::Watts::value)
        };
        let powers: Vec<f64> = inverters.iter().map(|inverter| reported(inverter).unwrap_or(0.0)).collect();
        if powers.len() < FEWEST || median(powers) < SUNNY_W {
            return;
        }
        self.samples += 1;
        for inverter in inverters {
            let tally = self.tallies.entry(inverter.serial.clone()).or_default();
            if let Some(watts) = reported(inverter).filter(|watts| *watts > 0.0) {
                tally.reports += 1;
                tally.watts += watts;
            }
        }
    }

    /// How each did over the samples of the day.
    fn judge(&self) -> BTreeMap<Serial, Condition> {
        let typical = self.typical();
        let condition = |tally: &Tally| {
            if f64::from(tally.reports) < SILENT * f64::from(self.samples) {
                Condition::Silent
            } else if tally.watts < WEAK * typical {
                Condition::Weak
            } else {
                Condition::Good
            }
        };
        self.tallies.iter().map(|(serial, tally)| (serial.clone(), condition(tally))).collect()
    }

    /// What the median inverter made, summed over the samples.
    fn typical(&self) -> f64 {
        median(self.tallies.values().map(|tally| tally.watts).collect())
    }

    fn events(&self, time: Timestamp) -> Vec<Event> {
        let mean = self.typical() / f64::from(self.samples.max(1));
        let kinds = [
            (Condition::Silent, "inverter_silent", "reported nothing"),
            (Condition::Weak, "inverter_weak", "made less than a third of its siblings"),
        ];
        let event = |(condition, kind, what)| {
            let found = self.conditions.iter().filter(|(_, is)| **is == condition);
            let serials: Vec<&str> = found.map(|(serial, _)| serial.as_str()).collect();
            let message = format!(
                "yesterday {} {what} in sunny hours, when the others made {mean:.0} W",
                serials.join(", ")
            );
            (!serials.is_empty()).then_some(Event { time, kind, message })
        };
        kinds.into_iter().filter_map(event).collect()
    }
}

/// The middle one, 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Watts;

    const DAY: Date = jiff::civil::date(2026, 6, 21);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_782_036_900 + 60 * minute).unwrap()
    }

    fn inverter(serial: &str, watts: f64, reported: i64) -> Inverter {
        Inverter {
            serial: Serial::parse(serial).unwrap(),
            power_w: Watts::new(watts),
            max_power_w: None,
            energy_wh: None,
            voltage_v: None,
            current_a: None,
            frequency_hz: None,
            dc_voltage_v: None,
            dc_current_a: None,
            temperature_c: None,
            reported_at: Some(at(reported)),
            condition: None,
        }
    }

    /// What is said after a day of readings every 5 minutes; `inverters` gives those of a minute.
    fn day(inverters: impl Fn(i64) -> Vec<Inverter>) -> Vec<(&'static str, String)> {
        let mut siblings = Siblings::default();
        for minute in (0..600).step_by(5) {
            assert_eq!(siblings.see(&mut inverters(minute), DAY, at(minute)), []);
        }
        let mut marked = inverters(900);
        let events = siblings.see(&mut marked, DAY.tomorrow().unwrap(), at(900));
        for inverter in marked {
            let spoken_of =
                events.iter().any(|event| event.message.contains(&format!(" {} ", inverter.serial)));
            let bad = matches!(inverter.condition, Some(Condition::Silent | Condition::Weak));
            assert_eq!(bad, spoken_of, "{inverter:?}");
        }
        assert_eq!(siblings.see(&mut inverters(905), DAY.tomorrow().unwrap(), at(905)), [], "once a day");
        events.into_iter().map(|event| (event.kind, event.message)).collect()
    }

    fn sound(minute: i64) -> Vec<Inverter> {
        vec![inverter("1", 200.0, minute), inverter("2", 210.0, minute), inverter("3", 130.0, minute)]
    }

    #[test]
    fn sound_inverters_are_not_spoken_of() {
        assert_eq!(day(sound), []);
    }

    #[test]
    fn one_that_stopped_reporting_is_silent_and_one_far_below_is_weak() {
        let said = day(|minute| {
            let mut all = sound(minute);
            all.extend([inverter("4", 180.0, -600), inverter("5", 40.0, minute)]);
            all
        });
        insta::assert_snapshot!(format!("{said:#?}"), @r#"
        [
            (
                "inverter_silent",
                "yesterday 4 reported nothing in sunny hours, when the others made 130 W",
            ),
            (
                "inverter_weak",
                "yesterday 5 made less than a third of its siblings in sunny hours, when the others made 130 W",
            ),
        ]
        "#);
    }

    #[test]
    fn a_dark_day_and_a_pair_are_not_judged() {
        assert_eq!(
            day(|minute| sound(minute)
                .into_iter()
                .map(|it| inverter(it.serial.as_str(), 20.0, minute))
                .collect()),
            []
        );
        assert_eq!(day(|minute| vec![inverter("1", 200.0, minute), inverter("2", 0.0, minute)]), []);
    }

    #[test]
    fn a_night_of_silence_is_no_fault() {
        let said = day(|minute| if minute < 300 { sound(minute) } else { sound(300) });
        assert_eq!(said, []);
    }
}
