//! The options and results of a cycle of [`super::Sources`].

use crate::base::reading::Reading;

/// The configured options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Requests live values for batteries without a storage meter. The caller has to keep their stream enabled.
    pub live_data: bool,
    /// How many times as fast as tokio's time the gateway's clock runs: 1, and more in the demo.
    pub clock_speed: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { live_data: false, clock_speed: 1 }
    }
}

/// The result of a cycle.
#[derive(Clone, Debug, PartialEq)]
pub enum Cycle {
    /// The cycle yielded a reading.
    Reading(Box<Reading>),
    /// No page was due, or only one that failed before: the last reading is still valid.
    NotDue,
    /// The gateway did not respond, or refused everything. The error of the first request explains it.
    Nothing,
    /// The gateway responds, but no page yields production.
    NoProduction {
        /// The pages that could yield production, each with its reason.
        why: String,
        /// The other measured values, if there are any.
        rest: Option<Box<Reading>>,
    },
}

/// The importance of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A problem begins.
    Warn,
    /// A problem has ended, or something was detected.
    Info,
}

/// A change of the gateway's state, reported once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The importance.
    pub level: Level,
    /// A stable identifier for programs.
    pub kind: &'static str,
    /// A message for people.
    pub message: String,
}
