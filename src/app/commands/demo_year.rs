//! A made-up year for the history of `enphased demo`: a house with panels and a battery, with seasons, weather and habits.

use fastrand::Rng;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::base::reading::{Counter, Serial};
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::history::rows::{Batch, Counted, Growth, Kind, SLOT_S, Sample, Series, Step};
use crate::simulator::{Pages, Simulation};

/// The length of the history.
const DAYS: i64 = 365;
/// The days that are written in one transaction.
const DAYS_AT_ONCE: i64 = 30;
/// The power of one inverter in full sun, in watts.
const INVERTER_W: f64 = 330.0;
/// The capacity of the battery in watt-hours, and its power in watts.
const CAPACITY_WH: f64 = 10_000.0;
const BATTERY_W: f64 = 3_800.0;
const SLOTS_PER_HOUR: f64 = 12.0;
const AHEAD_WH: f64 = 1e8;

/// The house whose year is made up.
#[derive(Clone, Debug)]
pub struct House {
    gateway: Serial,
    inverters: Vec<Serial>,
    phases: Vec<String>,
    has_battery: bool,
    /// The totals at the end of the year, and in [`Year`] at its beginning, in the order of [`Counter::ALL`].
    totals: [WattHours; 6],
}

impl House {
    /// Returns the house behind a gateway of `simulation`, which serves `pages`.
    pub fn simulated(simulation: &Simulation, place: usize, pages: &Pages) -> Option<Self> {
        let gateway = simulation.gateways.get(place)?.serial().parse().ok()?;
        let energies = simulation.worlds.get(place)?.now().energies;
        let rows = pages.json("/api/v1/production/inverters")?.as_array()?;
        let serial = |row: &serde_json::Value| row["serialNumber"].as_str()?.parse().ok();
        let phases = pages
            .json("/ivp/meters")?
            .as_array()?
            .iter()
            .filter_map(|meter| meter["phaseCount"].as_u64())
            .max();
        let totals = [
            energies.production,
            energies.consumption,
            energies.import,
            energies.export,
            energies.charged,
            energies.discharged,
        ];
        Some(Self {
            gateway,
            inverters: rows.iter().filter_map(serial).collect(),
            phases: (1..=phases.unwrap_or_default()).map(|phase| format!("L{phase}")).collect(),
            has_battery: pages.json("/ivp/ensemble/secctrl").is_some(),
            totals,
        })
    }
}

/// The year of one house, in pieces of a month.
#[derive(Clone, Debug)]
pub struct Year {
    house: House,
    rng: Rng,
    /// The beginning of the next slot, and the end of the year.
    at: Timestamp,
    end: Timestamp,
    /// The energy in the battery in watt-hours.
    stored: f64,
    /// The part of the sunshine that the clouds of the day let through.
    clarity: f64,
    days: Vec<(Date, [f64; 6])>,
    counted: [f64; 6],
}

impl Year {
    /// Creates the year that ends at `end`, in UTC.
    pub fn until(end: Timestamp, house: House) -> Self {
        let second = (end.as_second() - DAYS * 86_400).div_euclid(86_400) * 86_400;
        let at = Timestamp::from_second(second).unwrap_or(end);
        let mut year = Self {
            house,
            rng: Rng::with_seed(2026),
            at,
            end,
            stored: CAPACITY_WH / 2.0,
            clarity: 0.8,
            days: Vec::new(),
            counted: [0.0; 6],
        };
        // A rehearsal shows what is counted until the end.
        let mut rehearsal = year.clone();
        while rehearsal.next().is_some() {}
        for (total, counted) in year.house.totals.iter_mut().zip(rehearsal.counted) {
            *total = WattHours::new(total.value() - counted).unwrap_or(*total);
        }
        year
    }

