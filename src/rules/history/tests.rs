//! Tests the history against a model of the file, in which every slot and every day can be added up.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::DateTime;
use proptest::prelude::*;

use super::*;
use crate::base::reading::{Consumption, GatewayFacts, Grid, Inverter, Phase, Production, Source, Storage};
use crate::base::units::{Percent, Watts};
use crate::io::history::rows::{Growth, Sample, Series};

const INTERVAL: SignedDuration = SignedDuration::from_secs(30);
const KEEP: SignedDuration = SignedDuration::from_hours(24 * 365);

/// Amsterdam.
fn zone() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn at(local: &str) -> Timestamp {
    local.parse::<DateTime>().unwrap().to_zoned(zone()).unwrap().timestamp()
}

/// The content that the file would have.
#[derive(Clone, Default)]
struct Disk {
    samples: BTreeMap<i64, Sample>,
    days: BTreeMap<(Series, Date), Growth>,
    totals: BTreeMap<Series, Counted>,
}

impl Disk {
    fn write(&mut self, batch: &Batch) {
        for sample in &batch.samples {
            let known = self.samples.entry(sample.start.as_second());
            let known = known.or_insert_with(|| Sample { seconds: 0, ..sample.clone() });
            if known.seconds == 0 {
                *known = sample.clone();
            } else if known.seconds + sample.seconds <= 300 {
                known.seconds += sample.seconds;
                for (known, more) in known.energy.iter_mut().zip(sample.energy) {
                    *known = WattHours::total([*known, more]);
                }
            }
        }
        for step in &batch.steps {
            let before = self.totals.insert(step.to.series.clone(), step.to.clone());
            assert_eq!(before.map(|counted| counted.total), step.from, "a step begins at what is on disk");
            for growth in &step.growth {
                let day = self.days.entry((step.to.series.clone(), growth.date));
                let day = day.or_insert(Growth { energy: WattHours::ZERO, ..growth.clone() });
                day.energy = WattHours::new(day.energy.value() + growth.energy.value()).unwrap();
                day.since = day.since.min(growth.since);
                day.until = day.until.max(growth.until);
                day.estimated |= growth.estimated;
            }
        }
    }

    fn stored(&self) -> Vec<Counted> {
        self.totals.values().cloned().collect()
    }

    fn sum(&self, series: &Series) -> i64 {
        self.days.iter().filter(|((of, _), _)| of == series).map(|(_, day)| day.energy.whole()).sum()
    }

    /// Returns the energy of a day, and the hours that it covers.
    fn day(&self, quantity: Counter, date: &str) -> Option<(i64, i64)> {
        let day = self.days.get(&(Series::site(quantity), date.parse().unwrap()))?;
        Some((day.energy.whole(), day.until.duration_since(day.since).as_hours()))
    }

    /// Returns the sum of the slots on a local date, and their number.
    fn slots(&self, n: usize, date: &str) -> (i64, usize) {
        let on_date = |sample: &&Sample| sample.start.to_zoned(zone()).date() == date.parse().unwrap();
        let slots: Vec<&Sample> = self.samples.values().filter(on_date).collect();
        (slots.iter().filter_map(|sample| sample.energy[n]).map(WattHours::whole).sum(), slots.len())
    }
}

/// A house with a clock that may be wrong, and a daemon that may be killed.
struct House {
    disk: Disk,
    history: GatewayHistory,
    /// The true time in seconds, and the error of the machine's clock.
    now: Timestamp,
    error: i64,
    start: Timestamp,
    made: f64,
    used: f64,
    writes: bool,
    since_write: i64,
}

impl House {
    fn new(local: &str) -> Self {
        let (now, serial) = (at(local), Serial::parse("122300000001").unwrap());
        let mut history = GatewayHistory::new(serial);
        history.join(Vec::new(), &zone());
        let mut house = Self {
            disk: Disk::default(),
            history,
            now,
            error: 0,
            start: now - SignedDuration::from_hours(1),
            made: 5_000_000.0,
            used: 7_000_000.0,
            writes: true,
            since_write: 0,
        };
        house.read();
        house
    }

