//! What the sources are told of a gateway and its operator, and what they tell.

use crate::base::reading::Reading;

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
    /// The gateway did not answer, or refused everything; the error of its first answer says why.
    Nothing,
    /// The gateway responds, and no page yields production.
    NoProduction {
        /// The pages that could, and why they do not.
        why: String,
        /// What else is measured, if anything is.
        rest: Option<Box<Reading>>,
    },
}

/// How important a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something is wrong.
    Warn,
    /// Something was found out, or is over.
    Info,
}

/// Something that was found out, reported once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How important it is.
    pub level: Level,
    /// A stable word for programs.
    pub kind: &'static str,
    /// A sentence for people.
    pub message: String,
}
