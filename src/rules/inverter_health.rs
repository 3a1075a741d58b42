//! Detects silent or weak inverters by comparing them with the others on the roof.
//!
//! A sample is taken whenever the reports are five minutes newer. It is sunny if the median power of the inverters is at
//! least 50 W. At the end of a local day with an hour of sunny samples, an inverter is *silent* if it reported in hardly
//! any of them, and *weak* if it produced less than a third of the median: the sunny and the shady side of a roof differ
//! by less over a day. At least three inverters are needed. An inverter that was silent for a week does not count in the
//! median any more. After a month it is not reported any more: it was removed.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::base::reading::{Condition, Event, Inverter, Serial};

/// The minimum median power of a sunny sample.
const SUNNY_W: f64 = 50.0;
/// The interval between samples.
const STEP: SignedDuration = SignedDuration::from_mins(5);
/// The minimum number of sunny samples for a result.
const ENOUGH: u32 = 12;
/// The age, relative to the newest report, from which a report is ignored. Inverters report every 5 to 15 minutes, some
/// gateways hourly.
const LATE: SignedDuration = SignedDuration::from_mins(65);
/// The time after which a silent inverter does not count in the median.
const RECENT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The time after which a silent inverter counts as removed, and is not reported any more.
const GONE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The maximum number of inverters stored; no gateway has more.
const MOST: usize = 1_000;
/// The share of the median below which an inverter is weak.
const WEAK: f64 = 1.0 / 3.0;
/// The share of the samples below which an inverter is silent.
const SILENT: f64 = 0.1;
/// The minimum number of inverters to compare.
const FEWEST: usize = 3;

/// The inverters of one gateway over one day, and the result of the day before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InverterHealth {
    date: Option<Date>,
    newest: Option<Timestamp>,
    samples: u32,
    tallies: BTreeMap<Serial, Tally>,
    conditions: BTreeMap<Serial, Condition>,
}

/// The sums of one inverter over the sunny samples.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tally {
    reports: u32,
    watts: f64,
}

impl InverterHealth {
    /// Records the inverters of a reading at `time`, on the local `date`, and sets the condition of each.
    ///
    /// Returns the events to report after the end of a day.
    pub fn see(&mut self, inverters: &mut [Inverter], date: Date, time: Timestamp) -> Vec<Event> {
        let ended = self.date.is_some_and(|day| day != date) && self.samples >= ENOUGH;
        if ended {
            self.conditions = self.evaluate();
        }
        let events = if ended { self.events(time) } else { Vec::new() };
        if self.date.is_some_and(|day| day != date) {
            self.samples = 0;
            self.tallies.clear();
        }
        self.date = Some(date);
        self.sample(inverters);
        for inverter in inverters {
            inverter.condition = self.conditions.get(&inverter.serial).copied();
        }
        events
    }

    fn sample(&mut self, inverters: &[Inverter]) {
        let Some(newest) = newest_report(inverters) else { return };
        if let Some(last) = self.newest {
            let passed = newest.duration_since(last);
            // If the time is further back than an hour, the clock was set.
            if passed < STEP && passed > -LATE {
                return;
            }
        }
        self.newest = Some(newest);
        let silent_for = |inverter: &Inverter| inverter.reported_at.map(|at| newest.duration_since(at));
        let reported = |inverter: &Inverter| {
            let is_fresh = silent_for(inverter).is_some_and(|age| age < LATE);
            if is_fresh { inverter.power_w.map(crate::base::units::Watts::value) } else { None }
        };
        let within = |inverter: &&Inverter, bound| silent_for(inverter).is_none_or(|age| age < bound);
        let recent = inverters.iter().filter(|inverter| within(inverter, RECENT));
        let powers: Vec<f64> = recent.map(|inverter| reported(inverter).unwrap_or(0.0)).collect();
        if powers.len() < FEWEST || median(powers) < SUNNY_W {
            return;
        }
        self.samples += 1;
        for inverter in inverters.iter().filter(|inverter| within(inverter, GONE)) {
            if self.tallies.len() >= MOST && !self.tallies.contains_key(&inverter.serial) {
                continue;
            }
            let tally = self.tallies.entry(inverter.serial.clone()).or_default();
            if let Some(watts) = reported(inverter).filter(|watts| *watts > 0.0) {
                tally.reports += 1;
                tally.watts += watts;
            }
        }
    }

    /// Determines the condition of each inverter from the samples of the day.
    fn evaluate(&self) -> BTreeMap<Serial, Condition> {
        let typical = self.typical();
        let condition = |tally: &Tally| {
            if self.is_silent(tally) {
                Condition::Silent
            } else if tally.watts < WEAK * typical {
                Condition::Weak
            } else {
                Condition::Good
            }
        };
        self.tallies.iter().map(|(serial, tally)| (serial.clone(), condition(tally))).collect()
    }

    /// Returns the median of the sums of the inverters that are not silent.
    fn typical(&self) -> f64 {
        let working = self.tallies.values().filter(|tally| !self.is_silent(tally));
        median(working.map(|tally| tally.watts).collect())
    }

    fn is_silent(&self, tally: &Tally) -> bool {
        f64::from(tally.reports) < SILENT * f64::from(self.samples)
    }

