//! The entities of the gateway's device: the site, its phases and dry contacts, and the gateway itself.

use serde_json::Value;

use super::about::{
    Enabled, Row, State, amperes, celsius, choice, factor, hertz, kwh, percent, row, volts, watts, word,
};
use super::quantity::Quantity;
use crate::base::reading::{DryContact, Grid, Phase, PhaseValues, Reading, Storage};
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::firmware::Firmware;
use crate::rules::inverter_health::reporting;

/// The states of a switch or a dry contact.
const POSITIONS: &[&str] = &["closed", "open"];
/// The states of a token.
pub(super) const TOKEN_STATES: &[&str] = &["valid", "expiring", "short", "expired", "missing"];

/// The main values, which the Energy dashboards need.
pub(super) const MAIN: [Row<Reading>; 20] = [
    site("production_power", "Production power", Quantity::Power, |r| {
        // At night the meter measures a few watts in the other direction.
        watts(r.production.as_ref()?.power_w.map(Watts::positive))
    })
    .short("Solar power")
    .anyway(|r| r.production.as_ref().is_some_and(|it| it.energy_wh.is_some())),
    site("production_energy", "Production energy", Quantity::Total, |r| {
        kwh(r.production.as_ref()?.energy_wh)
    })
    .short("Solar energy"),
    site("production_today", "Production today", Quantity::Today, |r| kwh(r.production.as_ref()?.today_wh))
        .short("Solar today")
        .only_home_assistant(),
    site("consumption_power", "Consumption power", Quantity::Power, |r| {
        watts(r.consumption.as_ref()?.power_w)
    })
    .short("House power")
    .anyway(|r| r.consumption.as_ref().is_some_and(|it| it.energy_wh.is_some())),
    site("consumption_energy", "Consumption energy", Quantity::Total, |r| {
        kwh(r.consumption.as_ref()?.energy_wh)
    })
    .short("House energy"),
    site("consumption_today", "Consumption today", Quantity::Today, |r| {
        kwh(r.consumption.as_ref()?.today_wh)
    })
    .short("House today")
    .only_home_assistant(),
    site("grid_power", "Grid power", Quantity::Power, |r| watts(r.grid.as_ref()?.power_w)),
    site("grid_import_power", "Grid import power", Quantity::Power, |r| forward(r.grid.as_ref()?.power_w))
        .short("Import power")
        .enabled(Enabled::Never)
        .anyway(|r| grid(r, |it| it.import_wh)),
    site("grid_import_energy", "Grid import energy", Quantity::Total, |r| kwh(r.grid.as_ref()?.import_wh))
        .short("Import energy"),
    site("grid_export_power", "Grid export power", Quantity::Power, |r| backward(r.grid.as_ref()?.power_w))
        .short("Export power")
        .enabled(Enabled::Never)
        .anyway(|r| grid(r, |it| it.export_wh)),
    site("grid_export_energy", "Grid export energy", Quantity::Total, |r| kwh(r.grid.as_ref()?.export_wh))
        .short("Export energy"),
    site("storage_power", "Storage power", Quantity::Power, |r| watts(r.storage.as_ref()?.power_w)),
    site("storage_charge_power", "Charge power", Quantity::Power, |r| backward(r.storage.as_ref()?.power_w))
        .enabled(Enabled::Never)
        .anyway(|r| storage(r, |it| it.charged_wh)),
    site("storage_charge_energy", "Charge energy", Quantity::Total, |r| kwh(r.storage.as_ref()?.charged_wh)),
    site("storage_discharge_power", "Discharge power", Quantity::Power, |r| {
        forward(r.storage.as_ref()?.power_w)
    })
    .short("Discharging")
    .enabled(Enabled::Never)
    .anyway(|r| storage(r, |it| it.discharged_wh)),
    site("storage_discharge_energy", "Discharge energy", Quantity::Total, |r| {
        kwh(r.storage.as_ref()?.discharged_wh)
    })
    .short("Discharged"),
    site("storage_soc", "State of charge", Quantity::Charge, |r| percent(r.storage.as_ref()?.soc_percent))
        .short("Charge level"),
    site("storage_available", "Available energy", Quantity::Stored, |r| {
        kwh(r.storage.as_ref()?.available_wh)
    })
    .short("Available")
    .only_home_assistant(),
    site("storage_capacity", "Storage capacity", Quantity::Stored, |r| kwh(r.storage.as_ref()?.capacity_wh))
        .short("Capacity")
        .diagnostic()
        .only_home_assistant(),
    site("grid_connection", "Grid connection", Quantity::Choice(POSITIONS), |r| {
        choice(r.grid_connection.as_ref()?.state.as_ref(), POSITIONS)
    })
    .short("Connection")
    .icon("mdi:transmission-tower"),
];

