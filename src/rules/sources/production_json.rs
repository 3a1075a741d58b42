//! Production, house, grid and phases from the meters in `production.json`.
//!
//! This page is used for gateways without a list of meters, and while the list or its readings fail.

use jiff::Timestamp;

use super::flow::has_mains;
use super::meter_set::of_a_house;
use super::meters::{Groups, Unmetered};
use super::oddities::Oddity;
use super::site::Site;
use super::values::Value;
use crate::base::reading::{Consumption, Grid, Phase, PhaseValues, Production, Source};
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::firmware::Firmware;
use crate::io::gateway::wire::production_json::{Line, ProductionJson, Row};

/// The rows of the meters in `production.json`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rows<'a> {
    production: Option<&'a Row>,
    net: Option<&'a Row>,
    total: Option<&'a Row>,
}

impl<'a> Rows<'a> {
    /// Returns the rows that are not stale, if the page is available.
    pub(super) fn fresh(site: &Site<'a>) -> Option<Self> {
        let fresh = |row: &&Row| !site.is_stale(row.measured_at);
        let all = Self::all(site.slow_page()?);
        Some(Self {
            production: all.production.filter(fresh),
            net: all.net.filter(fresh),
            total: all.total.filter(fresh),
        })
    }

    fn all(page: &'a ProductionJson) -> Self {
        Self {
            production: page.production_meter(),
            net: page.consumption_meter("net-consumption"),
            total: page.consumption_meter("total-consumption"),
        }
    }

    /// Returns production as measured by its meter.
    pub(super) fn production(&self) -> Option<Production> {
        self.production.map(|row| Production {
            power_w: row.power,
            energy_wh: row.energy(),
            today_wh: None,
            yesterday_wh: None,
            source: Source::Meter,
            measured_at: row.measured_at,
        })
    }

    /// Returns `true` if total consumption contains the net: see [`Oddity::TotalIsNet`].
    fn total_is_net(&self, firmware: Firmware) -> bool {
        let values = |row: &Row| (row.power, row.net_energy);
        Oddity::TotalIsNet.affects(firmware)
            && self.total.is_some()
            && self.total.map(values) == self.net.map(values)
    }

    /// Returns the house's power as far as these meters measure it.
    fn house_power(&self, site: &Site<'_>) -> Option<Watts> {
        match self.total {
            _ if site.has_hidden_feed() => None,
            Some(total) if !self.total_is_net(site.info.firmware) => total.power,
            _ => Watts::total([self.production?.power, self.net?.power]),
        }
    }

    /// Returns production plus import minus export.
    fn production_and_net(&self) -> Option<WattHours> {
        WattHours::total([self.production?.energy(), self.net?.net_energy])
    }

    fn house_energy(&self, site: &Site<'_>) -> Option<WattHours> {
        if site.has_hidden_feed() {
            return None;
        }
        if site.replaces_meters() {
            // No row contains the energy of batteries.
            return if site.has_batteries() { None } else { self.production_and_net() };
        }
        match self.total {
            Some(total) if !self.total_is_net(site.info.firmware) => total.net_energy,
            Some(_) => self.production_and_net(),
            None => None,
        }
    }
}

/// Returns `true` if the meters of the page suffice for `value`.
pub(super) fn yields(site: &Site<'_>, value: Value) -> bool {
    let Some(rows) = Rows::fresh(site) else { return false };
    match value {
        Value::HousePower => rows.house_power(site).is_some(),
        Value::HouseEnergy => rows.house_energy(site).is_some(),
        Value::GridPower => rows.net.is_some_and(|row| row.power.is_some()),
        Value::Phases => [rows.production, rows.net, rows.total].into_iter().flatten().any(has_lines),
        _ => false,
    }
}

fn has_lines(row: &Row) -> bool {
    (0..3).any(|index| row.line(index).is_some_and(|line| has_mains(line.voltage)))
}

/// Returns the oldest stale timestamp of a meter on the page.
pub(super) fn stale(site: &Site<'_>) -> Option<Timestamp> {
    let rows = Rows::all(site.slow_page()?);
    let rows = [rows.production, rows.net, rows.total].into_iter().flatten();
    rows.filter_map(|row| row.measured_at).filter(|stamp| site.is_stale(Some(*stamp))).min()
}

