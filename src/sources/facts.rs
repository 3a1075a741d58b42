//! What the sources are told of a gateway and its operator, and what they tell.

use jiff::Timestamp;

use super::oddities::Firmware;
use crate::reading::{Reading, Serial};

/// What `/info` says of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its serial number.
    pub serial: Serial,
    /// Its firmware, for comparing.
    pub firmware: Firmware,
    /// Its firmware, for showing: without the leading letter.
    pub firmware_name: String,
    /// Its part number.
    pub part_number: Option<String>,
    /// `imeter`: whether the model has meters, wired or not; unknown before firmware 4.
    pub metered_model: Option<bool>,
    /// Its clock.
    pub time: Option<Timestamp>,
}

/// What the operator may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Ask for live values, whose stream the caller keeps enabled; for batteries without a storage meter.
    pub live_data: bool,
}

/// What a cycle yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Cycle {
    /// A reading.
    Reading(Box<Reading>),
    /// Nothing was due, or only a page that failed before: what was read last still holds.
    NotDue,
    /// Pages were asked for, and what was wanted did not come.
    Nothing,
}

/// Something that was found out, told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A stable word for programs.
    pub kind: &'static str,
    /// A sentence for people.
    pub message: String,
}
