//! The heading of a list of rows, and the form of its times.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::base::reading::Serial;
use crate::io::history::rows::Kind;
use crate::rules::history::periods::{Length, Period};

/// The length of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The samples of 5 minutes.
    FiveMinutes,
    /// Days, months or years.
    Periods(Length),
}

impl Step {
    /// Returns the name in requests and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Periods(Length::Day) => "day",
            Self::Periods(Length::Month) => "month",
            Self::Periods(Length::Year) => "year",
        }
    }
}

/// The description of a list of rows.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Heading {
    pub gateway: Serial,
    pub step: Step,
    pub of: Kind,
    /// The first date.
    pub from: Date,
    /// The last date.
    pub to: Date,
}

/// Returns the name of the parts of a site in requests and in JSON.
pub(super) const fn plural(of: Kind) -> &'static str {
    match of {
        Kind::Site => "site",
        Kind::Phase => "phases",
        Kind::Inverter => "inverters",
    }
}

/// Formats a time with the offset of the zone, as `2026-06-21T10:05:00+02:00`.
pub(super) fn local(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Formats a period, as `2026-06-21`, `2026-06` or `2026`.
pub(super) fn label(period: &Period, length: Length) -> String {
    match length {
        Length::Day => period.start.to_string(),
        Length::Month => period.start.strftime("%Y-%m").to_string(),
        Length::Year => period.start.strftime("%Y").to_string(),
    }
}
