//! Assembles the reading from the chosen route to each value.

use jiff::Timestamp;

use super::bridge::Bridges;
use super::choice::Choices;
use super::meters::{self, Batteries, Groups, Unmetered};
use super::pages::Cached;
use super::site::{Metering, Site};
use super::values::{Route, Value};
use super::{ensemble, inverters, production, production_json};
use crate::base::reading::{Consumption, GatewayFacts, Grid, Inverter, Phase, Reading};

/// The values of the meters, from each of their two routes.
struct MeterGroups {
    meters: Groups,
    rows: Groups,
}

/// Assembles the reading at `time` by our clock.
///
/// The second value is `true` if the house is left out because it would be negative.
pub(super) fn reading(
    site: &Site<'_>,
    choices: &Choices,
    bridges: &mut Bridges,
    time: Timestamp,
) -> (Reading, bool) {
    let (mut reading, view) = (Reading::empty(time, gateway(site)), site.view());
    let metered = metered(site, choices);
    let joined = site.listed().is_some();
    reading.production =
        production::production(site, choices.of(Value::ProductionPower), choices.of(Value::ProductionEnergy));
    reading.consumption = consumption(choices, &metered, bridges, joined);
    reading.grid = grid(choices, &metered);
    reading.phases = phases(choices, &metered, bridges, joined);
    reading.storage = match metered.meters.storage.clone() {
        // The sum over only some of the batteries would be misleading.
        metered if site.misses_batteries() => metered,
        metered => ensemble::storage(metered, &view),
    };
    reading.inverters = inverters(site, choices);
    reading.batteries = ensemble::batteries(&view);
    let inventory = Cached::page(site.pages.inventory.as_ref());
    reading.grid_connection = inventory.and_then(ensemble::grid_connection);
    reading.dry_contacts = ensemble::dry_contacts(site.pages);
    reading.generator = Cached::page(site.pages.generator.as_ref()).and_then(ensemble::generator);
    reading.tariff = ensemble::tariff(site.pages);
    let house = metered.by(choices.of(Value::HousePower).or(choices.of(Value::HouseEnergy)));
    let negative_house = house.is_some_and(|groups| groups.negative_house);
    (reading, negative_house)
}

fn gateway(site: &Site<'_>) -> GatewayFacts {
    GatewayFacts {
        serial: site.info.serial.clone(),
        // The poller adds it from the configuration.
        name: None,
        firmware: site.info.firmware.to_string(),
        part_number: site.info.part_number.clone(),
        metered: site.metering() == Metering::Listed || site.past.meter_seen,
    }
}

/// Returns the inverters from the chosen page.
pub(super) fn inverters(site: &Site<'_>, choices: &Choices) -> Vec<Inverter> {
    match choices.of(Value::Inverters) {
        Some(Route::Details) => {
            inverters::inverters(Cached::page(site.pages.device_data.as_ref()), None, site.time)
        }
        Some(_) => inverters::inverters(None, Cached::page(site.pages.inverters.as_ref()), site.time),
        None => Vec::new(),
    }
}

fn metered(site: &Site<'_>, choices: &Choices) -> MeterGroups {
    let view = site.view();
    let batteries = match site.has_batteries() {
        _ if site.misses_batteries() => Batteries::Power(None),
        true => Batteries::Power(ensemble::power(&view)),
        false => Batteries::None,
    };
    let unmetered = Unmetered { batteries, generator: ensemble::generator_power(&view) };
    let meters = match site.listed() {
        Some(list) if site.pages.readings.is_some() => {
            meters::groups(list, &site.fresh_readings(), unmetered, site.info.firmware)
        }
        _ => Groups::default(),
    };
    let needed = choices.iter().any(|(_, route)| route == Some(Route::MeterRows));
    let rows = if needed { production_json::groups(site, unmetered) } else { Groups::default() };
    MeterGroups { meters, rows }
}

impl MeterGroups {
    fn by(&self, route: Option<Route>) -> Option<&Groups> {
        match route? {
            Route::Meters => Some(&self.meters),
            Route::MeterRows => Some(&self.rows),
            _ => None,
        }
    }
}

fn consumption(
    choices: &Choices,
    metered: &MeterGroups,
    bridges: &mut Bridges,
    joined: bool,
) -> Option<Consumption> {
    let house = |value| metered.by(choices.of(value))?.consumption.as_ref();
    let (power, energy) = (house(Value::HousePower), house(Value::HouseEnergy));
    let power_w = power.and_then(|house| house.power_w);
    let mut energy_wh = energy.and_then(|house| house.energy_wh);
    match choices.of(Value::HouseEnergy) {
        Some(Route::Meters) => bridges.of_meters(energy_wh),
        Some(_) if joined => energy_wh = bridges.join(energy_wh),
        _ => {}
    }
    let measured_at = power.or(energy)?.measured_at;
    (power_w.is_some() || energy_wh.is_some()).then(|| Consumption {
        power_w,
        energy_wh,
        measured_at,
        ..Consumption::default()
    })
}

fn grid(choices: &Choices, metered: &MeterGroups) -> Option<Grid> {
    let grid = |value| metered.by(choices.of(value))?.grid.as_ref();
    let (power, energy) = (grid(Value::GridPower), grid(Value::GridEnergy));
    let (power_w, measured_at) = (power.and_then(|grid| grid.power_w), power.or(energy)?.measured_at);
    let import_wh = energy.and_then(|grid| grid.import_wh);
    let export_wh = energy.and_then(|grid| grid.export_wh);
    (power_w.is_some() || import_wh.is_some() || export_wh.is_some()).then(|| Grid {
        power_w,
        import_wh,
        export_wh,
        measured_at,
        ..Grid::default()
    })
}

fn phases(choices: &Choices, metered: &MeterGroups, bridges: &mut Bridges, joined: bool) -> Vec<Phase> {
    let route = choices.of(Value::Phases);
    let mut phases = metered.by(route).map(|groups| groups.phases.clone()).unwrap_or_default();
    match route {
        Some(Route::Meters) => bridges.phases_of_meters(&phases),
        Some(_) if joined => bridges.join_phases(&mut phases),
        _ => {}
    }
    phases
}
