//! The values of meters in one place: the whole site or one phase.

use jiff::Timestamp;

use crate::base::reading::PhaseValues;
use crate::base::units::{Amperes, Hertz, PowerFactor, Volts, WattHours, Watts};
use crate::io::gateway::wire::readings::MeterReading;

/// The minimum voltage of a connected phase. The lowest mains voltage is 100 V (Japan), and devices disconnect at half of
/// that; an open input shows up to 11 V in the recordings.
const MAINS_V: f64 = 50.0;

/// The combined values of the meters of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) power: Option<Watts>,
    pub(super) delivered: Option<WattHours>,
    pub(super) received: Option<WattHours>,
    pub(super) voltage: Option<Volts>,
    pub(super) current: Option<Amperes>,
    pub(super) frequency: Option<Hertz>,
    pub(super) power_factor: Option<PowerFactor>,
    pub(super) at: Option<Timestamp>,
}

impl Flow {
    pub(super) fn of(row: &MeterReading) -> Self {
        Self {
            power: row.power,
            delivered: row.delivered,
            received: row.received,
            voltage: row.voltage,
            current: row.current,
            frequency: row.frequency,
            power_factor: row.power_factor,
            at: row.timestamp,
        }
    }

    /// Combines two meters of one kind.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            power: Watts::total([self.power, other.power]),
            delivered: WattHours::total([self.delivered, other.delivered]),
            received: WattHours::total([self.received, other.received]),
            current: Amperes::total([self.current, other.current]),
            power_factor: None,
            at: self.at.min(other.at),
            ..self
        }
    }

    pub(super) fn electrical(self) -> PhaseValues {
        PhaseValues {
            power_w: self.power,
            voltage_v: self.voltage,
            current_a: self.current,
            frequency_hz: self.frequency,
            power_factor: self.power_factor,
            ..PhaseValues::default()
        }
    }
}

/// The state of the meters of one kind in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum MeterState {
    /// There is no such meter.
    #[default]
    Absent,
    /// A meter has no reading, or its phase is not connected.
    Unread,
    /// All meters have readings.
    Read(Flow),
}

impl MeterState {
    pub(super) fn flow(self) -> Option<Flow> {
        match self {
            Self::Read(flow) => Some(flow),
            Self::Absent | Self::Unread => None,
        }
    }

    /// Returns the contribution to a sum of power.
    pub(super) fn power(self) -> Option<Watts> {
        match self {
            Self::Absent => Some(Watts::ZERO),
            Self::Unread => None,
            Self::Read(flow) => flow.power,
        }
    }

    /// Returns the contributions to a sum of lifetime energy: delivered, and received as a negative value.
    pub(super) fn energy(self) -> [Option<WattHours>; 2] {
        match self {
            Self::Absent => [Some(WattHours::ZERO); 2],
            Self::Unread => [None; 2],
            Self::Read(flow) => [flow.delivered, flow.received.map(|energy| -energy)],
        }
    }
}

/// Returns `true` if a phase of `voltage` is connected, or the voltage is unknown.
pub(super) fn has_mains(voltage: Option<Volts>) -> bool {
    voltage.is_none_or(|voltage| voltage.value() >= MAINS_V)
}
