//! What one poll of a gateway yields: the document that every output is made from.
//!
//! What a gateway does not measure is absent, never 0. Signs: production is positive when generating, grid
//! when importing, storage when discharging. The names of the fields are the names in the JSON document;
//! they are kept for ever, more may be added.

mod devices;
mod groups;
mod serial;

use jiff::Timestamp;
use serde::Serialize;

pub use devices::{Battery, Condition, DryContact, Generator, GridConnection, Inverter, Tariff};
pub use groups::{Consumption, Grid, Phase, PhaseValues, Production, Source, Storage};
pub use serial::{NotASerial, Serial};

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

impl Event {
    /// Whether it says that a problem is over.
    pub fn is_an_end(&self) -> bool {
        matches!(self.kind, "counter_returned" | "production_meter_sees")
    }
}
