//! What a simulated world is made of, and how it stands at one moment.

use jiff::{SignedDuration, Timestamp};

use crate::base::units::{Percent, WattHours, Watts};

/// What stands on the roof and in the cellar.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Chooses clouds and habits.
    pub seed: u64,
    /// How many inverters there are.
    pub inverters: usize,
    /// What one inverter gives in full sun.
    pub inverter_peak: Watts,
    /// How far the sun is ahead of UTC: the sun rises at 6:00 UTC minus this.
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
    /// What it can hold.
    pub capacity: WattHours,
    /// How fast it charges and discharges.
    pub power: Watts,
}

/// What the meters have counted since they were mounted. Never goes backward.
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

/// What one inverter last said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InverterReport {
    /// When: up to five minutes ago, at night since sunset.
    pub reported_at: Timestamp,
    /// Its power then.
    pub power: Watts,
    /// What it has given in its life.
    pub energy: WattHours,
    /// What it has given since midnight.
    pub today: WattHours,
}

/// The world at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When.
    pub time: Timestamp,
    /// Positive when the sun shines.
    pub production: Watts,
    /// What the house takes, never negative.
    pub consumption: Watts,
    /// Positive when importing.
    pub grid: Watts,
    /// Positive when discharging.
    pub storage: Watts,
    /// The meters.
    pub energies: Energies,
    /// Production since the sun's midnight.
    pub produced_today: WattHours,
    /// Consumption since the sun's midnight.
    pub consumed_today: WattHours,
    /// The battery's charge, 0 to 100.
    pub soc: Option<Percent>,
    /// One for each inverter.
    pub inverters: Vec<InverterReport>,
}

impl Snapshot {
    /// The same instant as a gateway tells it that has just booted and has heard of nobody.
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
