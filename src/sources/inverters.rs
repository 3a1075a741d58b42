//! The inverters, from the detailed page when it is complete, else from the plain one.

use crate::gateway::wire::device_data::{Device, DeviceData};
use crate::gateway::wire::inverters::{InverterReport, Inverters};
use crate::reading::Inverter;

/// Each inverter once, sorted by serial.
pub(super) fn inverters(detailed: Option<&DeviceData>, plain: Option<&Inverters>) -> Vec<Inverter> {
    let mut inverters: Vec<Inverter> = match (detailed, plain) {
        (Some(page), _) if page.complete() => page.inverters.iter().map(of_device).collect(),
        (_, Some(page)) => page.0.iter().filter(|row| row.is_inverter()).filter_map(of_report).collect(),
        _ => Vec::new(),
    };
    inverters.sort_by(|one, other| one.serial.cmp(&other.serial));
    inverters.dedup_by(|one, other| one.serial == other.serial);
    inverters
}

fn of_device(device: &Device) -> Inverter {
    Inverter {
        serial: device.serial.clone(),
        power_w: device.power,
        max_power_w: device.max_power,
        energy_wh: device.energy,
        voltage_v: device.voltage,
        current_a: device.current,
        frequency_hz: device.frequency,
        dc_voltage_v: device.dc_voltage,
        dc_current_a: device.dc_current,
        temperature_c: device.temperature,
        reported_at: device.reported_at,
        condition: None,
    }
}

fn of_report(row: &InverterReport) -> Option<Inverter> {
    Some(Inverter {
        serial: row.serial.clone()?,
        power_w: row.power,
        max_power_w: row.max_power,
        energy_wh: None,
        voltage_v: None,
        current_a: None,
        frequency_hz: None,
        dc_voltage_v: None,
        dc_current_a: None,
        temperature_c: None,
        reported_at: row.reported_at,
        condition: None,
    })
}