    fn reading(&self) -> Reading {
        let gateway = GatewayFacts {
            serial: self.history.serial.clone(),
            name: None,
            firmware: "8.3.5289".to_owned(),
            part_number: None,
            metered: true,
        };
        let time = self.now + SignedDuration::from_secs(self.error);
        let energy_wh = WattHours::new(self.made);
        let values = PhaseValues { energy_wh: WattHours::new(self.made / 2.0), ..PhaseValues::default() };
        let inverter = |serial: &str, estimated| Inverter {
            energy_wh: WattHours::new(self.made / 10.0),
            energy_estimated: estimated,
            ..Inverter::unmeasured(Serial::parse(serial).unwrap())
        };
        Reading {
            production: Some(Production {
                power_w: Watts::new(3_600.0),
                energy_wh,
                today_wh: None,
                yesterday_wh: None,
                source: Source::Meter,
                measured_at: Some(self.now),
            }),
            consumption: Some(Consumption {
                power_w: Watts::new(360.0),
                energy_wh: WattHours::new(self.used),
                ..Consumption::default()
            }),
            phases: vec![Phase { phase: "L1".to_owned(), production: Some(values), ..Phase::default() }],
            inverters: vec![inverter("122310000101", false), inverter("122310000102", true)],
            ..Reading::empty(time, gateway)
        }
    }

    fn moment(&self) -> Moment {
        let up = Duration::try_from(self.now.duration_since(self.start)).unwrap();
        let wall = self.now + SignedDuration::from_secs(self.error);
        Moment { wall, boot: "1".to_owned(), up }
    }

    /// Lets `seconds` pass with 3600 W of production and 360 W of consumption, without a reading.
    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        #[expect(clippy::cast_precision_loss, reason = "a year at most")]
        let seconds = seconds as f64;
        self.made += seconds;
        self.used += seconds / 10.0;
    }

    fn read(&mut self) -> bool {
        let (reading, moment) = (self.reading(), self.moment());
        self.history.see(&reading, INTERVAL, &moment, &zone())
    }

    /// Reads every 30 seconds for a time, and writes every 15 minutes.
    fn live(&mut self, seconds: i64) {
        for _ in 0..seconds / 30 {
            self.pass(30);
            if self.read() {
                self.since_write = 0;
            }
            self.since_write += 30;
            if self.since_write >= 900 {
                self.write(false);
            }
        }
    }

    fn live_until(&mut self, local: &str) {
        self.live(at(local).duration_since(self.now).as_secs());
    }

    fn write(&mut self, at_the_end: bool) {
        self.since_write = 0;
        let batch = self.history.take(at_the_end, KEEP);
        if self.writes {
            self.disk.write(&batch);
            self.history.written();
        } else {
            self.history.not_written(batch);
        }
    }

    /// Starts a new process; the old one was stopped or killed before.
    fn restart(&mut self) {
        self.history = GatewayHistory::new(self.history.serial.clone());
        self.since_write = 0;
    }

    fn load(&mut self) {
        self.history.join(self.disk.stored(), &zone());
    }

    fn stop_and_start(&mut self) {
        self.write(true);
        self.restart();
        self.load();
    }

    /// Asserts that the days of every counter add up to what its total has grown by.
    fn assert_complete(&self, first: i64) {
        for (series, counted) in &self.disk.totals {
            let part = match (series.kind, series.quantity) {
                (Kind::Inverter, _) => 10,
                (Kind::Phase, _) => 2,
                (Kind::Site, Counter::Production) => 1,
                (Kind::Site, _) => continue,
            };
            let sum = self.disk.sum(series);
            assert!((sum - (counted.total.whole() - first / part)).abs() <= 1, "{series}: {sum}");
        }
    }
}

#[test]
fn days_of_23_24_and_25_hours_have_276_288_and_300_slots_and_add_up() {
    for (date, next, slots) in [
        ("2026-03-29", "2026-03-30", 276),
        ("2026-06-21", "2026-06-22", 288),
        ("2026-10-25", "2026-10-26", 300),
    ] {
        let day: Date = date.parse().unwrap();
        let mut house = House::new(&format!("{}T22:00", day.yesterday().unwrap()));
        house.live_until(&format!("{next}T02:00"));
        let hours = i64::from(slots) / 12;
        assert_eq!(house.disk.slots(0, date), (hours * 3600, usize::try_from(slots).unwrap()), "{date}");
        assert_eq!(house.disk.day(Counter::Production, date), Some((hours * 3600, hours)), "{date}");
        assert_eq!(house.disk.slots(1, date), (hours * 360, usize::try_from(slots).unwrap()));
        assert_eq!(house.disk.day(Counter::Consumption, date), Some((hours * 360, hours)));
        assert!(house.disk.samples.values().filter(|sample| sample.seconds == 300).count() > 270);
    }
}

