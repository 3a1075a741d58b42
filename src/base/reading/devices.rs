//! Values of single devices: inverters, batteries, the grid connection, dry contacts, the generator.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Serial;
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};

/// A microinverter, as of its last report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Inverter {
    pub serial: Serial,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// The highest power that the inverter has ever reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_power_w: Option<Watts>,
    /// The lifetime total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// `true` if the lifetime total is estimated from the inverter's reports.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub energy_estimated: bool,
    /// The mains voltage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_v: Option<Volts>,
    /// The current on the mains side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_a: Option<Amperes>,
    /// The mains frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<Hertz>,
    /// The voltage of the panel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dc_voltage_v: Option<Volts>,
    /// The current of the panel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dc_current_a: Option<Amperes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
    /// The time of the last report, by the gateway's clock: 5 to 15 minutes ago by day, hours ago at night.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// The result of the comparison with the other inverters on the last sunny day; absent before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

impl Inverter {
    /// Creates an inverter without measured values.
    pub fn unmeasured(serial: Serial) -> Self {
        Self {
            serial,
            power_w: None,
            max_power_w: None,
            energy_wh: None,
            energy_estimated: false,
            voltage_v: None,
            current_a: None,
            frequency_hz: None,
            dc_voltage_v: None,
            dc_current_a: None,
            temperature_c: None,
            reported_at: None,
            condition: None,
        }
    }
}

/// The condition of an inverter, compared with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// The production is similar to that of the others.
    Good,
    /// The inverter reported nothing while the others did.
    Silent,
    /// The production is less than a third of that of the others.
    Weak,
}

/// A battery.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Battery {
    pub serial: Serial,
    /// `encharge` (IQ Battery) or `acb` (AC Battery).
    pub kind: String,
    /// The state of charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<Percent>,
    /// The power, positive when discharging.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_wh: Option<WattHours>,
    /// The time of the last report, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
}

impl Battery {
    /// Creates a battery without measured values.
    pub fn unmeasured(serial: Serial, kind: &str) -> Self {
        Self {
            serial,
            kind: kind.to_owned(),
            soc_percent: None,
            power_w: None,
            temperature_c: None,
            capacity_wh: None,
            reported_at: None,
        }
    }
}

/// The switch between the house and the grid.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GridConnection {
    /// `closed` while the house is connected to the grid, otherwise `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The mode as named by the gateway, e.g. `multimode-ongrid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The requested state of the switch as named by the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The temperature of the system controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
    /// The serial number of the system controller or the collar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
}

/// A dry contact of the system controller.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DryContact {
    /// `NC1`, `NC2`, `NO1` or `NO2`.
    pub id: String,
    /// `open` or `closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The owner's name for the connected load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Generator {
    /// The state as named by the gateway, e.g. `on` or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The mode of control as named by the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The state of charge below which the generator starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_soc_percent: Option<Percent>,
    /// The state of charge above which the generator stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_soc_percent: Option<Percent>,
}

/// The storage settings of the tariff.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tariff {
    /// The storage mode as named by the gateway, e.g. `self-consumption`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The reserve for a power cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_percent: Option<Percent>,
    /// The batteries may be charged from the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge_from_grid: Option<bool>,
}
