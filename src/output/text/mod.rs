//! Formats readings for people: as a table, as a line for each poll, and for `systemctl status`.

pub(in crate::output) mod amounts;
mod line;
mod paint;
mod table;
mod totals;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub(in crate::output) use crate::output::text::line::{battery_word, grid_word};
pub use crate::output::text::line::{line, status};
pub use crate::output::text::table::table;

use crate::base::reading::Reading;

/// The age, relative to the newest timestamp of the gateway, from which a value is shown with its age.
pub(in crate::output) const OLD: SignedDuration = SignedDuration::from_mins(5);

/// The style of a table.
#[derive(Clone, Debug)]
pub struct Style {
    /// The width of the terminal; at least 80 columns are assumed.
    pub width: usize,
    /// The terminal supports colours.
    pub colour: bool,
    /// The current time, by our clock.
    pub now: Timestamp,
    /// The time zone of the times in the table.
    pub zone: TimeZone,
}

/// Returns the newest timestamp of the gateway. Ages are relative to it, because its clock may be years off ours.
pub(in crate::output) fn newest_stamp(reading: &Reading) -> Option<Timestamp> {
    let groups = [
        reading.production.as_ref().and_then(|group| group.measured_at),
        reading.consumption.as_ref().and_then(|group| group.measured_at),
        reading.grid.as_ref().and_then(|group| group.measured_at),
        reading.storage.as_ref().and_then(|group| group.measured_at),
    ];
    let inverters = reading.inverters.iter().map(|inverter| inverter.reported_at);
    let batteries = reading.batteries.iter().map(|battery| battery.reported_at);
    groups.into_iter().chain(inverters).chain(batteries).flatten().max()
}