/// The settings, and the state of the gateway and of what it depends on.
pub(super) const STATE: [Row<Reading>; 14] = [
    site("storage_mode", "Storage mode", Quantity::Word, |r| {
        word(r.tariff.as_ref()?.mode.as_ref().filter(|_| has_battery(r)))
    })
    .diagnostic()
    .icon("mdi:home-battery"),
    site("storage_reserve", "Storage reserve", Quantity::Share, |r| {
        percent(r.tariff.as_ref()?.reserve_percent.filter(|_| has_battery(r)))
    })
    .short("Reserve")
    .diagnostic()
    .icon("mdi:battery-lock"),
    site("charge_from_grid", "Charge from grid", Quantity::Switch, |r| {
        let on = r.tariff.as_ref()?.charge_from_grid.filter(|_| has_battery(r))?;
        Some(if on { "ON" } else { "OFF" }.into())
    })
    .short("Grid charging")
    .diagnostic()
    .only_home_assistant()
    .icon("mdi:transmission-tower-export"),
    site("grid_mode", "Grid mode", Quantity::Word, |r| word(r.grid_connection.as_ref()?.mode.as_ref()))
        .diagnostic()
        .only_home_assistant()
        .icon("mdi:transmission-tower"),
    site("controller_temperature", "Grid switch temp", Quantity::Temperature, |r| {
        celsius(r.grid_connection.as_ref()?.temperature_c)
    })
    .short("Switch temp")
    .diagnostic()
    .only_home_assistant(),
    site("generator_state", "Generator", Quantity::Word, |r| word(r.generator.as_ref()?.state.as_ref()))
        .only_home_assistant()
        .icon("mdi:engine"),
    site("generator_mode", "Generator mode", Quantity::Word, |r| word(r.generator.as_ref()?.mode.as_ref()))
        .short("Engine mode")
        .diagnostic()
        .only_home_assistant()
        .icon("mdi:engine-outline"),
    site("inverters_reporting", "Active inverters", Quantity::Count, |r| {
        Some(reporting(&r.inverters)?.into())
    })
    .short("Inverters")
    .diagnostic()
    .only_home_assistant()
    .icon("mdi:solar-panel"),
    site("reachable", "Reachable", Quantity::Connectivity, |_| Some(Value::Null))
        .diagnostic()
        .only_home_assistant()
        .state(State::Availability),
    site("problem", "Problem", Quantity::Problem, |_| Some(Value::Null))
        .diagnostic()
        .only_home_assistant()
        .state(State::Problems),
    site("token_expires_at", "Token expires", Quantity::Time, |r| needs_token(r).then_some(Value::Null))
        .diagnostic()
        .only_home_assistant()
        .state(State::Token),
    site("token_state", "Token state", Quantity::Choice(TOKEN_STATES), |r| {
        needs_token(r).then_some(Value::Null)
    })
    .diagnostic()
    .only_home_assistant()
    .state(State::Token)
    .icon("mdi:key"),
    site("token_next_login_at", "Next login", Quantity::Time, |r| needs_token(r).then_some(Value::Null))
        .diagnostic()
        .only_home_assistant()
        .state(State::Token),
    site("firmware", "Firmware", Quantity::Word, |r| Some(r.gateway.firmware.as_str().into()))
        .diagnostic()
        .only_home_assistant()
        .icon("mdi:chip"),
];

