//! The options of a simulated house, and its state at one moment.

use jiff::{SignedDuration, Timestamp};

use crate::base::units::{Percent, WattHours, Watts};

/// The options of a simulated house.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// The seed of the weather and the consumption.
    pub seed: u64,
    /// The number of inverters.
    pub inverters: usize,
    /// The power of one inverter in full sun.
    pub inverter_peak: Watts,
    /// The offset of local solar time from UTC: the sun rises at 6:00 UTC minus this.
    pub offset: SignedDuration,
    /// The battery, if there is one.
    pub battery: Option<Battery>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        let inverter_peak = Watts::new(330.0).unwrap_or(Watts::ZERO);
        Self { seed: 1, inverters: 12, inverter_peak, offset: SignedDuration::ZERO, battery: None }
    }
}

/// A battery without losses.
#[derive(Clone, Copy, Debug)]
pub struct Battery {
    /// The usable capacity.
    pub capacity: WattHours,
    /// The maximum power of charging and discharging.
    pub power: Watts,
}

/// The lifetime totals of the meters, which never go backward.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Energies {
    pub production: WattHours,
    pub consumption: WattHours,
    pub import: WattHours,
    pub export: WattHours,
    pub charged: WattHours,
    pub discharged: WattHours,
}

/// The last report of one inverter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverterReport {
    /// The time of the report: up to five minutes ago, at night before sunset.
    pub reported_at: Timestamp,
    /// The power at that time.
    pub power: Watts,
    /// The lifetime production.
    pub energy: WattHours,
    /// The production since midnight.
    pub today: WattHours,
}

/// The state of a house at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The time of the snapshot.
    pub time: Timestamp,
    /// The power of the panels, positive when the sun shines.
    pub production: Watts,
    /// The power that the house consumes, never negative.
    pub consumption: Watts,
    /// The power from the grid, positive when importing.
    pub grid: Watts,
    /// The power of the battery, positive when discharging.
    pub storage: Watts,
    /// The lifetime totals.
    pub energies: Energies,
    /// The production since midnight in local solar time.
    pub produced_today: WattHours,
    /// The consumption since midnight in local solar time.
    pub consumed_today: WattHours,
    /// The state of charge of the battery, 0 to 100.
    pub soc: Option<Percent>,
    /// The last report of each inverter.
    pub inverters: Vec<InverterReport>,
}

impl Snapshot {
    /// Returns the snapshot as a gateway shows it shortly after a restart, when it has no data yet.
    #[must_use]
    pub fn zeroed(self) -> Self {
        let inverters = self.inverters.into_iter().map(|report| InverterReport {
            power: Watts::ZERO,
            energy: WattHours::ZERO,
            today: WattHours::ZERO,
            ..report
        });
        Self {
            production: Watts::ZERO,
            consumption: Watts::ZERO,
            grid: Watts::ZERO,
            storage: Watts::ZERO,
            energies: Energies {
                production: WattHours::ZERO,
                consumption: WattHours::ZERO,
                import: WattHours::ZERO,
                export: WattHours::ZERO,
                charged: WattHours::ZERO,
                discharged: WattHours::ZERO,
            },
            produced_today: WattHours::ZERO,
            consumed_today: WattHours::ZERO,
            inverters: inverters.collect(),
            ..self
        }
    }
}