    fn events(&self, time: Timestamp) -> Vec<Event> {
        let mean = self.typical() / f64::from(self.samples.max(1));
        let kinds = [
            (Condition::Silent, "inverter_silent", "reported nothing"),
            (Condition::Weak, "inverter_weak", "produced less than a third of the others"),
        ];
        let event = |(condition, kind, what)| {
            let found = self.conditions.iter().filter(|(_, is)| **is == condition);
            let serials: Vec<&str> = found.map(|(serial, _)| serial.as_str()).collect();
            let message = format!(
                "yesterday {} {what} in sunny hours (median of the others: {mean:.0} W)",
                serials.join(", ")
            );
            (!serials.is_empty()).then_some(Event { time, kind, message })
        };
        kinds.into_iter().filter_map(event).collect()
    }
}

/// Counts the inverters with a report at most an hour older than the newest one; `None` if there is no report. At night all
/// are silent, which is normal.
pub fn reporting(inverters: &[Inverter]) -> Option<usize> {
    let newest = inverters.iter().filter_map(|inverter| inverter.reported_at).max()?;
    let fresh = |inverter: &&Inverter| {
        inverter.reported_at.is_some_and(|at| newest.duration_since(at) <= SignedDuration::from_hours(1))
    };
    Some(inverters.iter().filter(fresh).count())
}

/// Returns the newest time near which several inverters reported, so that one clock that is far ahead is ignored.
fn newest_report(inverters: &[Inverter]) -> Option<Timestamp> {
    let mut reports: Vec<Timestamp> = inverters.iter().filter_map(|inverter| inverter.reported_at).collect();
    reports.sort_unstable_by(|one, other| other.cmp(one));
    let together = reports.windows(FEWEST).find(|some| match some {
        [newest, .., oldest] => newest.duration_since(*oldest) < LATE,
        _ => false,
    })?;
    together.first().copied()
}

/// Returns the median, or 0 if there are no values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Watts;

    const DAY: Date = jiff::civil::date(2026, 6, 21);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_782_036_900 + 60 * minute).unwrap()
    }

    fn inverter(serial: &str, watts: f64, reported: i64) -> Inverter {
        Inverter {
            power_w: Watts::new(watts),
            reported_at: Some(at(reported)),
            ..Inverter::unmeasured(Serial::parse(serial).unwrap())
        }
    }

    /// Returns the events after a day with a reading every 5 minutes; `inverters` returns the inverters at a minute.
    fn day(inverters: impl Fn(i64) -> Vec<Inverter>) -> Vec<(&'static str, String)> {
        let mut siblings = InverterHealth::default();
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
        let reported = day(|minute| {
            let mut all = sound(minute);
            all.extend([inverter("4", 180.0, -600), inverter("5", 40.0, minute)]);
            all
        });
        insta::assert_snapshot!(format!("{reported:#?}"), @r#"
        [
            (
                "inverter_silent",
                "yesterday 4 reported nothing in sunny hours (median of the others: 200 W)",
            ),
            (
                "inverter_weak",
                "yesterday 5 produced less than a third of the others in sunny hours (median of the others: 200 W)",
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
        let reported = day(|minute| if minute < 300 { sound(minute) } else { sound(300) });
        assert_eq!(reported, []);
    }

    /// Returns an inverter that last reported `days` ago.
    fn long_silent(serial: &str, days: i64) -> Inverter {
        Inverter { power_w: None, ..inverter(serial, 0.0, -days * 24 * 60) }
    }

    #[test]
    fn those_that_were_taken_down_years_ago_neither_hide_a_fault_nor_are_one() {
        let reported = day(|minute| {
            let mut all = sound(minute);
            all.push(inverter("4", 40.0, minute));
            all.extend((5..15).map(|serial| long_silent(&serial.to_string(), 2_901)));
            all
        });
        let kinds: Vec<_> = reported.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, ["inverter_weak"], "{reported:?}");
    }

    #[test]
    fn one_that_stopped_two_weeks_ago_is_still_a_fault() {
        let reported = day(|minute| {
            let mut all = sound(minute);
            all.push(long_silent("4", 14));
            all
        });
        assert_eq!(reported.first().map(|(kind, _)| *kind), Some("inverter_silent"));
    }

    #[test]
    fn a_report_from_the_future_does_not_stop_the_comparison() {
        let reported = day(|minute| {
            let mut all = sound(minute);
            all.extend([inverter("4", 180.0, 500_000), inverter("5", 40.0, minute)]);
            all
        });
        assert_eq!(reported.first().map(|(kind, _)| *kind), Some("inverter_weak"), "{reported:?}");
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_comparison() {
        let mut siblings = InverterHealth::default();
        siblings.see(&mut sound(1_000_000), DAY, at(0));
        for minute in (0..600).step_by(5) {
            let mut all = sound(minute);
            all.push(inverter("4", 40.0, minute));
            siblings.see(&mut all, DAY, at(minute));
        }
        let events = siblings.see(&mut sound(900), DAY.tomorrow().unwrap(), at(900));
        assert_eq!(events.len(), 1, "{events:?}");
    }

    #[test]
    fn other_inverters_at_every_reading_take_no_memory_without_end() {
        let mut siblings = InverterHealth::default();
        for visit in 0..5 {
            let serial = |number: i64| format!("{visit}x{number}");
            let mut all: Vec<Inverter> =
                (0..1_000).map(|number| inverter(&serial(number), 200.0, 5 * visit)).collect();
            siblings.see(&mut all, DAY, at(5 * visit));
        }
        assert_eq!(siblings.tallies.len(), MOST);
    }
}