#[test]
fn powers_are_averaged_and_what_is_not_measured_is_absent() {
    let mut house = House::new("2026-06-21T12:00");
    house.live(3600);
    let sample = &house.disk.samples[&at("2026-06-21T12:10").as_second()];
    assert_eq!(sample.power, [Watts::new(3_600.0), Watts::new(360.0), None, None]);
    assert_eq!(sample.energy, [WattHours::new(300.0), WattHours::new(30.0), None, None, None, None]);
    assert_eq!((sample.soc, sample.estimated, sample.seconds), (None, false, 300));
}

#[test]
fn a_week_without_the_daemon_is_a_gap_in_the_curve_and_the_right_sum_on_the_first_day_after() {
    for killed in [false, true] {
        let mut house = House::new("2026-06-01T12:00");
        house.live_until("2026-06-02T12:00");
        if killed {
            house.restart();
            house.load();
        } else {
            house.stop_and_start();
        }
        house.pass(7 * 86_400);
        house.live_until("2026-06-11T00:00");
        house.write(true);
        let (wh, hours) = house.disk.day(Counter::Production, "2026-06-09").unwrap();
        assert_eq!((wh, hours), (3600 * (7 * 24 + 12), 7 * 24 + 12), "killed: {killed}");
        assert_eq!(house.disk.day(Counter::Production, "2026-06-05"), None);
        assert_eq!(house.disk.day(Counter::Production, "2026-06-10"), Some((86_400, 24)));
        assert_eq!(house.disk.slots(0, "2026-06-05"), (0, 0));
        let after = house.disk.slots(0, "2026-06-09");
        assert_eq!((after.0 / 3600, after.1), (11, 12 * 12), "the curve of the hours after it");
        house.assert_complete(5_000_000);
    }
}

#[test]
fn a_counter_that_is_missing_for_a_while_takes_nothing_from_the_others() {
    let mut house = House::new("2026-06-21T12:00");
    house.live(1800);
    let (mut reading, moment) = (house.reading(), house.moment());
    house.pass(120);
    if let Some(consumption) = &mut reading.consumption {
        (consumption.energy_wh, consumption.power_w) = (None, None);
    }
    reading.time = house.now;
    house.history.see(&reading, INTERVAL, &moment, &zone());
    house.live(1800);
    house.write(true);
    let slots = house.disk.slots(1, "2026-06-21");
    assert_eq!(house.disk.day(Counter::Consumption, "2026-06-21").unwrap().0, slots.0);
    house.assert_complete(5_000_000);
}

#[test]
fn the_two_parts_of_a_slot_that_a_restart_cuts_are_one_slot() {
    let mut house = House::new("2026-06-21T12:00");
    house.live(900 + 120);
    house.stop_and_start();
    house.live(900);
    let sample = &house.disk.samples[&at("2026-06-21T12:15").as_second()];
    assert_eq!((sample.seconds, sample.energy[0]), (300 - 30, WattHours::new(270.0)), "one poll is missing");
}

#[test]
fn a_jump_of_the_clock_counts_nothing_twice_and_loses_nothing() {
    let year = 365 * 86_400;
    for error in [3600, -3600, year, -year, 86_400, -86_400] {
        for minutes in [5, 10, 20, 120] {
            let mut house = House::new("2026-06-20T12:00");
            house.live(36_000);
            let before = house.disk.days.clone();
            house.error = error;
            house.live(minutes * 60);
            house.error = 0;
            house.live(36_000);
            house.write(true);
            house.assert_complete(5_000_000);
            assert!(house.disk.samples.values().all(|sample| sample.seconds <= 300));
            let most =
                house.disk.samples.values().filter_map(|sample| sample.energy[0]).map(WattHours::whole).max();
            assert!(most <= Some(300), "{error} s for {minutes} min: {most:?}");
            if minutes < 15 {
                let strange: Vec<_> = house
                    .disk
                    .days
                    .keys()
                    .filter(|(_, date)| {
                        ![jiff::civil::date(2026, 6, 20), jiff::civil::date(2026, 6, 21)].contains(date)
                    })
                    .collect();
                assert!(strange.is_empty(), "{error} s for {minutes} min: {strange:?}");
                assert_eq!(
                    house
                        .disk
                        .samples
                        .values()
                        .filter(|sample| sample.start < at("2026-06-20T12:00"))
                        .count(),
                    0
                );
            }
            assert!(before.keys().all(|key| house.disk.days.contains_key(key)));
        }
    }
}