    fn slot(&mut self) -> Sample {
        let start = self.at;
        let second = start.as_second().rem_euclid(86_400);
        let date = start.to_zoned(TimeZone::UTC).date();
        if second == 0 || self.days.is_empty() {
            // More days are clear than not, and few are dark.
            self.clarity = 1.0 - 0.8 * self.rng.f64() * self.rng.f64();
            self.days.push((date, [0.0; 6]));
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
        let hour = second as f64 / 3600.0;
        let winter = f64::from((i32::from(date.day_of_year()) - 172).abs().min(366)) / 183.0;
        #[expect(clippy::cast_precision_loss, reason = "some dozen inverters")]
        let peak = self.house.inverters.len().max(1) as f64 * INVERTER_W;
        let production = peak * sunshine(hour, winter) * self.clarity * (0.85 + 0.15 * self.rng.f64());
        let house = load(hour, winter) * (0.7 + 0.6 * self.rng.f64());
        let (has_battery, is_metered) = (self.house.has_battery, !self.house.phases.is_empty());
        let storage = if has_battery { self.battery(house - production) } else { 0.0 };
        let grid = house - production - storage;
        let powers =
            [production, house, grid.max(0.0), (-grid).max(0.0), (-storage).max(0.0), storage.max(0.0)];
        let energy = powers.map(|power| (power / SLOTS_PER_HOUR).round());
        let mut measured = energy.map(WattHours::new);
        for absent in measured.iter_mut().skip(self.counters()) {
            *absent = None;
        }
        if let Some((_, day)) = self.days.last_mut() {
            for (sum, energy) in day.iter_mut().zip(energy) {
                *sum += energy;
            }
        }
        self.at = start + SignedDuration::from_secs(SLOT_S);
        Sample {
            start,
            seconds: 300,
            power: [
                Watts::new(production),
                Watts::new(house).filter(|_| is_metered),
                Watts::new(grid).filter(|_| is_metered),
                Watts::new(storage).filter(|_| has_battery),
            ],
            energy: measured,
            soc: Percent::new((self.stored / CAPACITY_WH * 1000.0).round() / 10.0).filter(|_| has_battery),
            estimated: false,
        }
    }

    /// Returns the number of counters: without a battery not the last two, and without meters the first one.
    const fn counters(&self) -> usize {
        match (self.house.has_battery, self.house.phases.is_empty()) {
            (true, _) => Counter::ALL.len(),
            (false, false) => Counter::ALL.len() - 2,
            (false, true) => 1,
        }
    }

    /// Returns the power of the battery, positive when discharging, if the house needs `wanted` watts.
    fn battery(&mut self, wanted: f64) -> f64 {
        let room = (CAPACITY_WH - self.stored) * SLOTS_PER_HOUR;
        let left = (self.stored - CAPACITY_WH / 10.0).max(0.0) * SLOTS_PER_HOUR;
        let power = wanted.clamp(-BATTERY_W.min(room), BATTERY_W.min(left));
        self.stored -= power / SLOTS_PER_HOUR;
        power
    }

    /// Returns the steps of all counters on the days of this piece.
    fn steps(&mut self) -> Vec<Step> {
        let days = std::mem::take(&mut self.days);
        let before = self.counted;
        for (_, energies) in &days {
            for (sum, energy) in self.counted.iter_mut().zip(energies) {
                *sum += energy;
            }
        }
        let mut steps = Vec::new();
        for (n, quantity) in Counter::ALL.into_iter().enumerate().take(self.counters()) {
            let (Some(now), Some(from), Some(total)) =
                (self.counted.get(n), before.get(n), self.house.totals.get(n))
            else {
                continue;
            };
            // A device begins again with the gateway's own total, which is lower.
            let share = |part: f64, ahead: f64| {
                let growth = |(date, energies): &(Date, [f64; 6])| {
                    growth(*date, energies.get(n).copied().unwrap_or_default() * part, self.at)
                };
                let at = |counted: f64| WattHours::new(((total.value() + counted) * part + ahead).round());
                (days.iter().map(growth).collect::<Vec<_>>(), at(*from), at(*now))
            };
            let mut push = |kind, device: &str, part: f64| {
                let (growth, from, now) = share(part, if kind == Kind::Site { 0.0 } else { AHEAD_WH });
                let series = Series { kind, device: device.into(), quantity };
                let from = from.filter(|_| before.iter().any(|counted| *counted > 0.0));
                let Some(total) = now else { return };
                steps.push(Step { from, to: Counted { series, total, at: self.at }, growth });
            };
            push(Kind::Site, "", 1.0);
            #[expect(clippy::cast_precision_loss, reason = "some dozen")]
            let part = |parts: usize| 1.0 / parts as f64;
            for phase in &self.house.phases {
                push(Kind::Phase, phase, part(self.house.phases.len()));
            }
            if quantity == Counter::Production {
                for (place, inverter) in self.house.inverters.iter().enumerate() {
                    // Not all face the same way, and one stands in the shade of a chimney.
                    let yield_ = if place == 2 {
                        0.8
                    } else {
                        0.96 + 0.008 * f64::from(u8::try_from(place % 10).unwrap_or(0))
                    };
                    push(Kind::Inverter, inverter.as_str(), part(self.house.inverters.len()) * yield_);
                }
            }
        }
        steps
    }
}

impl Iterator for Year {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let until = self.at + SignedDuration::from_hours(24 * DAYS_AT_ONCE);
        let mut samples = Vec::new();
        while self.at < until && self.at + SignedDuration::from_secs(SLOT_S) <= self.end {
            samples.push(self.slot());
        }
        if samples.is_empty() {
            return None;
        }
        let steps = self.steps();
        Some(Batch { gateway: self.house.gateway.clone(), samples, steps, keep_from: None })
    }
}

