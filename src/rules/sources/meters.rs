//! Production, grid, house, storage and phases from the readings of the listed meters.

use super::flow::{Flow, MeterState, has_mains};
use super::meter_set::{MeterSet, of_a_house};
use super::oddities::Oddity;
use crate::base::reading::{Consumption, Grid, Phase, Production, Source, Storage};
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::firmware::Firmware;
use crate::io::gateway::wire::meters::{Meter, Meters};
use crate::io::gateway::wire::readings::MeterReading;

/// The groups of a reading that meters yield.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Groups {
    pub(super) production: Option<Production>,
    pub(super) consumption: Option<Consumption>,
    pub(super) grid: Option<Grid>,
    pub(super) storage: Option<Storage>,
    pub(super) phases: Vec<Phase>,
    /// The house would be negative, so it is absent: see [`Oddity::NegativeHouse`].
    pub(super) negative_house: bool,
}

/// The sources that feed the house without a meter of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unmetered {
    /// The batteries, if there is no storage meter.
    pub(super) batteries: Batteries,
    /// The power of the generator: 0 if none runs, `None` if it is unknown.
    pub(super) generator: Option<Watts>,
}

impl Unmetered {
    /// Every source has a meter.
    pub(super) const NOTHING: Self = Self { batteries: Batteries::None, generator: Some(Watts::ZERO) };
}

/// The batteries as they report themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Batteries {
    /// There are no batteries.
    None,
    /// The total power of the batteries, if it is known.
    Power(Option<Watts>),
}

impl Batteries {
    pub(super) fn power(self) -> Option<Watts> {
        match self {
            Self::None => Some(Watts::ZERO),
            Self::Power(power) => power,
        }
    }
}

/// Joins the list of meters with their fresh readings.
pub(super) fn groups(
    meters: &Meters,
    readings: &[&MeterReading],
    unmetered: Unmetered,
    firmware: Firmware,
) -> Groups {
    let site = site(meters, readings);
    let storage_power = storage_power(&site, meters, readings, unmetered.batteries, firmware);
    // If the value of the storage meter is impossible, the batteries' own one may be right (see `Oddity::NegativeHouse`).
    let self_reported = match unmetered.batteries {
        Batteries::Power(power) => power,
        Batteries::None => None,
    };
    let batteries = [storage_power, self_reported];
    let others = batteries.map(|battery| Watts::total([battery, unmetered.generator]));
    let power = others.into_iter().find_map(|others| of_a_house(site.house_power(others)));
    let impossible = power.is_none() && site.house_power(others[0]).is_some();
    let energy = site.house_energy();
    let negative = energy.is_some_and(|energy| energy < WattHours::ZERO);
    let stamp = site.total.flow().or(site.net.flow()).and_then(|flow| flow.at);
    // If the power is impossible, a source is missing, and the total lacks it too.
    let energy = if negative || impossible { None } else { energy };
    Groups {
        production: site.production.flow().map(|flow| Production {
            power_w: flow.power,
            energy_wh: flow.delivered,
            today_wh: None,
            yesterday_wh: None,
            source: Source::Meter,
            measured_at: flow.at,
        }),
        consumption: (power.is_some() || energy.is_some()).then(|| Consumption {
            power_w: power,
            energy_wh: energy,
            measured_at: stamp,
            ..Consumption::default()
        }),
        grid: site.grid(others[0]),
        storage: site.storage.flow().map(|flow| Storage {
            power_w: storage_power,
            charged_wh: flow.received,
            discharged_wh: flow.delivered,
            measured_at: flow.at,
            ..Storage::default()
        }),
        phases: phases(meters, readings, unmetered),
        negative_house: negative || impossible,
    }
}

/// Returns the meters of the whole site.
pub(super) fn site(meters: &Meters, readings: &[&MeterReading]) -> MeterSet {
    MeterSet::new(meters, |meter| Some(reading_of(meter, readings).map(Flow::of)))
}

/// Returns the reading of a meter, if the page has one.
fn reading_of<'a>(meter: &Meter, readings: &[&'a MeterReading]) -> Option<&'a MeterReading> {
    readings.iter().copied().find(|row| row.eid == meter.eid && row.eid.is_some())
}

/// Returns the power of the batteries, from their meter or as they report it.
fn storage_power(
    site: &MeterSet,
    meters: &Meters,
    readings: &[&MeterReading],
    batteries: Batteries,
    firmware: Firmware,
) -> Option<Watts> {
    let metered = match site.storage {
        MeterState::Absent => return batteries.power(),
        MeterState::Unread => return None,
        MeterState::Read(flow) => flow.power,
    };
    let is_split = |meter: &&Meter| {
        meter.enabled()
            && meter.measurement_type.as_deref() == Some("storage")
            && meter.phase_mode.as_deref() == Some("split")
    };
    let mut split = meters.0.iter().filter(is_split).filter_map(|meter| reading_of(meter, readings));
    match batteries {
        Batteries::Power(reported) if Oddity::HalfStorage.affects(firmware) && split.any(shows_half) => {
            reported.or(metered)
        }
        _ => metered,
    }
}

