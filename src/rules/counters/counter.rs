//! The lifetime totals of a site.

use serde::{Deserialize, Serialize};

use crate::base::reading::Reading;
use crate::base::units::WattHours;

/// A lifetime total of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// What the sun gave.
    Production,
    /// What the house used.
    Consumption,
    /// What was bought.
    Import,
    /// What was fed in.
    Export,
    /// What the batteries took.
    Charged,
    /// What the batteries gave.
    Discharged,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Production, Self::Consumption, Self::Import, Self::Export, Self::Charged, Self::Discharged];

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Consumption => "consumption",
            Self::Import => "import",
            Self::Export => "export",
            Self::Charged => "battery charge",
            Self::Discharged => "battery discharge",
        }
    }

    /// Its place in a reading, if its group is there.
    pub fn of(self, reading: &mut Reading) -> Option<&mut Option<WattHours>> {
        match self {
            Self::Production => reading.production.as_mut().map(|it| &mut it.energy_wh),
            Self::Consumption => reading.consumption.as_mut().map(|it| &mut it.energy_wh),
            Self::Import => reading.grid.as_mut().map(|it| &mut it.import_wh),
            Self::Export => reading.grid.as_mut().map(|it| &mut it.export_wh),
            Self::Charged => reading.storage.as_mut().map(|it| &mut it.charged_wh),
            Self::Discharged => reading.storage.as_mut().map(|it| &mut it.discharged_wh),
        }
    }
}