/// Returns the growth of a whole day, or of its part before `now`.
fn growth(date: Date, energy: f64, now: Timestamp) -> Growth {
    let midnight = date.to_zoned(TimeZone::UTC).map_or(now, |midnight| midnight.timestamp());
    let until = (midnight + SignedDuration::from_hours(24)).min(now);
    let energy = WattHours::new(energy.round()).unwrap_or(WattHours::ZERO);
    Growth { date, energy, since: midnight, until, estimated: false }
}

/// Returns the sunshine as a part of full sun. `winter` is 0 in June and 1 in December.
fn sunshine(hour: f64, winter: f64) -> f64 {
    let half = 7.8 - 3.8 * winter;
    let distance = ((hour - 12.5) / half).abs();
    let height = 1.0 - 0.72 * winter * winter;
    if distance >= 1.0 { 0.0 } else { height * (1.0 - distance * distance) }
}

/// Returns the power that the house uses, in watts.
fn load(hour: f64, winter: f64) -> f64 {
    let peak = |at: f64, width: f64| 1.0 / (1.0 + ((hour - at) / width) * ((hour - at) / width));
    (230.0 + 900.0 * peak(7.5, 1.0) + 1500.0 * peak(19.0, 1.6)) * (1.0 + 0.4 * winter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn year(has_battery: bool) -> Vec<Batch> {
        let serial = |text: &str| Serial::parse(text).unwrap();
        let house = House {
            gateway: serial("122300000001"),
            inverters: (0..14).map(|n| serial(&format!("1223100001{n:02}"))).collect(),
            phases: vec!["L1".to_owned(), "L2".to_owned()],
            has_battery,
            totals: [WattHours::new(14e6).unwrap(); 6],
        };
        Year::until("2026-06-21T08:10:00Z".parse().unwrap(), house).collect()
    }

    #[test]
    fn a_year_has_seasons_and_its_days_are_the_sums_of_its_slots() {
        let batches = year(true);
        let samples: Vec<&Sample> = batches.iter().flat_map(|batch| &batch.samples).collect();
        assert_eq!(samples.len(), 365 * 288 + 98);
        let site = |quantity: Counter| {
            let steps = batches.iter().flat_map(|batch| &batch.steps);
            let steps = steps.filter(move |step| step.to.series == Series::site(quantity));
            steps.flat_map(|step| &step.growth)
        };
        assert_eq!(site(Counter::Production).count(), 366);
        let month = |text: &str| -> f64 {
            let days = site(Counter::Production).filter(|day| day.date.to_string().starts_with(text));
            days.map(|day| day.energy.value()).sum()
        };
        assert!(month("2025-12") * 4.0 < month("2026-05"), "{} and {}", month("2025-12"), month("2026-05"));
        for (n, quantity) in Counter::ALL.into_iter().enumerate() {
            let slots: i64 = samples.iter().filter_map(|sample| sample.energy[n]).map(WattHours::whole).sum();
            assert_eq!(slots, site(quantity).map(|day| day.energy.whole()).sum::<i64>(), "{quantity:?}");
        }
        assert!(samples.iter().all(|sample| sample.soc.is_some_and(|soc| soc.value() >= 9.9)));
    }

    #[test]
    fn every_inverter_has_every_day() {
        let batches = year(true);
        let steps = batches.iter().flat_map(|batch| &batch.steps);
        let inverters = steps.filter(|step| step.to.series.kind == Kind::Inverter);
        assert_eq!(inverters.flat_map(|step| &step.growth).count(), 14 * 366);
    }

    #[test]
    fn a_house_without_a_battery_has_none_in_its_year() {
        let batches = year(false);
        for sample in batches.iter().flat_map(|batch| &batch.samples) {
            assert_eq!(
                (sample.power[3], sample.energy[4], sample.energy[5], sample.soc),
                (None, None, None, None)
            );
        }
        let steps = batches.iter().flat_map(|batch| &batch.steps);
        let counters = [Counter::Charged, Counter::Discharged];
        assert_eq!(steps.filter(|step| counters.contains(&step.to.series.quantity)).count(), 0);
    }
}