#[test]
fn a_clock_that_is_wrong_after_a_boot_leaves_no_trace_once_it_is_right() {
    let mut house = House::new("2026-06-20T12:00");
    house.live(7200);
    house.restart();
    house.pass(3600);
    house.error = -86_400 * 200;
    house.live(300);
    house.load();
    house.live(300);
    house.error = 0;
    house.live(7200);
    house.write(true);
    house.assert_complete(5_000_000);
    assert_eq!(house.disk.days.keys().filter(|(_, date)| *date != jiff::civil::date(2026, 6, 20)).count(), 0);
    assert_eq!(house.disk.day(Counter::Production, "2026-06-20").unwrap().1, 5);
}

#[test]
fn a_total_that_was_reset_or_is_another_begins_again() {
    let mut house = House::new("2026-06-20T12:00");
    house.live(3600);
    house.made = 1_000.0;
    house.live(3600);
    house.write(true);
    let wh = house.disk.day(Counter::Production, "2026-06-20").unwrap().0;
    assert!((7_140..=7_200).contains(&wh), "{wh}");
    house.made = 9e9;
    house.live(3600);
    house.write(true);
    let wh = house.disk.day(Counter::Production, "2026-06-20").unwrap().0;
    assert!((10_700..=10_800).contains(&wh), "{wh}");
}

#[test]
fn a_file_that_cannot_be_written_for_hours_loses_nothing() {
    let mut house = House::new("2026-06-20T22:00");
    house.live(1800);
    house.writes = false;
    house.live(4 * 3600);
    house.writes = true;
    house.live(900);
    house.write(true);
    house.assert_complete(5_000_000);
    assert_eq!(house.disk.slots(0, "2026-06-20").1, 24);
    assert_eq!(house.disk.day(Counter::Production, "2026-06-20"), Some((7_200, 2)));
    let (slots, day) =
        (house.disk.slots(0, "2026-06-21").0, house.disk.day(Counter::Production, "2026-06-21"));
    assert_eq!(day.unwrap().0, slots);
    assert_eq!(house.history.dropped(), 0);
}

#[test]
fn samples_that_cannot_be_written_for_days_are_dropped_and_counted() {
    let mut house = House::new("2026-06-20T22:00");
    house.writes = false;
    house.live(3 * 86_400);
    let dropped = house.history.dropped();
    assert!((288..=292).contains(&dropped), "{dropped}");
    house.writes = true;
    house.write(true);
    house.assert_complete(5_000_000);
    assert!(house.disk.samples.len() <= 577);
}

#[test]
fn what_is_estimated_is_marked() {
    let mut house = House::new("2026-06-20T12:00");
    house.live(900);
    let marks: Vec<(String, bool)> =
        house.disk.days.iter().map(|((series, _), day)| (series.device.to_string(), day.estimated)).collect();
    assert!(marks.contains(&("122310000102".to_owned(), true)), "{marks:?}");
    assert_eq!(marks.iter().filter(|(_, estimated)| *estimated).count(), 1);
    let mut curve = Curve::default();
    for second in [0, 30, 60] {
        let mut reading = house.reading();
        reading.time += SignedDuration::from_secs(second);
        reading.storage = Some(Storage {
            power_w: Watts::new(-500.0),
            soc_percent: Percent::new(40.0),
            energy_estimated: true,
            ..Storage::default()
        });
        reading.grid = Some(Grid { power_w: Watts::new(-10.0), ..Grid::default() });
        curve.see(&reading, INTERVAL, at("2026-06-20T00:00"));
    }
    let samples = curve.take(true);
    assert!(samples[0].estimated);
    assert_eq!(samples[0].soc, Percent::new(40.0));
    assert_eq!(samples[0].power[2..], [Watts::new(-10.0), Watts::new(-500.0)]);
}

