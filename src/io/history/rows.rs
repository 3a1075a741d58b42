//! The rows of the history: 5-minute samples, and the energy that each counter has counted on a day.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::reading::{Counter, Serial};
use crate::base::units::{Percent, WattHours, Watts};

/// The length of a slot in seconds.
pub const SLOT_S: i64 = 300;

/// The part of a site that a counter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Site,
    Phase,
    Inverter,
}

impl Kind {
    /// Returns the name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Phase => "phase",
            Self::Inverter => "inverter",
        }
    }

    /// Finds a kind by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Site, Self::Phase, Self::Inverter].into_iter().find(|kind| kind.name() == name)
    }
}

/// The identity of a counter of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The part of the site.
    pub kind: Kind,
    /// `L1` to `L3`, or the serial number of the inverter; empty for the site.
    pub device: Box<str>,
    /// The energy that is counted.
    pub quantity: Counter,
}

impl Series {
    /// Creates the identity of a counter of the site.
    pub fn site(quantity: Counter) -> Self {
        Self { kind: Kind::Site, device: Box::default(), quantity }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind.name(), self.device, self.quantity.name())
    }
}

/// Mean power and energy of one slot. A value that was not measured, or not for nearly all of `seconds`, is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The beginning of the slot.
    pub start: Timestamp,
    /// The part of the slot that was measured: 300, and less in the first and the last slot of a run and around a gap.
    pub seconds: u16,
    /// Mean power: production, consumption, grid, storage, with the signs of a reading.
    pub power: [Option<Watts>; 4],
    /// Energy, in the order of [`Counter::ALL`].
    pub energy: [Option<WattHours>; 6],
    /// The last state of charge in the slot.
    pub soc: Option<Percent>,
    /// The energies of the batteries are estimated.
    pub estimated: bool,
}

/// A lifetime total, as it was when the history counted it last.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The counter.
    pub series: Series,
    /// The total.
    pub total: WattHours,
    /// The time of the reading.
    pub at: Timestamp,
}

/// The growth of a counter on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// The local date.
    pub date: Date,
    /// The energy.
    pub energy: WattHours,
    /// The beginning of the time that it covers: local midnight, or the last reading before a gap, or the first of all.
    pub since: Timestamp,
    /// The end of the time that it covers.
    pub until: Timestamp,
    /// The total is estimated by the daemon, because the gateway does not count it.
    pub estimated: bool,
}

/// The step of a counter since it was written last.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The total that is on disk; `None` if the counter is not there.
    pub from: Option<WattHours>,
    /// The total up to which `growth` goes.
    pub to: Counted,
    /// The energies to add to the days.
    pub growth: Vec<Growth>,
}

/// A stored day of a counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
    /// The counter.
    pub series: Series,
    /// The energy and the time that it covers.
    pub growth: Growth,
}

/// A counter of a gateway's site, before a range of dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The gateway.
    pub gateway: Serial,
    /// The energy that is counted.
    pub quantity: Counter,
    /// The time of its newest record.
    pub counted_at: Timestamp,
    /// The last date before the range, and the end of the time that it covers; `None` if it was not counted before.
    pub before: Option<(Date, Timestamp)>,
}

/// A counter, and its energy on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct CountedOn {
    /// The counter, up to which its days are counted.
    pub counted: Counted,
    /// The energy of the day; `None` if nothing was counted on it.
    pub energy: Option<WattHours>,
}

/// Everything of one gateway to be written in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The gateway.
    pub gateway: Serial,
    /// The slots that are over.
    pub samples: Vec<Sample>,
    /// The steps of the counters.
    pub steps: Vec<Step>,
    /// Samples before this time are deleted.
    pub keep_from: Option<Timestamp>,
}

impl Batch {
    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.steps.is_empty()
    }
}