/// The values of a phase; their names follow that of the phase.
pub(super) const PHASE: [Row<Phase>; 14] = [
    phase("production_power", "production", Quantity::Power, |p| {
        watts(p.production.as_ref()?.power_w.map(Watts::positive))
    }),
    phase("consumption_power", "consumption", Quantity::Power, |p| watts(p.consumption.as_ref()?.power_w))
        .short("house"),
    phase("grid_power", "grid", Quantity::Power, |p| watts(p.grid.as_ref()?.power_w)),
    phase("storage_power", "storage", Quantity::Power, |p| watts(p.storage.as_ref()?.power_w)),
    phase("voltage", "voltage", Quantity::Voltage, |p| volts(meter(p)?.voltage_v)),
    phase("current", "current", Quantity::Current, |p| amperes(meter(p)?.current_a)),
    phase("frequency", "frequency", Quantity::Frequency, |p| hertz(meter(p)?.frequency_hz)),
    phase("power_factor", "power factor", Quantity::PowerFactor, |p| factor(meter(p)?.power_factor))
        .short("factor")
        .only_home_assistant(),
    phase("production_energy", "produced", Quantity::Total, |p| kwh(p.production.as_ref()?.energy_wh))
        .only_home_assistant(),
    phase("consumption_energy", "consumed", Quantity::Total, |p| kwh(p.consumption.as_ref()?.energy_wh))
        .only_home_assistant(),
    phase("grid_import_energy", "imported", Quantity::Total, |p| kwh(p.grid.as_ref()?.import_wh))
        .only_home_assistant(),
    phase("grid_export_energy", "exported", Quantity::Total, |p| kwh(p.grid.as_ref()?.export_wh))
        .only_home_assistant(),
    phase("storage_charge_energy", "charged", Quantity::Total, |p| kwh(p.storage.as_ref()?.charged_wh))
        .only_home_assistant(),
    phase("storage_discharge_energy", "discharged", Quantity::Total, |p| {
        kwh(p.storage.as_ref()?.discharged_wh)
    })
    .only_home_assistant(),
];

/// The values of a dry contact; their names follow that of the contact.
pub(super) const CONTACT: [Row<DryContact>; 1] =
    [contact("contact", "contact", Quantity::Choice(POSITIONS), |c| choice(c.state.as_ref(), POSITIONS))
        .only_home_assistant()
        .icon("mdi:electric-switch")];

const fn site(
    id: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&Reading) -> Option<Value>,
) -> Row<Reading> {
    row(id, name, quantity, value)
}

const fn contact(
    id: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&DryContact) -> Option<Value>,
) -> Row<DryContact> {
    row(id, name, quantity, value)
}

const fn phase(
    id: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&Phase) -> Option<Value>,
) -> Row<Phase> {
    row(id, name, quantity, value).enabled(Enabled::WithDetails)
}

/// Returns the meter with the mains values, which are the same at all meters of a phase.
fn meter(phase: &Phase) -> Option<&PhaseValues> {
    phase.grid.as_ref().or(phase.production.as_ref()).or(phase.consumption.as_ref())
}

fn forward(power: Option<Watts>) -> Option<Value> {
    watts(power.map(Watts::positive))
}

fn backward(power: Option<Watts>) -> Option<Value> {
    watts(power.map(|power| (-power).positive()))
}

fn grid(reading: &Reading, energy: fn(&Grid) -> Option<WattHours>) -> bool {
    reading.grid.as_ref().and_then(energy).is_some()
}

fn storage(reading: &Reading, energy: fn(&Storage) -> Option<WattHours>) -> bool {
    reading.storage.as_ref().and_then(energy).is_some()
}

/// Returns whether the house has a battery. Gateways return the settings of storage without one too.
fn has_battery(reading: &Reading) -> bool {
    reading.storage.is_some() || !reading.batteries.is_empty()
}

fn needs_token(reading: &Reading) -> bool {
    reading.gateway.firmware.parse().is_ok_and(Firmware::needs_token)
}
