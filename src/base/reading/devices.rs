//! What is measured of single devices: inverters, batteries, and what surrounds them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Serial;
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};

/// One microinverter, as of its own last report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inverter {
    /// Its serial number.
    pub serial: Serial,
    /// At its last report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// The most it ever reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_power_w: Option<Watts>,
    /// Over its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// On the mains side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_v: Option<Volts>,
    /// On the mains side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_a: Option<Amperes>,
    /// Of the mains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<Hertz>,
    /// On the panel's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dc_voltage_v: Option<Volts>,
    /// On the panel's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dc_current_a: Option<Amperes>,
    /// Inside the inverter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
    /// When it reported, by the gateway's clock: 5 to 15 minutes ago by day, hours by night.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// How it did beside its siblings over the sunny hours of the last day that had any; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

impl Inverter {
    /// An inverter of which nothing is known.
    pub fn unmeasured(serial: Serial) -> Self {
        Self {
            serial,
            power_w: None,
            max_power_w: None,
            energy_wh: None,
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

/// How an inverter does, as far as its siblings show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// As the others.
    Good,
    /// It reported nothing while the others did.
    Silent,
    /// It made less than a third of what the others made.
    Weak,
}

/// One battery.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Battery {
    /// Its serial number.
    pub serial: Serial,
    /// `encharge` (IQ Battery) or `acb` (AC Battery).
    pub kind: String,
    /// State of charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<Percent>,
    /// Positive when discharging.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// Inside the battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
    /// What it holds when full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_wh: Option<WattHours>,
    /// When it reported, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
}

impl Battery {
    /// A battery of which nothing is known.
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
    /// `closed` when the house is on the grid, else `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The mode in the gateway's own word, e.g. `multimode-ongrid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What is asked of the switch, in the gateway's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// Of the system controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Celsius>,
    /// Serial of the system controller or the collar.
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
    /// What the owner calls the load behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Generator {
    /// The gateway's word for what it does, e.g. `on` or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The gateway's word for how it is controlled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// It is started below this state of charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_soc_percent: Option<Percent>,
    /// It is stopped above this state of charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_soc_percent: Option<Percent>,
}

/// The storage settings of the tariff.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tariff {
    /// The storage mode in the gateway's own word, e.g. `self-consumption`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What is kept back for a power cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_percent: Option<Percent>,
    /// Whether the batteries may be charged from the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge_from_grid: Option<bool>,
}
