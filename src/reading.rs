//! What one poll of a gateway yields: the document that every output is made from.
//!
//! What a gateway does not measure is absent, never 0. Signs: production is positive when generating, grid
//! when importing, storage when discharging. The names of the fields are the names in the JSON document;
//! they are kept for ever, more may be added.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::units::{Amperes, Celsius, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

/// The serial number of a gateway, an inverter or a battery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Serial(Arc<str>);

impl Serial {
    /// Takes the digits (and rarely letters) as the device prints them.
    pub fn new(serial: &str) -> Self {
        Self(serial.into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One reading of one gateway.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// The version of this document's form: 1.
    pub schema: u8,
    /// When the poll was made, by our clock.
    pub time: Timestamp,
    /// Whose reading it is.
    pub gateway: GatewayFacts,
    /// What the sun gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<Production>,
    /// What the house uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumption: Option<Consumption>,
    /// What goes through the connection to the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// The batteries together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Each phase that the meters watch, in the order L1, L2, L3.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Each inverter, sorted by serial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inverters: Vec<Inverter>,
    /// Each battery, sorted by serial.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batteries: Vec<Battery>,
    /// The switch between the house and the grid (system controller or meter collar).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid_connection: Option<GridConnection>,
    /// The dry contacts of the system controller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_contacts: Vec<DryContact>,
    /// The generator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// The storage settings of the tariff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Tariff>,
}

impl Reading {
    /// A reading in which nothing is measured yet.
    pub fn empty(time: Timestamp, gateway: GatewayFacts) -> Self {
        Self {
            schema: 1,
            time,
            gateway,
            production: None,
            consumption: None,
            grid: None,
            storage: None,
            phases: Vec::new(),
            inverters: Vec::new(),
            batteries: Vec::new(),
            grid_connection: None,
            dry_contacts: Vec::new(),
            generator: None,
            tariff: None,
        }
    }
}

/// What a gateway says of itself at `/info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayFacts {
    /// Its serial number, 12 digits.
    pub serial: Serial,
    /// Its firmware without the leading letter, e.g. `8.3.5289`.
    pub firmware: String,
    /// Its part number, e.g. `800-00555-r03`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_number: Option<String>,
    /// Whether it has current transformers for production or consumption that measure.
    pub metered: bool,
}

/// Where the production comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A production meter (revenue grade or current transformers).
    Meter,
    /// The sum of what the inverters report, every 5 to 15 minutes.
    Inverters,
}

/// What the sun gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Production {
    /// Now; a few watts negative at night.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// Over the life of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// Since local midnight, from our own record of the lifetime counter; of firmware 3 before 3.9 as the gateway
    /// counts it, because its total comes in steps of up to `1 MWh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub today_wh: Option<WattHours>,
    /// The whole local day before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yesterday_wh: Option<WattHours>,
    /// What measured it.
    pub source: Source,
    /// When it was measured, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// What the house uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Consumption {
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// Over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// Since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub today_wh: Option<WattHours>,
    /// The whole local day before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yesterday_wh: Option<WattHours>,
    /// When it was measured, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// What goes through the connection to the grid.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Grid {
    /// Now; positive when importing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// Bought over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_wh: Option<WattHours>,
    /// Fed in over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_wh: Option<WattHours>,
    /// Bought since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_today_wh: Option<WattHours>,
    /// Fed in since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_today_wh: Option<WattHours>,
    /// When it was measured, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// The batteries together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Storage {
    /// Now; positive when discharging.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// State of charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<Percent>,
    /// Put in over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_wh: Option<WattHours>,
    /// Taken out over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discharged_wh: Option<WattHours>,
    /// What they hold when full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_wh: Option<WattHours>,
    /// What they hold now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_wh: Option<WattHours>,
    /// When it was measured, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// What the meters say of one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Phase {
    /// `L1`, `L2` or `L3`.
    pub phase: String,
    /// The production meter on this phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<PhaseValues>,
    /// The grid meter on this phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<PhaseValues>,
    /// The house on this phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumption: Option<PhaseValues>,
    /// The batteries on this phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<PhaseValues>,
}

/// What one meter says of one phase. Of the energies only those of its kind are there.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PhaseValues {
    /// Active power, with the sign of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// Generated or used over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// Bought over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_wh: Option<WattHours>,
    /// Fed in over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_wh: Option<WattHours>,
    /// Put into the batteries over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_wh: Option<WattHours>,
    /// Taken out of the batteries over the life of the meter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discharged_wh: Option<WattHours>,
    /// Between the phase and neutral.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_v: Option<Volts>,
    /// Through the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_a: Option<Amperes>,
    /// Of the mains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<Hertz>,
    /// Active over apparent power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_factor: Option<PowerFactor>,
}

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

/// Something worth telling that is not a reading.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When, by our clock.
    pub time: Timestamp,
    /// A stable word for programs, e.g. `firmware_changed`.
    pub kind: &'static str,
    /// A sentence for people.
    pub message: String,
}
