//! Production, house, grid and phases from the meters of `production.json`, for gateways without a list of meters.

use jiff::Timestamp;

use super::meters::{Batteries, Groups};
use super::oddities::{Firmware, Oddity};
use super::{age, totals};
use crate::gateway::wire::production_json::{Line, ProductionJson, Row};
use crate::reading::{self, Consumption, Grid, Phase, PhaseValues, Source};
use crate::units::Watts;

/// What the meters of the slow page give. Of the grid it knows only import minus export, so both are absent.
pub(super) fn groups(
    page: &ProductionJson,
    batteries: Batteries,
    firmware: Firmware,
    clock: Option<Timestamp>,
) -> Groups {
    let fresh = |row: &&Row| !age::is_stale(row.measured_at, clock, age::METER);
    let production = page.production_meter().filter(fresh);
    let net = page.consumption_meter("net-consumption").filter(fresh);
    let total = page.consumption_meter("total-consumption").filter(fresh);
    Groups {
        production: production.map(|row| reading::Production {
            source: Source::Meter,
            ..totals::sum(row.power, row.energy, row.measured_at)
        }),
        consumption: total.map(|row| house(row, net, production, batteries, firmware)),
        grid: net.map(|row| Grid { power_w: row.power, measured_at: row.measured_at, ..Grid::default() }),
        storage: None,
        phases: phases(production, net, total, batteries, firmware),
    }
}

fn phases(
    production: Option<&Row>,
    net: Option<&Row>,
    total: Option<&Row>,
    batteries: Batteries,
    firmware: Firmware,
) -> Vec<Phase> {
    let mended = shows_net(total, net, firmware);
    let of = |row: Option<&Row>, index: usize| row.and_then(|row| row.line(index).cloned());
    let phase = |index: usize| {
        let production = of(production, index);
        // On which phase the batteries work is not known.
        let house = of(total, index).filter(|_| batteries == Batteries::None && !mended);
        let house = house.map(|line| PhaseValues { energy_wh: line.energy, ..electrical(&line) });
        Phase {
            phase: format!("L{}", index + 1),
            production: production.map(|line| PhaseValues { energy_wh: line.energy, ..electrical(&line) }),
            grid: of(net, index).map(|line| electrical(&line)),
            consumption: house,
            storage: None,
        }
    };
    let measured = |it: &Phase| it.production.is_some() || it.grid.is_some() || it.consumption.is_some();
    (0..3).map(phase).filter(measured).collect()
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
    let values = |row: &Row| (row.power, row.energy);
    Oddity::TotalIsNet.holds(firmware) && total.is_some() && total.map(values) == net.map(values)
}

/// Total consumption, mended where it shows the net, and with what the batteries give.
fn house(
    total: &Row,
    net: Option<&Row>,
    production: Option<&Row>,
    batteries: Batteries,
    firmware: Firmware,
) -> Consumption {
    let mend = shows_net(Some(total), net, firmware);
    let add = |value: Option<Watts>, more: Option<Watts>| Some(value? + more?);
    let mut consumption = Consumption {
        power_w: total.power,
        energy_wh: total.energy,
        measured_at: total.measured_at,
        ..Consumption::default()
    };
    if mend {
        consumption.power_w = add(total.power, production.and_then(|row| row.power));
        consumption.energy_wh =
            total.energy.and_then(|energy| Some(energy + production.and_then(|row| row.energy)?));
    }
    if let Batteries::Power(power) = batteries {
        consumption.power_w = add(consumption.power_w, power);
    }
    consumption
}
