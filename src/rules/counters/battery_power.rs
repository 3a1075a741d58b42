//! The energy that batteries charge and discharge, from their power.
//!
//! The power is taken to change evenly between two readings. Both directions are counted separately. Nothing is counted
//! over more than five minutes, the longest pause between polls while a gateway is struggling: a battery changes from
//! full charge to full discharge within seconds, and nothing is known about the time in between.

use serde::{Deserialize, Serialize};

use super::estimated_total::rounded;
use super::stopwatch::GuardTime;
use crate::base::units::Watts;

/// The longest time between two readings that is counted, in seconds.
const LONGEST_S: f64 = 5.0 * 60.0;

/// The power of the batteries at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BatteryPower {
    /// In W, positive when discharging.
    #[serde(serialize_with = "rounded")]
    power: f64,
    /// [`GuardTime::passed`] at that moment.
    at: f64,
}

/// Charged and discharged energy in Wh.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct BatteryEnergy {
    pub(super) charged: f64,
    pub(super) discharged: f64,
}

impl BatteryPower {
    /// Creates the power at `now`.
    pub(super) fn new(power: Watts, now: GuardTime) -> Self {
        Self { power: power.value(), at: now.passed }
    }

    /// Returns the energy since `before`, or `None` after a gap.
    pub(super) fn energy_since(&self, before: &Self) -> Option<BatteryEnergy> {
        let hours = (self.at - before.at) / 3600.0;
        if !(0.0..=LONGEST_S / 3600.0).contains(&hours) {
            return None;
        }
        let mean = |one: f64, other: f64| one.max(0.0).midpoint(other.max(0.0));
        let mut energy = BatteryEnergy {
            charged: mean(-before.power, -self.power) * hours,
            discharged: mean(before.power, self.power) * hours,
        };
        if before.power * self.power < 0.0 {
            // The direction has changed in between: each holds for its share of the time.
            let share = before.power.abs() / (before.power.abs() + self.power.abs());
            let (first, second) =
                if before.power < 0.0 { (share, 1.0 - share) } else { (1.0 - share, share) };
            energy.charged *= first;
            energy.discharged *= second;
        }
        Some(energy)
    }

    /// Returns the energy that may be counted in each direction in the next `seconds`, if the power stays the same.
    pub(super) fn growth(&self, seconds: f64) -> BatteryEnergy {
        let hours = seconds / 3600.0;
        BatteryEnergy { charged: (-self.power).max(0.0) * hours, discharged: self.power.max(0.0) * hours }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn power(watts: f64, second: u32) -> BatteryPower {
        let passed = f64::from(second);
        BatteryPower::new(Watts::new(watts).unwrap(), GuardTime { running: passed, passed })
    }

    fn energy(from: f64, to: f64, seconds: u32) -> Option<(f64, f64)> {
        let energy = power(to, 100 + seconds).energy_since(&power(from, 100))?;
        Some((energy.charged, energy.discharged))
    }

    #[test]
    fn each_direction_is_counted_by_itself() {
        assert_eq!(energy(1_200.0, 1_200.0, 30), Some((0.0, 10.0)));
        assert_eq!(energy(-1_200.0, -2_400.0, 30), Some((15.0, 0.0)));
        assert_eq!(energy(-600.0, 1_800.0, 60), Some((1.25, 11.25)));
        assert_eq!(energy(1_800.0, -600.0, 60), Some((1.25, 11.25)));
        assert_eq!(energy(0.0, -600.0, 60), Some((5.0, 0.0)));
    }

    #[test]
    fn nothing_is_counted_over_a_gap_or_when_no_time_has_passed() {
        assert_eq!(energy(3_600.0, 3_600.0, 300), Some((0.0, 300.0)));
        assert_eq!(energy(3_600.0, 3_600.0, 301), None);
        assert_eq!(energy(3_600.0, 3_600.0, 0), Some((0.0, 0.0)));
        let (later, earlier) = (power(3_600.0, 200), power(3_600.0, 100));
        assert_eq!(earlier.energy_since(&later), None);
    }

    /// Returns the power at each second of a day of a battery that evens out the load of a house: clouds every 30 seconds,
    /// and 120 appliances of up to 2.5 kW that run for minutes.
    pub(in crate::rules::counters) fn busy_day(seed: u64) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut load = vec![400.0; 86_400];
        for _ in 0..120 {
            let (start, length) = (rng.usize(..86_400), 20 + rng.usize(..400));
            let power = 100.0 + 2_400.0 * rng.f64();
            load.iter_mut().skip(start).take(length).for_each(|watts| *watts += power);
        }
        let mut clouds = 1.0_f64;
        let battery = |(second, load): (u32, f64)| {
            if second.is_multiple_of(30) {
                clouds = (clouds + 0.4 * rng.f64() - 0.2).clamp(0.2, 1.0);
            }
            let height = (f64::from(second) / 86_400.0 - 0.25) * std::f64::consts::TAU;
            (load - 4_000.0 * height.sin().max(0.0) * clouds).clamp(-3_800.0, 3_800.0)
        };
        (0..).zip(load).map(battery).collect()
    }

    /// Returns the largest error of both energies in percent, with a poll every 30 seconds that gets a new power every
    /// `interval` seconds.
    fn error_of_a_day(seed: u64, interval: u32) -> f64 {
        let (mut last, mut shown) = (None::<BatteryPower>, 0.0);
        let (mut truth, mut estimate) = (BatteryEnergy::default(), BatteryEnergy::default());
        for (second, watts) in (0_u32..).zip(busy_day(seed)) {
            truth.charged += (-watts).max(0.0) / 3600.0;
            truth.discharged += watts.max(0.0) / 3600.0;
            if second % interval == 7 {
                shown = watts;
            }
            if second % 30 == 7 {
                let current = power(shown, second);
                let more = last.and_then(|last| current.energy_since(&last)).unwrap_or_default();
                estimate.charged += more.charged;
                estimate.discharged += more.discharged;
                last = Some(current);
            }
        }
        let off = |estimate: f64, truth: f64| 100.0 * (estimate - truth).abs() / truth;
        off(estimate.charged, truth.charged).max(off(estimate.discharged, truth.discharged))
    }

    #[test]
    fn a_day_with_clouds_and_appliances_is_off_by_a_few_percent() {
        for (interval, most) in [(30, 2.0), (60, 3.0)] {
            let worst = (0..20).map(|seed| error_of_a_day(seed, interval)).fold(0.0, f64::max);
            println!("a new power every {interval} s: at most {worst:.1} % off");
            assert!(worst < most, "{worst} % off with a power every {interval} s");
        }
    }
}