/// Returns the values of the meters on the page. Import and export are absent: the page has only their difference.
pub(super) fn groups(site: &Site<'_>, unmetered: Unmetered) -> Groups {
    let Some(rows) = Rows::fresh(site) else { return Groups::default() };
    let house = house(site, &rows, unmetered);
    let impossible = |house: &Consumption| {
        house.power_w.is_some() && of_a_house(house.power_w).is_none() || is_negative(house.energy_wh)
    };
    let negative_house = house.as_ref().is_some_and(impossible);
    Groups {
        production: rows.production(),
        consumption: house.as_ref().and_then(possible),
        grid: rows.net.map(|row| Grid {
            power_w: row.power,
            measured_at: row.measured_at,
            ..Grid::default()
        }),
        storage: None,
        phases: phases(site, &rows, unmetered),
        negative_house,
    }
}

/// Returns the house, including the power of batteries and a generator without meters.
fn house(site: &Site<'_>, rows: &Rows<'_>, unmetered: Unmetered) -> Option<Consumption> {
    let power = rows.house_power(site);
    Some(Consumption {
        power_w: Watts::total([power, unmetered.batteries.power(), unmetered.generator]),
        energy_wh: rows.house_energy(site),
        measured_at: rows.total.or(rows.net)?.measured_at,
        ..Consumption::default()
    })
}

/// Converts an energy to a lifetime total, which is never negative.
fn counted(energy: WattHours) -> Option<WattHours> {
    WattHours::lifetime(energy.value())
}

fn is_negative(energy: Option<WattHours>) -> bool {
    energy.is_some_and(|energy| energy < WattHours::ZERO)
}

/// Removes impossible values of the house: see [`Oddity::NegativeHouse`].
///
/// If the power is impossible, a source is missing, and the total lacks it too.
fn possible(house: &Consumption) -> Option<Consumption> {
    let power_w = of_a_house(house.power_w);
    let energy_wh = if power_w == house.power_w { house.energy_wh.and_then(counted) } else { None };
    (power_w.is_some() || energy_wh.is_some()).then(|| Consumption { power_w, energy_wh, ..house.clone() })
}

fn phases(site: &Site<'_>, rows: &Rows<'_>, unmetered: Unmetered) -> Vec<Phase> {
    let is_computed = rows.total_is_net(site.info.firmware);
    // The phases of batteries and generator are unknown, so the house is only known without them.
    let is_whole = unmetered == Unmetered::NOTHING && !is_computed && !site.has_hidden_feed();
    let phase = |index: usize| {
        let of = |row: Option<&Row>| {
            row.and_then(|row| row.line(index)).filter(|line| has_mains(line.voltage)).cloned()
        };
        let (production, net) = (of(rows.production), of(rows.net));
        let house = if is_whole { of(rows.total) } else { None };
        let house = house.map(|mut line| {
            if site.replaces_meters() {
                let [production, net] = [production.as_ref(), net.as_ref()];
                line.net_energy = WattHours::total([
                    production.and_then(Line::energy),
                    net.and_then(|line| line.net_energy),
                ]);
            }
            of_house(&line)
        });
        Phase {
            phase: format!("L{}", index + 1),
            production: production.map(|line| PhaseValues { energy_wh: line.energy(), ..electrical(&line) }),
            grid: net.map(|line| electrical(&line)),
            consumption: house.filter(|house| *house != PhaseValues::default()),
            storage: None,
        }
    };
    let is_measured =
        |phase: &Phase| phase.production.is_some() || phase.grid.is_some() || phase.consumption.is_some();
    (0..3).map(phase).filter(is_measured).collect()
}

/// Returns the house's values on one phase, all absent if the power is impossible.
fn of_house(line: &Line) -> PhaseValues {
    if line.power.is_some() && of_a_house(line.power).is_none() {
        return PhaseValues::default();
    }
    PhaseValues { energy_wh: line.energy(), ..electrical(line) }
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
