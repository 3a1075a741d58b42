//! Integrates the power of a simulated house into energies.
//!
//! Energies grow in steps of 30 s on a fixed grid, when they are read. So they depend only on the time and not on how often
//! they are read.

use jiff::Timestamp;

use super::snapshot::{Energies, InverterReport, Snapshot, WorldOptions};
use super::sun::{house_load, inverter_weight, last_report, sunshine};
use crate::base::units::{Percent, WattHours, Watts};

/// The seconds during which the power does not change.
const STEP: i64 = 30;
#[expect(clippy::cast_precision_loss, reason = "thirty")]
const STEP_HOURS: f64 = STEP as f64 / 3600.0;
/// The maximum jump of the clock, in seconds, so that no century is integrated.
const LONGEST_GAP: i64 = 400 * 86_400;
/// The share of its capacity below which a battery is not discharged.
const RESERVE: f64 = 0.1;

/// The power of each kind, in watts.
#[derive(Clone, Copy, Debug)]
struct Flows {
    production: f64,
    consumption: f64,
    /// Positive when discharging.
    storage: f64,
}

impl Flows {
    /// Positive when importing.
    fn grid(&self) -> f64 {
        self.consumption - self.production - self.storage
    }
}

/// The energies in watt-hours, without rounding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    production: f64,
    consumption: f64,
    import: f64,
    export: f64,
    charged: f64,
    discharged: f64,
}

impl Counted {
    /// Returns the energies after `hours` more.
    fn after(self, flows: &Flows, hours: f64) -> Self {
        let positive = |power: f64| power.max(0.0) * hours;
        Self {
            production: self.production + positive(flows.production),
            consumption: self.consumption + positive(flows.consumption),
            import: self.import + positive(flows.grid()),
            export: self.export + positive(-flows.grid()),
            charged: self.charged + positive(-flows.storage),
            discharged: self.discharged + positive(flows.storage),
        }
    }

    pub(super) fn energies(self) -> Energies {
        Energies {
            production: watt_hours(self.production),
            consumption: watt_hours(self.consumption),
            import: watt_hours(self.import),
            export: watt_hours(self.export),
            charged: watt_hours(self.charged),
            discharged: watt_hours(self.discharged),
        }
    }
}

fn watts(value: f64) -> Watts {
    Watts::new(value).unwrap_or(Watts::ZERO)
}

fn watt_hours(value: f64) -> WattHours {
    WattHours::new(value).unwrap_or(WattHours::ZERO)
}

/// The integrator of one house.
#[derive(Debug)]
pub(super) struct Integrator {
    options: WorldOptions,
    /// The total power of the inverters in full sun, in watts.
    full_sun: f64,
    /// The time of the energies, in seconds of local solar time: a multiple of [`STEP`].
    at: i64,
    counted: Counted,
    midnight: Counted,
    /// The energy in the battery, in watt-hours.
    stored: f64,
}

impl Integrator {
    pub(super) fn new(options: WorldOptions, now: Timestamp) -> Self {
        let (charged, discharged) =
            if options.battery.is_some() { (1_802_560.75, 1_702_560.75) } else { (0.0, 0.0) };
        let (production, import, export) = (14_447_185.5, 7_213_285.75, 9_291_702.5);
        let consumption = production + import - export + discharged - charged;
        let counted = Counted { production, consumption, import, export, charged, discharged };
        let stored = options.battery.map_or(0.0, |battery| battery.capacity.value() * 0.4);
        let at = Self::local(&options, now).div_euclid(STEP) * STEP;
        let weights = (0..options.inverters).map(|inverter| inverter_weight(options.seed, inverter));
        let full_sun = weights.sum::<f64>() * options.inverter_peak.value();
        Self { options, full_sun, at, counted, midnight: counted, stored }
    }

    fn local(options: &WorldOptions, time: Timestamp) -> i64 {
        time.as_second() + options.offset.as_secs()
    }

    /// Returns the power during the step that begins at `self.at`.
    fn flows(&self) -> Flows {
        let production = self.full_sun * sunshine(self.options.seed, self.at);
        let consumption = house_load(self.options.seed, self.at);
        Flows { production, consumption, storage: self.storage(consumption - production) }
    }

    /// Returns the power of the battery: it charges from surplus, and discharges in the evening and at night.
    fn storage(&self, lacking: f64) -> f64 {
        let Some(battery) = self.options.battery else { return 0.0 };
        let (capacity, power) = (battery.capacity.value(), battery.power.value());
        let room = (capacity - self.stored).max(0.0) / STEP_HOURS;
        let held = (self.stored - capacity * RESERVE).max(0.0) / STEP_HOURS;
        let evening = !(6..17).contains(&(self.at.rem_euclid(86_400) / 3600));
        if lacking < 0.0 {
            -(-lacking).min(power).min(room)
        } else if evening {
            lacking.min(power).min(held)
        } else {
            0.0
        }
    }

    fn advance(&mut self, local: i64) {
        self.at = self.at.max(local.div_euclid(STEP) * STEP - LONGEST_GAP);
        while self.at + STEP <= local {
            if self.at.rem_euclid(86_400) == 0 {
                self.midnight = self.counted;
            }
            let flows = self.flows();
            self.counted = self.counted.after(&flows, STEP_HOURS);
            self.stored -= flows.storage * STEP_HOURS;
            self.at += STEP;
        }
        if self.at.rem_euclid(86_400) == 0 {
            self.midnight = self.counted;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "less than a step")]
    pub(super) fn at(&mut self, time: Timestamp) -> Snapshot {
        let local = Self::local(&self.options, time);
        self.advance(local);
        let flows = self.flows();
        let since = (local - self.at).clamp(0, STEP) as f64 / 3600.0;
        let counted = self.counted.after(&flows, since);
        let stored = self.stored - flows.storage * since;
        let produced_today = counted.production - self.midnight.production;
        Snapshot {
            time,
            production: watts(flows.production),
            consumption: watts(flows.consumption),
            grid: watts(flows.grid()),
            storage: watts(flows.storage),
            energies: counted.energies(),
            produced_today: watt_hours(produced_today),
            consumed_today: watt_hours(counted.consumption - self.midnight.consumption),
            soc: self
                .options
                .battery
                .and_then(|battery| Percent::new(stored / battery.capacity.value() * 100.0)),
            inverters: self.reports(local, counted.production, produced_today),
        }
    }