#[test]
fn old_samples_are_deleted_once_a_day_and_only_if_the_clock_of_the_gateway_agrees() {
    let mut house = House::new("2026-06-20T12:00");
    let deletions = |house: &mut House| {
        house.read();
        let batch = house.history.take(false, KEEP);
        house.history.written();
        batch.keep_from
    };
    assert_eq!(deletions(&mut house), Some(at("2026-06-20T12:00") - KEEP));
    house.pass(60);
    assert_eq!(deletions(&mut house), None);
    house.error = 10 * 365 * 86_400;
    house.pass(86_400);
    assert_eq!(deletions(&mut house), None, "the gateway's clock shows another year");
    house.error = 0;
    assert!(deletions(&mut house).is_some());
}

#[test]
fn with_a_poll_an_hour_the_curve_is_even() {
    let mut house = House::new("2026-06-20T12:00");
    for _ in 0..6 {
        let (reading, moment) = (house.reading(), house.moment());
        house.history.see(&reading, SignedDuration::from_hours(1), &moment, &zone());
        house.pass(3600);
    }
    house.write(true);
    assert_eq!(house.disk.samples.len(), 60);
    assert!(house.disk.samples.values().all(|sample| sample.energy[0] == WattHours::new(300.0)));
}

/// Something that happens to the house.
#[derive(Clone, Debug)]
enum Act {
    Live(i64),
    Off(i64),
    Jump(i64),
    Stop,
    Kill,
    /// Killed, and the file cannot be read at first.
    KillUnread(i64),
    CannotWrite(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (30_i64..30_000).prop_map(Act::Live),
        1 => (1_i64..400_000).prop_map(Act::Off),
        1 => (-400_000_i64..400_000).prop_map(Act::Jump),
        1 => Just(Act::Stop),
        1 => Just(Act::Kill),
        1 => (30_i64..3_000).prop_map(Act::KillUnread),
        1 => (30_i64..8_000).prop_map(Act::CannotWrite),
    ];
    proptest::collection::vec(act, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn days_add_up_to_the_total_and_no_slot_is_counted_twice(acts in acts()) {
        let mut house = House::new("2026-10-24T20:00");
        house.live(1800);
        for act in &acts {
            match act {
                Act::Live(seconds) => house.live(*seconds),
                Act::Off(seconds) => {
                    house.stop_and_start();
                    house.pass(*seconds);
                }
                Act::Jump(seconds) => house.error = *seconds,
                Act::Stop => house.stop_and_start(),
                Act::Kill => {
                    house.restart();
                    house.load();
                }
                Act::KillUnread(seconds) => {
                    house.restart();
                    house.writes = false;
                    for _ in 0..seconds / 30 {
                        house.pass(30);
                        house.read();
                    }
                    house.writes = true;
                    house.load();
                }
                Act::CannotWrite(seconds) => {
                    house.writes = false;
                    house.live(*seconds);
                    house.writes = true;
                }
            }
        }
        house.live(30);
        house.write(true);
        house.assert_complete(5_000_000);
        let made = WattHours::new(house.made).unwrap().whole() - 5_000_000;
        prop_assert!((house.disk.sum(&Series::site(Counter::Production)) - made).abs() <= 1);
        for sample in house.disk.samples.values() {
            prop_assert!(sample.seconds <= 300);
            // The step between two readings over midnight belongs to the new day.
            prop_assert!(sample.energy[0].is_none_or(|energy| energy.whole() <= i64::from(sample.seconds) + 31), "{sample:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_slots_of_a_day_without_a_gap_add_up_to_the_day(offset in 0_i64..3600, interval in 5_i64..600) {
        let mut house = House::new("2026-10-24T20:00");
        house.pass(offset);
        for _ in 0..(30 * 3600 / interval) {
            house.pass(interval);
            house.read();
            if house.history.curve.dropped() > 0 || house.now.as_second() % 900 < interval {
                house.write(false);
            }
        }
        house.write(true);
        let (slots, number) = house.disk.slots(0, "2026-10-25");
        prop_assert_eq!(slots, house.disk.day(Counter::Production, "2026-10-25").unwrap().0);
        prop_assert_eq!(number, 300);
    }
}