fn phases(meters: &Meters, readings: &[&MeterReading], unmetered: Unmetered) -> Vec<Phase> {
    let count = meters.0.iter().filter(|meter| meter.enabled()).map(Meter::phases).max().unwrap_or(0);
    (0..count)
        .map(|index| {
            // `None` where the meter has no such phase.
            let on_phase = |meter: &Meter| {
                (index < meter.phases()).then(|| {
                    let channel = reading_of(meter, readings)?.channels.get(index)?.as_ref()?;
                    has_mains(channel.voltage).then(|| Flow::of(channel))
                })
            };
            let set = MeterSet::new(meters, on_phase);
            // The phases of batteries without a meter and of a generator are unknown.
            let battery = match (set.storage, unmetered.batteries) {
                (MeterState::Absent, Batteries::Power(_)) => None,
                (storage, _) => storage.power(),
            };
            let idle = unmetered.generator.filter(|power| *power == Watts::ZERO);
            set.phase(index, Watts::total([battery, idle]))
        })
        .filter(|phase| *phase != Phase { phase: phase.phase.clone(), ..Phase::default() })
        .collect()
}

/// Returns `true` if one of two channels is 0 and the total equals the other: see [`Oddity::HalfStorage`].
fn shows_half(row: &MeterReading) -> bool {
    let power = |index: usize| row.channels.get(index)?.as_ref()?.power;
    match (power(0), power(1), row.power) {
        (Some(one), Some(other), Some(total)) if total != Watts::ZERO => {
            (one == Watts::ZERO && other == total) || (other == Watts::ZERO && one == total)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::gateway::wire::readings::Readings;

    const NOTHING: Unmetered = Unmetered::NOTHING;

    /// A meter: kind, eid, and the reading (power, delivered, received).
    type One = (&'static str, u32, Option<(f64, f64, f64)>);

    fn groups_of(all: &[One], unmetered: Unmetered) -> Groups {
        let meter = |(kind, eid, _): &One| {
            format!(r#"{{"eid":{eid},"state":"enabled","measurementType":"{kind}","phaseCount":1}}"#)
        };
        let row = |(_, eid, row): &One| {
            let (power, delivered, received) = (*row)?;
            let values = format!(
                r#""activePower":{power},"actEnergyDlvd":{delivered},"actEnergyRcvd":{received},"voltage":230"#
            );
            Some(format!(r#"{{"eid":{eid},"timestamp":1782036900,{values},"channels":[{{{values}}}]}}"#))
        };
        let list: Vec<String> = all.iter().map(meter).collect();
        let rows: Vec<String> = all.iter().filter_map(row).collect();
        let list = Meters::parse(format!("[{}]", list.join(",")).as_bytes()).unwrap();
        let rows = Readings::parse(format!("[{}]", rows.join(",")).as_bytes()).unwrap();
        groups(&list, &rows.0.iter().collect::<Vec<_>>(), unmetered, Firmware::new(8, 3, 5289))
    }

    /// Returns the house's power and energy.
    fn house(all: &[One], unmetered: Unmetered) -> (Option<f64>, Option<f64>) {
        let house = groups_of(all, unmetered).consumption.unwrap_or_default();
        (house.power_w.map(Watts::value), house.energy_wh.map(WattHours::value))
    }

    const PRODUCTION: One = ("production", 1, Some((3_000.0, 9_000.0, 0.0)));
    const NET: One = ("net-consumption", 2, Some((-1_000.0, 500.0, 4_000.0)));
    const STORAGE: One = ("storage", 3, Some((-800.0, 300.0, 700.0)));

    #[test]
    fn the_house_is_of_every_meter_that_is_switched_on() {
        assert_eq!(house(&[PRODUCTION, NET], NOTHING), (Some(2_000.0), Some(5_500.0)));
        assert_eq!(house(&[PRODUCTION, NET, STORAGE], NOTHING), (Some(1_200.0), Some(5_100.0)));
        let other_pv = ("pv3p", 4, Some((600.0, 50.0, 0.0)));
        assert_eq!(house(&[PRODUCTION, NET, other_pv], NOTHING), (Some(2_600.0), Some(5_550.0)));
        // The power of an EV charger and other loads is part of the house; a combiner's feed repeats its sources.
        let parts = [
            ("evse", 5, Some((900.0, 1.0, -2.0))),
            ("load", 6, None),
            ("backfeed", 7, Some((9.0, 9.0, 9.0))),
        ];
        let all: Vec<One> = [PRODUCTION, NET].into_iter().chain(parts).collect();
        assert_eq!(house(&all, NOTHING), (Some(2_000.0), Some(5_500.0)));
    }

    #[test]
    fn a_meter_that_is_switched_on_and_not_read_is_not_nothing() {
        for kind in ["storage", "pv3p"] {
            let groups = groups_of(&[PRODUCTION, NET, (kind, 9, None)], NOTHING);
            assert_eq!(groups.consumption, None, "{kind}");
            assert_eq!(groups.phases[0].consumption, None, "{kind}");
            assert!(!groups.negative_house, "nothing is known of it");
            assert!(groups.production.is_some() && groups.grid.is_some());
        }
    }

    #[test]
    fn several_meters_of_a_kind_are_their_sum_and_one_listed_twice_is_one() {
        let second = ("production", 8, Some((500.0, 100.0, 0.0)));
        let production = groups_of(&[PRODUCTION, second, NET], NOTHING).production.unwrap();
        assert_eq!(
            (production.power_w, production.energy_wh),
            (Watts::new(3_500.0), WattHours::new(9_100.0))
        );
        assert_eq!(house(&[PRODUCTION, second, NET], NOTHING), (Some(2_500.0), Some(5_600.0)));
        assert_eq!(house(&[PRODUCTION, PRODUCTION, NET], NOTHING), (Some(2_000.0), Some(5_500.0)));
        let unread = ("production", 8, None);
        assert_eq!(groups_of(&[PRODUCTION, unread, NET], NOTHING).production, None);
        let storage = ("storage", 9, Some((-200.0, 30.0, 70.0)));
        let groups = groups_of(&[PRODUCTION, NET, STORAGE, storage], NOTHING);
        assert_eq!(groups.storage.unwrap().charged_wh, WattHours::new(770.0));
    }

    #[test]
    fn the_grid_of_a_total_meter_is_what_no_source_gives() {
        let total = ("total-consumption", 2, Some((4_000.0, 80.0, 0.0)));
        let other_pv = ("pv3p", 4, Some((600.0, 50.0, 0.0)));
        let grid = |all: &[One]| groups_of(all, NOTHING).grid.and_then(|grid| grid.power_w).map(Watts::value);
        assert_eq!(grid(&[PRODUCTION, total, other_pv]), Some(400.0));
        assert_eq!(grid(&[PRODUCTION, total, ("pv3p", 4, None)]), None);
    }

    #[test]
    fn batteries_and_a_generator_without_a_meter_count_or_leave_the_house_out() {
        let with = |battery: Option<f64>, generator: Option<f64>| Unmetered {
            batteries: Batteries::Power(battery.and_then(Watts::new)),
            generator: generator.and_then(Watts::new),
        };
        let power = |unmetered| house(&[PRODUCTION, NET], unmetered).0;
        assert_eq!(power(with(Some(-500.0), Some(0.0))), Some(1_500.0));
        assert_eq!(power(with(Some(-500.0), Some(2_000.0))), Some(3_500.0));
        assert_eq!(power(with(None, Some(0.0))), None);
        assert_eq!(power(with(Some(-500.0), None)), None);
    }

    #[test]
    fn a_house_below_nothing_is_absent_with_its_total() {
        let net = ("net-consumption", 2, Some((-5_600.0, 3_900.0, 4_000.0)));
        let groups = groups_of(&[PRODUCTION, net], NOTHING);
        assert_eq!((groups.consumption, groups.negative_house), (None, true));
        assert_eq!(groups.phases[0].consumption, None);
        // At night the power is right; the total lacks the energy of the other system.
        let net = ("net-consumption", 2, Some((700.0, 3_900.0, 14_000.0)));
        let production = ("production", 1, Some((0.0, 9_000.0, 0.0)));
        let groups = groups_of(&[production, net], NOTHING);
        let house = groups.consumption.unwrap();
        assert_eq!((house.power_w, house.energy_wh, groups.negative_house), (Watts::new(700.0), None, true));
    }

    #[test]
    fn phases_without_mains_are_absent_at_any_mains_voltage() {
        let phase = |voltage: &str| {
            let list = r#"[{"eid":1,"state":"enabled","measurementType":"net-consumption","phaseCount":1}]"#;
            let rows = format!(r#"[{{"eid":1,"activePower":5,"channels":[{{"activePower":5{voltage}}}]}}]"#);
            let rows = Readings::parse(rows.as_bytes()).unwrap();
            let list = Meters::parse(list.as_bytes()).unwrap();
            groups(&list, &rows.0.iter().collect::<Vec<_>>(), NOTHING, Firmware::new(8, 3, 0)).phases.len()
        };
        for dead in ["0", "6", "9.5", "11.469", "49.9"] {
            assert_eq!(phase(&format!(",\"voltage\":{dead}")), 0, "{dead} V");
        }
        for live in ["92", "100", "121", "207", "230", "277"] {
            assert_eq!(phase(&format!(",\"voltage\":{live}")), 1, "{live} V");
        }
        assert_eq!(phase(""), 1, "without a voltage");
    }
}
