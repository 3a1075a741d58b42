//! The lifetime totals of a site.

use serde::{Deserialize, Serialize};

use super::Reading;
use crate::base::units::WattHours;

/// A lifetime total of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// The energy produced.
    Production,
    /// The energy used by the house.
    Consumption,
    /// The energy imported from the grid.
    Import,
    /// The energy exported to the grid.
    Export,
    /// The energy charged into the batteries.
    Charged,
    /// The energy discharged from the batteries.
    Discharged,
}

impl Counter {
    /// All counters, in the order of the columns of the history.
    pub const ALL: [Self; 6] =
        [Self::Production, Self::Consumption, Self::Import, Self::Export, Self::Charged, Self::Discharged];

    /// Returns the name in files and outputs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Consumption => "consumption",
            Self::Import => "import",
            Self::Export => "export",
            Self::Charged => "charged",
            Self::Discharged => "discharged",
        }
    }

    /// Finds a counter by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counter| counter.name() == name)
    }

    /// Returns the words for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Consumption => "consumption",
            Self::Import => "import",
            Self::Export => "export",
            Self::Charged => "battery charge",
            Self::Discharged => "battery discharge",
        }
    }

    /// Returns the field of the counter in `reading`, if its group is present.
    pub fn of(self, reading: &mut Reading) -> Option<&mut Option<WattHours>> {
        match self {
            Self::Production => reading.production.as_mut().map(|production| &mut production.energy_wh),
            Self::Consumption => reading.consumption.as_mut().map(|house| &mut house.energy_wh),
            Self::Import => reading.grid.as_mut().map(|grid| &mut grid.import_wh),
            Self::Export => reading.grid.as_mut().map(|grid| &mut grid.export_wh),
            Self::Charged => reading.storage.as_mut().map(|storage| &mut storage.charged_wh),
            Self::Discharged => reading.storage.as_mut().map(|storage| &mut storage.discharged_wh),
        }
    }
}
