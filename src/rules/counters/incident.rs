//! The incidents of a guarded total, in words.

use std::fmt;

use crate::base::reading::Source;

/// The advice for a published total that was never right.
const RESET_ADVICE: &str =
    "If the published total is wrong, `enphased gateway reset-totals` starts again from the gateway's";

/// An incident of a total.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Incident {
    /// Nothing is published because the total is zero.
    Zero,
    /// Nothing is published because the change is implausible.
    Held {
        /// The previous total.
        from: f64,
        /// The new total.
        to: f64,
        /// The source of the new total.
        source: Option<Source>,
    },
    /// The total decreased slightly; the published total stays until it has caught up.
    SteppedBack {
        /// The decrease in Wh.
        by: f64,
    },
    /// The total wrapped at 2^32 J.
    Wrapped,
    /// A lower total was accepted, and continues from the published one.
    Rebased {
        /// The base that is added from now on.
        base: f64,
        /// The source of the total.
        source: Option<Source>,
    },
    /// An implausible change was accepted because it has lasted.
    Accepted {
        /// The change in Wh.
        step: f64,
    },
    /// The old total has returned.
    Returned,
    /// The first total is more than the site can have produced.
    Doubted {
        /// The gateway's total.
        raw: f64,
        /// The largest possible total.
        most: f64,
    },
    /// The operator has reset the total.
    Reset {
        /// The total published before, if there was one.
        from: Option<f64>,
        /// The total published now.
        to: f64,
    },
}

impl Incident {
    /// Returns a stable identifier for programs.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Zero | Self::Held { .. } | Self::SteppedBack { .. } | Self::Doubted { .. } => {
                "counter_held"
            }
            Self::Reset { .. } => "counter_reset",
            Self::Wrapped => "counter_wrapped",
            Self::Rebased { .. } => "counter_rebased",
            Self::Accepted { .. } => "counter_accepted",
            Self::Returned => "counter_returned",
        }
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => {
                write!(
                    f,
                    "the gateway shows 0, as after a restart; nothing is published until the total is back"
                )
            }
            Self::Held { from, to, source } => {
                let source = source_name(*source);
                write!(
                    f,
                    "implausible change from {from:.0} to {to:.0} Wh ({source}); nothing is published until the total is \
                     back or the new one has lasted for half an hour"
                )
            }
            Self::SteppedBack { by } => {
                write!(
                    f,
                    "a decrease by {by:.0} Wh; the published total stays until the gateway's has caught up"
                )
            }
            Self::Wrapped => write!(f, "wrapped at 2^32 J; the published total continues"),
            Self::Rebased { base, source } => {
                write!(
                    f,
                    "the new total of {} has lasted; it continues with {base:.0} Wh added, so that the published total \
                     never decreases. {RESET_ADVICE}",
                    source_name(*source)
                )
            }
            Self::Accepted { step } => {
                write!(f, "a change by {step:.0} Wh has lasted and is accepted. {RESET_ADVICE}")
            }
            Self::Returned => write!(f, "the total is back"),
            Self::Doubted { raw, most } => write!(
                f,
                "the gateway's first total, {raw:.0} Wh, is more than its inverters can have produced in 30 years \
                 ({most:.0} Wh); nothing is published until it has lasted for half an hour"
            ),
            Self::Reset { from: Some(from), to } => {
                write!(f, "reset by the operator from {from:.0} to {to:.0} Wh")
            }
            Self::Reset { from: None, to } => write!(f, "reset by the operator to {to:.0} Wh"),
        }
    }
}

/// Returns the name of a source in messages.
fn source_name(source: Option<Source>) -> &'static str {
    match source {
        Some(Source::Meter) => "the meter",
        Some(Source::Inverters) => "the inverters",
        None => "the gateway",
    }
}
