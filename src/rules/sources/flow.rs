//! What meters show at one place: the site or one phase.

use jiff::Timestamp;

use crate::base::reading::PhaseValues;
use crate::base::units::{Amperes, Hertz, PowerFactor, Volts, WattHours, Watts};
use crate::io::gateway::wire::readings::MeterReading;

/// A phase with less is not connected. The lowest mains has 100 V (Japan), and everything disconnects at half of that; an
/// open input shows up to 11 V in the recordings.
const MAINS_V: f64 = 50.0;

/// What the meters of one kind show together.
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

    /// Two meters of one kind.
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

/// The meters of one kind at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Metered {
    /// There is none.
    #[default]
    No,
    /// One of them is not read, or its phase is not connected.
    Unread,
    /// They show this.
    Read(Flow),
}

impl Metered {
    pub(super) fn flow(self) -> Option<Flow> {
        match self {
            Self::Read(flow) => Some(flow),
            Self::No | Self::Unread => None,
        }
    }

    /// What it adds to a sum.
    pub(super) fn power(self) -> Option<Watts> {
        match self {
            Self::No => Some(Watts::ZERO),
            Self::Unread => None,
            Self::Read(flow) => flow.power,
        }
    }

    /// What it adds to a sum over its life.
    pub(super) fn energy(self) -> [Option<WattHours>; 2] {
        match self {
            Self::No => [Some(WattHours::ZERO); 2],
            Self::Unread => [None; 2],
            Self::Read(flow) => [flow.delivered, flow.received.map(|energy| -energy)],
        }
    }
}

/// Whether a phase of `voltage` is connected; one that does not tell is.
pub(super) fn has_mains(voltage: Option<Volts>) -> bool {
    voltage.is_none_or(|voltage| voltage.value() >= MAINS_V)
}
