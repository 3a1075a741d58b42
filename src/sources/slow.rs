//! Production, house, grid and phases from the meters of `production.json`, for gateways without a list of meters.

use jiff::Timestamp;

use super::flow::has_mains;
use super::meters::{Batteries, Groups, Unmetered};
use super::oddities::{Firmware, Oddity};
use super::place::of_a_house;
use super::{age, totals};
use crate::gateway::wire::production_json::{Line, ProductionJson, Row};
use crate::reading::{self, Consumption, Grid, Phase, PhaseValues, Source};
use crate::units::{WattHours, Watts};

/// What the meters of the slow page give. Of the grid it knows only import minus export, so both are absent.
pub(super) fn groups(
    page: &ProductionJson,
    unmetered: Unmetered,
    firmware: Firmware,
    clock: Option<Timestamp>,
) -> Groups {
    let fresh = |row: &&Row| !age::is_stale(row.measured_at, clock, age::METER);
    let production = page.production_meter().filter(fresh);
    let net = page.consumption_meter("net-consumption").filter(fresh);
    let total = page.consumption_meter("total-consumption").filter(fresh);
    let house = total.map(|row| house(row, net, production, unmetered, firmware));
    let impossible = |house: &Consumption| {
        house.power_w.is_some() && of_a_house(house.power_w).is_none() || is_negative(house.energy_wh)
    };
    let negative_house = house.as_ref().is_some_and(impossible);
    Groups {
        production: production.map(|row| reading::Production {
            source: Source::Meter,
            ..totals::sum(row.power, row.energy(), row.measured_at)
        }),
        consumption: house.as_ref().and_then(possible),
        grid: net.map(|row| Grid { power_w: row.power, measured_at: row.measured_at, ..Grid::default() }),
        storage: None,
        phases: phases(production, net, total, unmetered, firmware),
        negative_house,
    }
}

/// A lifetime total.
fn counted(energy: WattHours) -> Option<WattHours> {
    WattHours::lifetime(energy.value())
}

fn is_negative(energy: Option<WattHours>) -> bool {
    energy.is_some_and(|energy| energy < WattHours::ZERO)
}

/// The house without what is impossible: see [`Oddity::NegativeHouse`]. What lacks a source now lacks it in its total too.
fn possible(house: &Consumption) -> Option<Consumption> {
    let power_w = of_a_house(house.power_w);
    let energy_wh = house.energy_wh.and_then(counted).filter(|_| power_w == house.power_w);
    (power_w.is_some() || energy_wh.is_some()).then(|| Consumption { power_w, energy_wh, ..house.clone() })
}

fn phases(
    production: Option<&Row>,
    net: Option<&Row>,
    total: Option<&Row>,
    unmetered: Unmetered,
    firmware: Firmware,
) -> Vec<Phase> {
    let mended = shows_net(total, net, firmware);
    let of = |row: Option<&Row>, index: usize| {
        row.and_then(|row| row.line(index)).filter(|line| has_mains(line.voltage)).cloned()
    };
    // On which phase the batteries work is not known.
    let is_whole =
        unmetered.batteries == Batteries::None && unmetered.generator == Some(Watts::ZERO) && !mended;
    let phase = |index: usize| {
        let production = of(production, index);
        let house = of(total, index).filter(|_| is_whole).map(|line| of_house(&line));
        Phase {
            phase: format!("L{}", index + 1),
            production: production.map(|line| PhaseValues { energy_wh: line.energy, ..electrical(&line) }),
            grid: of(net, index).map(|line| electrical(&line)),
            consumption: house.filter(|house| *house != PhaseValues::default()),
            storage: None,
        }
    };
    let measured = |it: &Phase| it.production.is_some() || it.grid.is_some() || it.consumption.is_some();
    (0..3).map(phase).filter(measured).collect()
}

/// The house on one phase: nothing of it when its power is impossible.
fn of_house(line: &Line) -> PhaseValues {
    if line.power.is_some() && of_a_house(line.power).is_none() {
        return PhaseValues::default();
    }
    PhaseValues { energy_wh: line.energy, ..electrical(line) }
}

fn electrical(line: &Line) -> PhaseValues {
    PhaseValues {
        power_w: line.power,
        voltage_v: line.voltage,
        current_a: line.current,
        power_factor: line.power_factor,
        ..PhaseValues::default()
    }
}

/// See [`Oddity::TotalIsNet`].
fn shows_net(total: Option<&Row>, net: Option<&Row>, firmware: Firmware) -> bool {
    let values = |row: &Row| (row.power, row.net_energy);
    Oddity::TotalIsNet.holds(firmware) && total.is_some() && total.map(values) == net.map(values)
}

/// Total consumption, mended where it shows the net, and with what the batteries and a generator give.
fn house(
    total: &Row,
    net: Option<&Row>,
    production: Option<&Row>,
    unmetered: Unmetered,
    firmware: Firmware,
) -> Consumption {
    let (power, energy) = if shows_net(Some(total), net, firmware) {
        (
            Watts::total([total.power, production.and_then(|row| row.power)]),
            WattHours::total([total.net_energy, production.and_then(Row::energy)]),
        )
    } else {
        (total.power, total.net_energy)
    };
    Consumption {
        power_w: Watts::total([power, unmetered.batteries.power(), unmetered.generator]),
        energy_wh: energy,
        measured_at: total.measured_at,
        ..Consumption::default()
    }
}
