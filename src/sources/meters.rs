//! Production, grid, house, storage and phases from the meters.

use super::flow::{Flow, Metered, has_mains};
use super::oddities::{Firmware, Oddity};
use super::place::{Place, of_a_house};
use crate::gateway::wire::meters::{Meter, Meters};
use crate::gateway::wire::readings::MeterReading;
use crate::reading::{Consumption, Grid, Phase, Production, Source, Storage};
use crate::units::{WattHours, Watts};

/// What the meters give.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Groups {
    pub(super) production: Option<Production>,
    pub(super) consumption: Option<Consumption>,
    pub(super) grid: Option<Grid>,
    pub(super) storage: Option<Storage>,
    pub(super) phases: Vec<Phase>,
    /// The house would come out below nothing, so that it is absent: see [`Oddity::NegativeHouse`].
    pub(super) negative_house: bool,
}

/// What is known of what feeds the house without a meter of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unmetered {
    /// The batteries, where there is no storage meter.
    pub(super) batteries: Batteries,
    /// The generator, 0 where none runs.
    pub(super) generator: Option<Watts>,
}

/// What is known of the batteries without a storage meter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Batteries {
    /// There are none.
    None,
    /// They are there; together they give so much, if that is known.
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

/// Joins the list of meters with those of their readings that are fresh.
pub(super) fn groups(
    meters: &Meters,
    readings: &[&MeterReading],
    unmetered: Unmetered,
    firmware: Firmware,
) -> Groups {
    let site = Place::new(meters, |meter| Some(reading_of(meter, readings).map(Flow::of)));
    let storage_power = storage_power(&site, meters, readings, unmetered.batteries, firmware);
    // Where the storage transformer cannot be right, the batteries' own word may be (see `Oddity::NegativeHouse`).
    let themselves = match unmetered.batteries {
        Batteries::Power(power) => power,
        Batteries::None => None,
    };
    let batteries = [storage_power, themselves];
    let beside = batteries.map(|battery| Watts::total([battery, unmetered.generator]));
    let power = beside.into_iter().find_map(|beside| of_a_house(site.house_power(beside)));
    let impossible = power.is_none() && site.house_power(beside[0]).is_some();
    let energy = site.house_energy();
    let negative = energy.is_some_and(|energy| energy < WattHours::ZERO);
    let stamp = site.total.flow().or(site.net.flow()).and_then(|flow| flow.at);
    // What lacks a source now lacks it in its total too.
    let energy = energy.filter(|_| !negative && !impossible);
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
        grid: site.grid(beside[0]),
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

/// The row of a meter, if the page has it.
fn reading_of<'a>(meter: &Meter, readings: &[&'a MeterReading]) -> Option<&'a MeterReading> {
    readings.iter().copied().find(|row| row.eid == meter.eid && row.eid.is_some())
}

/// What the batteries give, from their meter or from themselves.
fn storage_power(
    site: &Place,
    meters: &Meters,
    readings: &[&MeterReading],
    batteries: Batteries,
    firmware: Firmware,
) -> Option<Watts> {
    let metered = match site.storage {
        Metered::No => return batteries.power(),
        Metered::Unread => return None,
        Metered::Read(flow) => flow.power,
    };
    let is_split = |meter: &&Meter| {
        meter.enabled()
            && meter.measurement_type.as_deref() == Some("storage")
            && meter.phase_mode.as_deref() == Some("split")
    };
    let mut split = meters.0.iter().filter(is_split).filter_map(|meter| reading_of(meter, readings));
    match batteries {
        Batteries::Power(themselves) if Oddity::HalfStorage.holds(firmware) && split.any(shows_half) => {
            themselves.or(metered)
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
            let place = Place::new(meters, on_phase);
            // On which phase batteries without a meter work is not known, nor on which a generator does.
            let battery = match (place.storage, unmetered.batteries) {
                (Metered::No, Batteries::Power(_)) => None,
                (storage, _) => storage.power(),
            };
            let idle = unmetered.generator.filter(|power| *power == Watts::ZERO);
            place.phase(index, Watts::total([battery, idle]))
        })
        .filter(|phase| *phase != Phase { phase: phase.phase.clone(), ..Phase::default() })
        .collect()
}

/// One of two channels shows nothing and the total is the other: see [`Oddity::HalfStorage`].
fn shows_half(row: &MeterReading) -> bool {
    let power = |index: usize| row.channels.get(index)?.as_ref()?.power;
    match (power(0), power(1), row.power) {
        (Some(one), Some(other), Some(total)) if total != Watts::ZERO => {
            (one == Watts::ZERO && other == total) || (other == Watts::ZERO && one == total)
        }
        _ => false,
    }
}
