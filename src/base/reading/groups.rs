//! What is measured of the whole: production, consumption, grid, storage, and each phase of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::units::{Amperes, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

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
