//! Values of the whole site: production, consumption, grid, storage, and their phases.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::units::{Amperes, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

/// The device that measures production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A production meter (revenue grade or current transformers).
    Meter,
    /// The sum of the inverters' reports, every 5 to 15 minutes.
    Inverters,
}

/// The production of the panels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Production {
    /// The current power; a few watts negative at night.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// The lifetime total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// The energy since local midnight, derived from the lifetime total. On firmware 3 before 3.9 it is the gateway's own
    /// value, because the total has steps of up to `1 MWh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub today_wh: Option<WattHours>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yesterday_wh: Option<WattHours>,
    pub source: Source,
    /// The time of the measurement, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// The consumption of the house.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Consumption {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// The lifetime total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// The energy since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub today_wh: Option<WattHours>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yesterday_wh: Option<WattHours>,
    /// The time of the measurement, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// The connection to the grid.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Grid {
    /// The current power, positive when importing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// The lifetime total of imported energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_wh: Option<WattHours>,
    /// The lifetime total of exported energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_wh: Option<WattHours>,
    /// The energy imported since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_today_wh: Option<WattHours>,
    /// The energy exported since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_today_wh: Option<WattHours>,
    /// The time of the measurement, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// The sums over all batteries.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Storage {
    /// The current power, positive when discharging.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// The state of charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<Percent>,
    /// The lifetime total of charged energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_wh: Option<WattHours>,
    /// The lifetime total of discharged energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discharged_wh: Option<WattHours>,
    /// The energy charged since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_today_wh: Option<WattHours>,
    /// The energy discharged since local midnight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discharged_today_wh: Option<WattHours>,
    /// `true` if the energies are estimated from the power of the batteries, because no meter counts them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub energy_estimated: bool,
    /// The energy of the full batteries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_wh: Option<WattHours>,
    /// The energy that is stored now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_wh: Option<WattHours>,
    /// The time of the measurement, by the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<Timestamp>,
}

/// The values of one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Phase {
    /// `L1`, `L2` or `L3`.
    pub phase: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<PhaseValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<PhaseValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumption: Option<PhaseValues>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<PhaseValues>,
}

/// The values of one meter on one phase. Only the energies of its kind are present.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PhaseValues {
    /// The active power, with the sign of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Watts>,
    /// The lifetime total of energy produced or used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<WattHours>,
    /// The lifetime total of imported energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_wh: Option<WattHours>,
    /// The lifetime total of exported energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_wh: Option<WattHours>,
    /// The lifetime total of charged energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charged_wh: Option<WattHours>,
    /// The lifetime total of discharged energy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discharged_wh: Option<WattHours>,
    /// The voltage between the phase and neutral.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage_v: Option<Volts>,
    /// The current through the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_a: Option<Amperes>,
    /// The mains frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_hz: Option<Hertz>,
    /// Active divided by apparent power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_factor: Option<PowerFactor>,
}
