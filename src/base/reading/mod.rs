//! The reading of a gateway by one poll, from which all outputs are made.
//!
//! Values that a gateway does not measure are absent, never 0. Signs: production is positive when generating, grid when
//! importing, storage when discharging. The names of the fields are those in the JSON document. They never change, but
//! fields may be added.

mod counter;
mod devices;
mod groups;
mod serial;

use jiff::Timestamp;
use serde::Serialize;

pub use counter::Counter;
pub use devices::{Battery, Condition, DryContact, Generator, GridConnection, Inverter, Tariff};
pub use groups::{Consumption, Grid, Phase, PhaseValues, Production, Source, Storage};
pub use serial::{NotASerial, Serial};

/// A reading of one gateway.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Reading {
    /// The version of the document format, 1.
    pub schema: u8,
    /// The time of the poll, by our clock.
    pub time: Timestamp,
    pub gateway: GatewayFacts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<Production>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumption: Option<Consumption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// The sums over all batteries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// The metered phases, in the order L1, L2, L3.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// The inverters, sorted by serial number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inverters: Vec<Inverter>,
    /// The batteries, sorted by serial number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batteries: Vec<Battery>,
    /// The switch between the house and the grid (system controller or meter collar).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid_connection: Option<GridConnection>,
    /// The dry contacts of the system controller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dry_contacts: Vec<DryContact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// The storage settings of the tariff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Tariff>,
}

impl Reading {
    /// Creates a reading without measured values.
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

/// The identity of a gateway in a reading.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct GatewayFacts {
    pub serial: Serial,
    /// The name in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The firmware version without the leading letter, e.g. `8.3.5289`.
    pub firmware: String,
    /// The part number, e.g. `800-00555-r03`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_number: Option<String>,
    /// The gateway has active meters for production or consumption.
    pub metered: bool,
}

/// An event to report in addition to the readings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The time, by our clock.
    pub time: Timestamp,
    /// A stable identifier for programs, e.g. `firmware_changed`.
    pub kind: &'static str,
    /// A message for people.
    pub message: String,
}

impl Event {
    /// The kind of an event about a problem that has begun.
    pub const PROBLEM_BEGUN: &str = "problem_begun";
    /// The kind of an event about a problem that has ended.
    pub const PROBLEM_ENDED: &str = "problem_ended";

    /// Returns `true` if the event reports the end of a problem.
    pub fn is_an_end(&self) -> bool {
        matches!(self.kind, "counter_returned" | "production_meter_sees" | Self::PROBLEM_ENDED)
    }
}
