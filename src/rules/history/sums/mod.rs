//! The sum of several gateways: true, or absent. A gateway is part of it from its first record on, and to its last one if
//! it is no longer read. What not every gateway knows at some time has no sum then.

mod days;
mod samples;

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::base::reading::Counter;
use crate::io::history::rows::Recorded;

pub use days::{Remarks, SumOfDays};
pub use samples::{Member, SumOfSamples};

/// The time after which a counter is no longer part of its gateway, if the others went on: the battery was removed.
const REMOVED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Returns the last date of `counter`, if it is no longer part of the house: `is_read` says whether its gateway is still
/// read, and `all` lists the other counters.
fn end(counter: &Recorded, all: &[Recorded], is_read: bool, zone: &TimeZone) -> Option<Date> {
    let of_gateway = all.iter().filter(|other| other.gateway == counter.gateway);
    let newest = of_gateway.map(|other| other.counted_at).max().unwrap_or(counter.counted_at);
    let is_removed = !is_read || newest.duration_since(counter.counted_at) > REMOVED;
    is_removed.then(|| counter.counted_at.to_zoned(zone.clone()).date())
}

/// Returns whether a quantity belongs to the whole house: it has a sum only if every gateway measures it. A gateway without
/// panels or batteries adds none of the others.
const fn is_of_house(quantity: Counter) -> bool {
    matches!(quantity, Counter::Consumption | Counter::Import | Counter::Export)
}