    /// Returns the last report of each inverter, for the totals of the lifetime and of the day.
    fn reports(&self, local: i64, lifetime: f64, today: f64) -> Vec<InverterReport> {
        let report = |inverter| {
            let weight = inverter_weight(self.options.seed, inverter) * self.options.inverter_peak.value();
            let reported = last_report(inverter, local);
            InverterReport {
                reported_at: self.wall(reported),
                power: watts(weight * sunshine(self.options.seed, reported)),
                energy: watt_hours(lifetime * weight / self.full_sun),
                today: watt_hours(today * weight / self.full_sun),
            }
        };
        (0..self.options.inverters).map(report).collect()
    }

    fn wall(&self, local: i64) -> Timestamp {
        Timestamp::from_second(local - self.options.offset.as_secs()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulator::snapshot::Battery;

    const DAY: i64 = 86_400;

    fn after(seconds: i64) -> Timestamp {
        let midnight: Timestamp = "2026-06-21T00:00:00Z".parse().unwrap();
        Timestamp::from_second(midnight.as_second() + seconds).unwrap()
    }

    fn integrator(battery: bool) -> Integrator {
        let cells =
            Battery { capacity: WattHours::new(10_000.0).unwrap(), power: Watts::new(3_840.0).unwrap() };
        Integrator::new(
            WorldOptions { battery: battery.then_some(cells), ..WorldOptions::default() },
            after(0),
        )
    }

    fn imbalance(energies: &Energies) -> f64 {
        let parts = [energies.production, energies.import, energies.discharged];
        let uses = [energies.consumption, energies.export, energies.charged];
        parts.map(WattHours::value).iter().sum::<f64>() - uses.map(WattHours::value).iter().sum::<f64>()
    }

    fn grew(before: &Energies, after: &Energies) -> bool {
        let all = |e: &Energies| [e.production, e.consumption, e.import, e.export, e.charged, e.discharged];
        all(before).iter().zip(all(after)).all(|(before, after)| *before <= after)
    }

    #[test]
    fn energies_add_up_over_a_day() {
        for battery in [false, true] {
            let mut integrator = integrator(battery);
            let first = integrator.at(after(0)).energies;
            let last = integrator.at(after(DAY)).energies;
            assert!(imbalance(&first).abs() < 0.01 && imbalance(&last).abs() < 0.01);
            let produced = last.production.value() - first.production.value();
            assert!((10_000.0..40_000.0).contains(&produced), "{produced}");
            assert_eq!(last.charged > first.charged, battery);
            assert_eq!(last.discharged > first.discharged, battery);
        }
    }

    #[test]
    fn the_counters_follow_the_powers() {
        let mut integrator = integrator(false);
        let before = integrator.at(after(DAY / 2));
        let later = integrator.at(after(DAY / 2 + STEP));
        let expected = before.production.value() * STEP_HOURS;
        let grown = later.energies.production.value() - before.energies.production.value();
        assert!((grown - expected).abs() < 1e-6);
    }

    #[test]
    fn the_inverters_sum_up_to_the_production() {
        let snapshot = integrator(false).at(after(DAY / 2));
        let sum: f64 = snapshot.inverters.iter().map(|report| report.energy.value()).sum();
        assert!((sum - snapshot.energies.production.value()).abs() < 0.01);
        let power: f64 = snapshot.inverters.iter().map(|report| report.power.value()).sum();
        assert!((power / snapshot.production.value() - 1.0).abs() < 0.3);
    }

    #[test]
    fn today_begins_at_midnight() {
        let mut integrator = integrator(false);
        assert!(integrator.at(after(DAY - 1)).produced_today.value() > 10_000.0);
        assert_eq!(integrator.at(after(DAY)).produced_today, WattHours::ZERO);
    }

    #[test]
    fn a_clock_in_the_past_does_not_reduce_energies() {
        let mut integrator = integrator(true);
        let noon = integrator.at(after(DAY / 2)).energies;
        assert_eq!(integrator.at(after(-DAY * 365)).energies, noon);
        assert!(grew(&noon, &integrator.at(after(DAY)).energies));
    }

    proptest! {
        #[test]
        fn nothing_goes_backward_and_the_charge_stays_within_bounds(steps in prop::collection::vec(0_i64..9000, 1..40)) {
            let mut integrator = integrator(true);
            let (mut time, mut last) = (0, integrator.at(after(0)));
            for step in steps {
                time += step;
                let snapshot = integrator.at(after(time));
                prop_assert!(grew(&last.energies, &snapshot.energies));
                prop_assert!(imbalance(&snapshot.energies).abs() < 0.01);
                prop_assert!((0.0..=100.0).contains(&snapshot.soc.unwrap().value()));
                last = snapshot;
            }
        }

        #[test]
        fn reading_more_often_changes_nothing(times in prop::collection::vec(0_i64..DAY, 1..20)) {
            let (mut often, mut once) = (integrator(true), integrator(true));
            let mut times = times;
            times.sort_unstable();
            for time in &times {
                often.at(after(*time));
            }
            prop_assert_eq!(often.at(after(DAY)), once.at(after(DAY)));
        }
    }
}
