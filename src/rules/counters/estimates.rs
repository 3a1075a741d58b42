//! The totals that the daemon estimates where a gateway has no counter: the energy of each inverter, from its reports,
//! and the energy of the batteries, from their power.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use super::battery_power::{BatteryEnergy, BatteryPower};
use super::estimated_total::EstimatedTotal;
use super::inverter_reports::InverterReports;
use super::stopwatch::GuardTime;
use crate::base::reading::Counter;
use crate::base::reading::{Inverter, Reading, Serial, Storage};
use crate::base::units::{WattHours, Watts};

/// The maximum number of inverters stored; no gateway has more.
const MOST: usize = 1_000;
/// The seconds for which the bounds in the file hold: the interval between two writes.
const BOUND_S: f64 = 15.0 * 60.0;
/// The part of the batteries' bound that does not depend on their power, in Wh.
const BATTERY_BOUND_WH: f64 = 150.0;

/// The estimated total of one inverter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct InverterEstimate {
    #[serde(flatten)]
    total: EstimatedTotal,
    reports: InverterReports,
    #[serde(skip)]
    max_power: Option<Watts>,
}

/// The totals of a reading that the gateway itself has counted, even if the guard holds them back.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// Of each inverter.
    inverters: Vec<bool>,
    charged: bool,
    discharged: bool,
}

impl Counted {
    /// Examines `reading` before its totals are guarded.
    pub(super) fn of(reading: &Reading) -> Self {
        let storage = |total: fn(&Storage) -> Option<WattHours>| {
            reading.storage.as_ref().is_some_and(|storage| total(storage).is_some())
        };
        Self {
            inverters: reading.inverters.iter().map(|inverter| inverter.energy_wh.is_some()).collect(),
            charged: storage(|storage| storage.charged_wh),
            discharged: storage(|storage| storage.discharged_wh),
        }
    }
}

/// The estimated totals of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Estimates {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    inverters: BTreeMap<Serial, InverterEstimate>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<Counter, EstimatedTotal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    battery_power: Option<BatteryPower>,
    /// The number of gaps in a row between two readings with the power of the batteries.
    #[serde(skip)]
    gaps: u32,
}

