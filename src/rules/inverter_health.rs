//! Inverters that are silent or weak, judged by their siblings alone: whether the sun shines on this roof nobody knows
//! better, and no cloud is asked.
//!
//! A sample is taken whenever reports are five minutes newer. It is sunny when the median of the inverters makes
//! at least 50 W. At the end of a local day with an hour of sunny samples an inverter is *silent* if it reported next to
//! nothing in them, and *weak* if it made less than a third of what the median made: the sunny and the shady
//! side of a roof differ by less over a day. Fewer than three inverters have no siblings to be judged by. An inverter that was
//! silent for a week is no longer asked about the sun, and after a month it is no fault any more: it was taken down.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::base::reading::{Condition, Event, Inverter, Serial};

/// The median power that makes a sample sunny.
const SUNNY_W: f64 = 50.0;
/// Samples are so far apart.
const STEP: SignedDuration = SignedDuration::from_mins(5);
/// So many of them make a judgement.
const ENOUGH: u32 = 12;
/// A report that is older than the newest one by this does not count: inverters report every 5 to 15 minutes, some
/// gateways once an hour.
const LATE: SignedDuration = SignedDuration::from_mins(65);
/// One that has not reported for longer has nothing to say about the sun on the others.
const RECENT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// One that has not reported for longer was taken down: it is no fault any more, after a month of being reported.
const GONE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// No gateway has more.
const MOST: usize = 1_000;
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
        let Some(newest) = newest_report(inverters) else { return };
        if let Some(last) = self.newest {
            let passed = newest.duration_since(last);
            // Further back than an hour is another clock.
            if passed < STEP && passed > -LATE {
                return;
            }
        }
        self.newest = Some(newest);
        let silent_for = |inverter: &Inverter| inverter.reported_at.map(|at| newest.duration_since(at));
        let reported = |inverter: &Inverter| {
            let fresh = silent_for(inverter).is_some_and(|age| age < LATE);
            inverter.power_w.filter(|_| fresh).map(crate::base::units::Watts::value)
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

    /// How each did over the samples of the day.
    fn judge(&self) -> BTreeMap<Serial, Condition> {
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

    /// What the median inverter made of those that made something, summed over the samples.
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

/// The newest report that is not alone: one of a clock that is far ahead says nothing about the others.
fn newest_report(inverters: &[Inverter]) -> Option<Timestamp> {
    let mut reports: Vec<Timestamp> = inverters.iter().filter_map(|inverter| inverter.reported_at).collect();
    reports.sort_unstable_by(|one, other| other.cmp(one));
    let together = reports.windows(FEWEST).find(|some| match some {
        [newest, .., oldest] => newest.duration_since(*oldest) < LATE,
        _ => false,
    })?;
    together.first().copied()
}

/// The middle one, 0 of none.
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
                "yesterday 4 reported nothing in sunny hours, when the others made 200 W",
            ),
            (
                "inverter_weak",
                "yesterday 5 made less than a third of its siblings in sunny hours, when the others made 200 W",
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

    /// An inverter that last reported so many days ago.
    fn long_silent(serial: &str, days: i64) -> Inverter {
        Inverter { power_w: None, ..inverter(serial, 0.0, -days * 24 * 60) }
    }

    #[test]
    fn those_that_were_taken_down_years_ago_neither_hide_a_fault_nor_are_one() {
        let said = day(|minute| {
            let mut all = sound(minute);
            all.push(inverter("4", 40.0, minute));
            all.extend((5..15).map(|serial| long_silent(&serial.to_string(), 2_901)));
            all
        });
        let kinds: Vec<_> = said.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, ["inverter_weak"], "{said:?}");
    }

    #[test]
    fn one_that_stopped_two_weeks_ago_is_still_a_fault() {
        let said = day(|minute| {
            let mut all = sound(minute);
            all.push(long_silent("4", 14));
            all
        });
        assert_eq!(said.first().map(|(kind, _)| *kind), Some("inverter_silent"));
    }

    #[test]
    fn a_report_from_the_future_does_not_stop_the_comparison() {
        let said = day(|minute| {
            let mut all = sound(minute);
            all.extend([inverter("4", 180.0, 500_000), inverter("5", 40.0, minute)]);
            all
        });
        assert_eq!(said.first().map(|(kind, _)| *kind), Some("inverter_weak"), "{said:?}");
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_comparison() {
        let mut siblings = Siblings::default();
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
        let mut siblings = Siblings::default();
        for visit in 0..5 {
            let serial = |number: i64| format!("{visit}x{number}");
            let mut all: Vec<Inverter> =
                (0..1_000).map(|number| inverter(&serial(number), 200.0, 5 * visit)).collect();
            siblings.see(&mut all, DAY, at(5 * visit));
        }
        assert_eq!(siblings.tallies.len(), MOST);
    }
}
