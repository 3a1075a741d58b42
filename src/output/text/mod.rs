//! A reading for people: a table, a line for each poll, and a few words for `systemctl status`.

mod amounts;
mod line;
mod paint;
mod table;
mod totals;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use crate::output::text::line::{line, status};
pub use crate::output::text::table::table;

use crate::base::reading::Reading;

/// Values older than this, against the newest of the gateway's own stamps, are shown with their age.
const OLD: SignedDuration = SignedDuration::from_mins(5);

/// How a table is to look.
#[derive(Clone, Debug)]
pub struct Style {
    /// Columns of the terminal; 80 is enough for everything but inverters side by side.
    pub width: usize,
    /// Whether the terminal shows colours.
    pub colour: bool,
    /// The time now, by our clock.
    pub now: Timestamp,
    /// Where the times are shown.
    pub zone: TimeZone,
}

/// The newest stamp among the gateway's answers: what its own clock said, against which ages are judged,
/// since it may be years from ours.
fn newest_stamp(reading: &Reading) -> Option<Timestamp> {
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