impl Estimates {
    /// Returns `true` if there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.inverters.is_empty() && self.storage.is_empty() && self.battery_power.is_none()
    }

    /// Returns the published total of the batteries.
    pub(super) fn published(&self, counter: Counter) -> Option<WattHours> {
        self.storage.get(&counter)?.published()
    }

    /// Forgets the estimates of `counter`.
    pub(super) fn forget(&mut self, counter: Counter) {
        self.storage.remove(&counter);
    }

    /// Forgets the estimates of the inverters.
    pub(super) fn forget_inverters(&mut self) {
        self.inverters.clear();
    }

    /// Fills in the energy of the inverters that have no counter. `known` returns the last total of a counter.
    pub(super) fn apply_to_inverters(
        &mut self,
        inverters: &mut [Inverter],
        counted: &Counted,
        known: impl Fn(&Serial) -> Option<WattHours>,
        now: GuardTime,
    ) {
        for (inverter, is_counted) in inverters.iter_mut().zip(&counted.inverters) {
            if *is_counted {
                self.count_inverter(inverter, now);
            } else {
                self.estimate_inverter(inverter, &known, now);
            }
        }
    }

    fn count_inverter(&mut self, inverter: &mut Inverter, now: GuardTime) {
        let Some(counter) = inverter.energy_wh else { return };
        let Some(estimate) = self.inverters.get_mut(&inverter.serial) else { return };
        if estimate.total.is_over_with(counter, now) {
            self.inverters.remove(&inverter.serial);
            return;
        }
        inverter.energy_wh = estimate.total.publish(now);
        inverter.energy_estimated = true;
    }

    fn estimate_inverter(
        &mut self,
        inverter: &mut Inverter,
        known: &impl Fn(&Serial) -> Option<WattHours>,
        now: GuardTime,
    ) {
        let Some(reported_at) = inverter.reported_at else { return };
        if !self.inverters.contains_key(&inverter.serial) {
            if self.inverters.len() >= MOST {
                return;
            }
            let estimate = InverterEstimate {
                total: EstimatedTotal::new(known(&inverter.serial), now),
                reports: InverterReports::new(reported_at, now),
                max_power: None,
            };
            self.inverters.insert(inverter.serial.clone(), estimate);
        }
        let Some(estimate) = self.inverters.get_mut(&inverter.serial) else { return };
        estimate.max_power = inverter.max_power_w;
        if let Some(power) = inverter.power_w {
            estimate.total.add(estimate.reports.energy(power, reported_at, now));
        }
        inverter.energy_wh = estimate.total.publish(now);
        inverter.energy_estimated = inverter.energy_wh.is_some();
    }

    /// Fills in the energy of the batteries if no meter counts it. `known` returns the last total of a meter, and
    /// `is_reset` whether the operator has reset the total. If the readings are too far apart to estimate the energy, it is
    /// absent.
    pub(super) fn apply_to_storage(
        &mut self,
        storage: &mut Storage,
        counted: &Counted,
        known: impl Fn(Counter) -> Option<WattHours>,
        is_reset: impl Fn(Counter) -> bool,
        now: GuardTime,
    ) {
        let energy = if counted.charged && counted.discharged {
            self.battery_power = None;
            None
        } else {
            self.energy(storage.power_w, now)
        };
        let begin = |counter| match energy {
            None => None,
            Some(_) if is_reset(counter) => Some(EstimatedTotal::reset(now)),
            Some(_) => Some(EstimatedTotal::new(known(counter), now)),
        };
        let energy = energy.unwrap_or_default();
        let both = [
            (Counter::Charged, &mut storage.charged_wh, counted.charged, energy.charged),
            (Counter::Discharged, &mut storage.discharged_wh, counted.discharged, energy.discharged),
        ];
        for (counter, total, is_counted, wh) in both {
            let estimated = if is_counted {
                total.and_then(|total| self.count_storage(counter, total, now))
            } else {
                self.estimate_storage(counter, begin, wh, now)
            };
            if estimated.is_some() {
                *total = estimated;
                storage.energy_estimated = true;
            }
        }
    }

    /// Returns the total to publish for one that a meter counts, if it contains an estimate.
    fn count_storage(&mut self, counter: Counter, total: WattHours, now: GuardTime) -> Option<WattHours> {
        let estimate = self.storage.get_mut(&counter)?;
        if estimate.is_over_with(total, now) {
            self.storage.remove(&counter);
            return None;
        }
        estimate.publish(now)
    }

    /// Returns the total to publish for one that no meter counts, after `wh` more.
    fn estimate_storage(
        &mut self,
        counter: Counter,
        begin: impl Fn(Counter) -> Option<EstimatedTotal>,
        wh: f64,
        now: GuardTime,
    ) -> Option<WattHours> {
        let estimate = match self.storage.entry(counter) {
            Entry::Occupied(estimate) => estimate.into_mut(),
            Entry::Vacant(place) => place.insert(begin(counter)?),
        };
        estimate.add(wh);
        if self.gaps > 1 { None } else { estimate.publish(now) }
    }

    /// Returns the energy since the last known power, or `None` after a gap.
    fn energy(&mut self, power: Option<Watts>, now: GuardTime) -> Option<BatteryEnergy> {
        let current = BatteryPower::new(power?, now);
        let before = self.battery_power.replace(current)?;
        let energy = current.energy_since(&before);
        self.gaps = if energy.is_some() { 0 } else { self.gaps + 1 };
        energy
    }

    /// Returns `true` if more has been published than the bounds in the file.
    pub(super) fn exceed_bounds(&self, now: GuardTime) -> bool {
        let inverters = self.inverters.values().map(|estimate| &estimate.total);
        inverters.chain(self.storage.values()).any(|total| !total.waits(now) && total.exceeds_bound())
    }

    /// Returns the state to store while the program runs (see [`super::estimated_total`]).
    pub(super) fn bounded(&mut self) -> Self {
        let growth = self.battery_power.map(|power| power.growth(BOUND_S)).unwrap_or_default();
        let inverters = self.inverters.iter_mut().map(|(serial, estimate)| {
            let growth = estimate.reports.most_growth(estimate.max_power, BOUND_S);
            let total = estimate.total.bounded(growth);
            (serial.clone(), InverterEstimate { total, ..estimate.clone() })
        });
        let storage = self.storage.iter_mut().map(|(counter, total)| {
            let growth = if *counter == Counter::Charged { growth.charged } else { growth.discharged };
            (*counter, total.bounded(growth + BATTERY_BOUND_WH))
        });
        Self { inverters: inverters.collect(), storage: storage.collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use tokio::time::Instant;

    use crate::base::reading::GatewayFacts;
    use crate::rules::counters::battery_power::tests::busy_day;
    use crate::rules::counters::{Guard, GuardState};

    const SERIAL: &str = "122310000101";

    /// A house with one inverter and a battery without a meter, whose daemon may crash and whose clocks may jump.
    struct House {
        guard: Guard,
        /// The counters file.
        file: String,
        start: Instant,
        /// The true seconds since the start.
        seconds: i64,
        /// The error of the gateway's clock and of ours, in seconds.
        clocks: (i64, i64),
        reported: i64,
        power: f64,
        battery: f64,
        /// The true energy in Wh: of the inverter up to its report, charged, discharged.
        made: [f64; 3],
        inverter_counter: Option<f64>,
        meters: Option<(f64, f64)>,
        /// The last poll has caused an event, so the file is written at once.
        had_event: bool,
    }

    impl House {
        fn new() -> Self {
            Self {
                guard: Guard::default(),
                file: serde_json::to_string(&GuardState::default()).unwrap(),
                start: Instant::now(),
                seconds: 0,
                clocks: (0, 0),
                reported: 0,
                power: 0.0,
                battery: 0.0,
                made: [0.0; 3],
                inverter_counter: None,
                meters: None,
                had_event: false,
            }
        }

        /// Lets `seconds` pass with these powers. The inverter reports at the end.
        fn pass(&mut self, seconds: u16, power: f64, battery: f64) {
            let hours = f64::from(seconds) / 3600.0;
            self.seconds += i64::from(seconds);
            (self.reported, self.power, self.battery) = (self.seconds, power, battery);
            let energy = [power, (-battery).max(0.0), battery.max(0.0)].map(|power| power * hours);
            for (made, energy) in self.made.iter_mut().zip(energy) {
                *made += energy;
            }
            self.inverter_counter = self.inverter_counter.map(|counter| counter + energy[0]);
            self.meters = self.meters.map(|(charged, given)| (charged + energy[1], given + energy[2]));
        }

        fn reading(&self) -> Reading {
            let stamp = |seconds: i64| Timestamp::from_second(1_782_000_000 + seconds).unwrap();
            let gateway = GatewayFacts {
                serial: Serial::parse("122300000001").unwrap(),
                name: None,
                firmware: "7.6.175".to_owned(),
                part_number: None,
                metered: true,
            };
            let inverter = Inverter {
                power_w: Watts::new(self.power),
                max_power_w: Watts::new(360.0),
                energy_wh: self.inverter_counter.and_then(WattHours::new),
                reported_at: Some(stamp(self.reported + self.clocks.0)),
                ..Inverter::unmeasured(Serial::parse(SERIAL).unwrap())
            };
            let storage = Storage {
                power_w: Watts::new(self.battery),
                charged_wh: self.meters.and_then(|meters| WattHours::new(meters.0)),
                discharged_wh: self.meters.and_then(|meters| WattHours::new(meters.1)),
                ..Storage::default()
            };
            Reading {
                inverters: vec![inverter],
                storage: Some(storage),
                ..Reading::empty(stamp(self.seconds + self.clocks.1), gateway)
            }
        }

        /// Polls; returns the energy of the inverter, and the charged and discharged energy, as in the reading.
        fn poll(&mut self) -> [Option<f64>; 3] {
            let mut reading = self.reading();
            let now = self.start + std::time::Duration::from_secs(self.seconds.unsigned_abs());
            self.had_event = !self.guard.apply(&mut reading, &TimeZone::UTC, now).is_empty();
            let storage = reading.storage.unwrap();
            [reading.inverters[0].energy_wh, storage.charged_wh, storage.discharged_wh]
                .map(|total| total.map(WattHours::value))
        }

        fn write(&mut self) {
            self.file = serde_json::to_string(&self.guard.state_while_running()).unwrap();
        }

        fn restart(&mut self, is_orderly: bool) {
            if is_orderly {
                self.file = serde_json::to_string(self.guard.state()).unwrap();
            }
            self.guard = Guard::new(serde_json::from_str(&self.file).unwrap());
        }
    }

    /// Polls every minute for `minutes`, with a report every five; returns what was published last.
    fn live(house: &mut House, minutes: u32, power: f64, battery: f64) -> [Option<f64>; 3] {
        let mut last = [None; 3];
        for minute in 0..minutes {
            let reported = house.reported;
            house.pass(60, power, battery);
            if minute % 5 != 4 {
                house.reported = reported;
            }
            last = house.poll();
        }
        last
    }

    #[test]
    fn energies_follow_the_powers_after_half_an_hour() {
        let mut house = House::new();
        assert_eq!(live(&mut house, 30, 240.0, -600.0), [None; 3]);
        let published = live(&mut house, 120, 240.0, -600.0);
        // The first power is known after a minute.
        assert_eq!(published, [Some(600.0), Some(1_490.0), Some(0.0)]);
        let more = live(&mut house, 60, 0.0, 1_200.0).map(Option::unwrap);
        assert!((more[0] - 600.0).abs() < 0.1, "{more:?}");
        assert!((more[1] - 1_490.0).abs() < 5.0 && (more[2] - 1_200.0).abs() < 15.0, "{more:?}");
    }

    #[test]
    fn a_page_with_the_counters_that_is_late_is_not_replaced_by_an_estimate() {
        let mut house = House::new();
        assert_eq!(live(&mut house, 25, 240.0, -600.0), [None; 3]);
        (house.inverter_counter, house.meters) = (Some(3e6), Some((5e5, 4e5)));
        let published = live(&mut house, 1, 0.0, 0.0);
        assert_eq!(published, [Some(3e6), Some(5e5), Some(4e5)]);
        assert!(house.guard.state().estimates.inverters.is_empty());
        assert!(house.guard.state().estimates.storage.is_empty());
    }

    #[test]
    fn a_counter_that_fails_for_a_while_is_bridged_and_returns() {
        let mut house = House::new();
        (house.inverter_counter, house.meters) = (Some(3e6), Some((5e5, 4e5)));
        live(&mut house, 10, 240.0, -600.0);
        let (inverter, meters) = (house.inverter_counter.take(), house.meters.take());
        let bridged = live(&mut house, 120, 240.0, -600.0).map(Option::unwrap);
        assert!((bridged[0] - (3e6 + 40.0 + 480.0)).abs() < 0.1, "{bridged:?}");
        assert!((bridged[1] - (5e5 + 100.0 + 1_200.0)).abs() < 15.0, "{bridged:?}");
        house.inverter_counter = inverter.map(|counter| counter + 480.0);
        house.meters = meters.map(|(charged, given)| (charged + 1_200.0, given));
        let counted = live(&mut house, 1, 0.0, 0.0).map(Option::unwrap);
        assert_eq!(counted.map(f64::to_bits), [3e6 + 520.0, 5e5 + 1_300.0, 4e5].map(f64::to_bits));
        assert!(house.guard.state().estimates.inverters.is_empty());
    }

    #[test]
    fn a_reset_begins_at_0_and_gives_way_to_a_meter() {
        let mut house = House::new();
        live(&mut house, 60, 240.0, -600.0);
        house.guard.reset(&Counter::ALL);
        let published = live(&mut house, 1, 240.0, -600.0);
        assert_eq!(published, [None, Some(10.0), Some(0.0)], "a minute after the reset");
        house.meters = Some((70.0, 90.0));
        let continued = live(&mut house, 1, 0.0, 0.0);
        assert!(continued[1].unwrap() < 20.0, "{continued:?}");
        house.guard.reset(&Counter::ALL);
        assert_eq!(live(&mut house, 1, 0.0, 0.0)[1..], [Some(70.0), Some(90.0)]);
    }

    #[test]
    fn readings_too_far_apart_give_no_energy_of_batteries() {
        let mut house = House::new();
        for _ in 0..20 {
            house.pass(600, 0.0, 1_200.0);
            assert_eq!(house.poll()[1..], [None, None]);
        }
        live(&mut house, 60, 0.0, 1_200.0);
        house.pass(600, 0.0, 1_200.0);
        assert!(house.poll()[2].is_some(), "one gap");
        house.pass(600, 0.0, 1_200.0);
        assert_eq!(house.poll()[2], None);
        assert!(live(&mut house, 1, 0.0, 1_200.0)[2].is_some());
    }

    #[test]
    fn before_the_file_is_read_nothing_is_estimated() {
        let mut house = House::new();
        house.guard = Guard::provisional();
        assert_eq!(live(&mut house, 60, 240.0, -600.0), [None; 3]);
    }

    #[test]
    fn the_state_of_240_inverters_is_small_and_they_are_limited() {
        let (mut guard, mut reading) = (Guard::default(), House::new().reading());
        let inverter = reading.inverters[0].clone();
        let roof = |from: usize, number: usize| {
            let serial = |n: usize| Serial::parse(&format!("1223100{n:05}")).unwrap();
            (from..from + number).map(|n| Inverter { serial: serial(n), ..inverter.clone() }).collect()
        };
        reading.inverters = roof(0, 240);
        guard.apply(&mut reading, &TimeZone::UTC, Instant::now());
        let length = serde_json::to_string(guard.state()).unwrap().len();
        assert!(length < 240 * 160, "{length}");
        reading.inverters = roof(240, 2_000);
        guard.apply(&mut reading, &TimeZone::UTC, Instant::now());
        assert_eq!(guard.state().estimates.inverters.len(), MOST);
    }

    #[test]
    fn a_busy_battery_hardly_causes_more_writes() {
        let mut most = 0;
        for seed in 0..5 {
            let (mut house, mut writes, mut last) = (House::new(), 0, 0);
            for battery in busy_day(seed).into_iter().step_by(30) {
                house.pass(30, 0.0, battery);
                house.poll();
                if house.guard.exceeds_bounds() || house.seconds - last >= 900 {
                    (writes, last) = (writes + 1, house.seconds);
                    house.write();
                }
            }
            most = most.max(writes);
        }
        println!("at most {most} writes, 96 of them every 15 minutes");
        assert!(most <= 104, "{most} writes");
    }

    /// An event in the life of a house.
    #[derive(Clone, Debug)]
    enum Happens {
        /// Time passes, in seconds, with these powers.
        Pass(u16, f64, f64),
        /// The page shows the same report again.
        Again,
        Crash,
        Restart,
        /// The gateway's clock or ours is set by seconds.
        ClockSet(i32, bool),
        /// The counters appear or vanish.
        Counters(bool, f64),
        /// A gateway with another serial number takes its place, with a file of its own.
        Replaced,
    }

    fn anything() -> impl proptest::strategy::Strategy<Value = Happens> {
        use proptest::prelude::*;
        prop_oneof![
            12 => (1_u16..900, 0.0_f64..360.0, -3_000.0_f64..3_000.0)
                .prop_map(|(passed, power, battery)| Happens::Pass(passed, power, battery)),
            1 => (900_u16..60_000, 0.0_f64..360.0, -3_000.0_f64..3_000.0)
                .prop_map(|(passed, power, battery)| Happens::Pass(passed, power, battery)),
            3 => Just(Happens::Again),
            1 => Just(Happens::Crash),
            1 => Just(Happens::Restart),
            1 => (-100_000_i32..100_000, any::<bool>()).prop_map(|(by, ours)| Happens::ClockSet(by, ours)),
            // An hour is the jump of a clock that shows local time.
            1 => any::<bool>().prop_map(|ours| Happens::ClockSet(3_600, ours)),
            1 => (any::<bool>(), 0.0_f64..1e6).prop_map(|(there, at)| Happens::Counters(there, at)),
            1 => Just(Happens::Replaced),
        ]
    }

    proptest::proptest! {
        /// Whatever happens, no published total decreases, and without counters none exceeds the true energy by more than
        /// the bound after a crash, the first report, and the error of a trapezoid.
        #[test]
        fn totals_never_go_backward_and_nothing_is_counted_twice(
            history in proptest::collection::vec(anything(), 1..150),
        ) {
            let mut house = House::new();
            let (mut last, mut estimates_only) = ([0.0_f64; 3], true);
            let (mut trapezoids, mut battery) = (0.0, 0.0_f64);
            for event in history {
                let is_counter = matches!(event, Happens::Counters(..));
                match event {
                    Happens::Pass(passed, power, now) => {
                        // The true power of the model is constant, then jumps.
                        trapezoids += (now - battery).abs() * f64::from(passed.min(300)) / 3600.0;
                        battery = now;
                        house.pass(passed, power, now);
                    }
                    Happens::Again => {}
                    Happens::Crash => house.restart(false),
                    Happens::Restart => house.restart(true),
                    Happens::ClockSet(by, true) => house.clocks.1 += i64::from(by),
                    Happens::ClockSet(by, false) => house.clocks.0 += i64::from(by),
                    Happens::Counters(there, at) => {
                        estimates_only = false;
                        house.inverter_counter = there.then_some(at);
                        house.meters = there.then_some((at, at / 2.0));
                    }
                    Happens::Replaced => {
                        // The new gateway's file is empty, and it has no counters of the old one's devices.
                        let next = House::new();
                        (house.guard, house.file) = (next.guard, next.file);
                        (house.inverter_counter, house.meters) = (None, None);
                        (last, house.made, trapezoids, estimates_only) = ([0.0; 3], [0.0; 3], 0.0, true);
                    }
                }
                // Whole watt-hours are published.
                let published = house.poll().map(|total| total.map(f64::round));
                for (last, published) in last.iter_mut().zip(published) {
                    let Some(published) = published else { continue };
                    proptest::prop_assert!(published >= *last, "{published} after {last}");
                    *last = published;
                }
                // A counter's first total is in the file: a gateway's counters do not go backward within minutes.
                let is_due = house.had_event || is_counter || house.guard.exceeds_bounds();
                if is_due || house.seconds % 7 == 0 {
                    house.write();
                }
                if estimates_only {
                    // The powers are arbitrary, so a report may count for up to 65 minutes of another power.
                    let bounds = [f64::INFINITY, 800.0 + trapezoids, 800.0 + trapezoids];
                    for ((last, made), bound) in last.iter().zip(house.made).zip(bounds) {
                        proptest::prop_assert!(*last <= made + bound, "{last} of {made}");
                    }
                }
            }
        }

        /// With a constant power, no clock, gap, crash or repeated report makes an inverter produce more than it did.
        #[test]
        fn an_inverter_never_has_more_than_it_made(history in proptest::collection::vec(anything(), 1..150)) {
            let (mut house, mut jumps) = (House::new(), 0.0);
            for event in history {
                if let Happens::ClockSet(by, true) = event {
                    // If both clocks jump while the program does not run, that is time which has passed.
                    jumps += 300.0 * f64::from(by.max(0)) / 3600.0;
                }
                match event {
                    Happens::Pass(passed, _, _) => house.pass(passed, 300.0, 0.0),
                    Happens::Crash => house.restart(false),
                    Happens::Restart => house.restart(true),
                    Happens::ClockSet(by, true) => house.clocks.1 += i64::from(by),
                    Happens::ClockSet(by, false) => house.clocks.0 += i64::from(by),
                    _ => {}
                }
                let published = house.poll()[0];
                if house.guard.exceeds_bounds() || house.seconds % 7 == 0 {
                    house.write();
                }
                // The age that the first report may have, and the bound after a crash.
                let most = house.made[0] + jumps + 300.0 * 0.1 + 360.0 * (900.0 + 3_900.0) / 3600.0;
                proptest::prop_assert!(published.is_none_or(|wh| wh <= most + 0.1), "{published:?} of {most}");
            }
        }
    }
}
