//! The entities of inverters and batteries. Their names have room for seven characters beside `Inv 122219082033`.

use serde_json::Value;

use super::about::{Enabled, Row, amperes, celsius, hertz, kwh, percent, row, time, volts, watts};
use super::quantity::Quantity;
use crate::base::reading::{Battery, Condition, Inverter};

/// The conditions of an inverter.
const CONDITIONS: &[&str] = &["good", "weak", "silent"];

/// The values of an inverter.
pub(super) const INVERTER: [Row<Inverter>; 11] = [
    inverter("power", "Power", Quantity::Power, |i| watts(i.power_w))
        .anyway(|i: &Inverter| i.energy_wh.is_some()),
    inverter("energy", "Energy", Quantity::Counter, |i| kwh(i.energy_wh)),
    inverter("condition", "Health", Quantity::Choice(CONDITIONS), |i| {
        let word = match i.condition? {
            Condition::Good => "good",
            Condition::Weak => "weak",
            Condition::Silent => "silent",
        };
        Some(word.into())
    })
    .diagnostic()
    .only_home_assistant()
    .icon("mdi:solar-panel"),
    detail(inverter("voltage", "Voltage", Quantity::Voltage, |i| volts(i.voltage_v))),
    detail(inverter("dc_voltage", "DC volt", Quantity::Voltage, |i| volts(i.dc_voltage_v))),
    detail(inverter("temperature", "Temp", Quantity::Temperature, |i| celsius(i.temperature_c))),
    detail(inverter("current", "Current", Quantity::Current, |i| amperes(i.current_a))).only_home_assistant(),
    detail(inverter("dc_current", "DC amp", Quantity::Current, |i| amperes(i.dc_current_a)))
        .only_home_assistant(),
    detail(inverter("frequency", "Freq", Quantity::Frequency, |i| hertz(i.frequency_hz)))
        .only_home_assistant(),
    detail(inverter("max_power", "Maximum", Quantity::Power, |i| watts(i.max_power_w))).only_home_assistant(),
    detail(inverter("reported_at", "Updated", Quantity::Time, |i| time(i.reported_at))).only_home_assistant(),
];

/// The values of a battery.
pub(super) const BATTERY: [Row<Battery>; 4] = [
    battery("power", "Power", Quantity::Power, |b| watts(b.power_w)),
    battery("soc", "Charge", Quantity::Charge, |b| percent(b.soc_percent)),
    battery("temperature", "Temp", Quantity::Temperature, |b| celsius(b.temperature_c)).diagnostic(),
    battery("reported_at", "Updated", Quantity::Time, |b| time(b.reported_at))
        .diagnostic()
        .only_home_assistant(),
];

const fn inverter(
    id: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&Inverter) -> Option<Value>,
) -> Row<Inverter> {
    row(id, name, quantity, value)
}

const fn battery(
    id: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&Battery) -> Option<Value>,
) -> Row<Battery> {
    row(id, name, quantity, value)
}

const fn detail(row: Row<Inverter>) -> Row<Inverter> {
    row.diagnostic().enabled(Enabled::WithDetails)
}
