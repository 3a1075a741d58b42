//! Decides if a value is too old, by the gateway's clock: never by the machine's, which may be years off.
//!
//! The gateway's clock is the last time in `/info`, or the newest timestamp on its pages if that is later and plausible.
//! `/info` is requested about once an hour, and its time is not advanced in between. So at night, when nothing else has
//! timestamps, a stalled meter is noticed at the next `/info`. If the time in `/info` is far from every timestamp, their
//! age is unknown (the clock was set in between, or a recording was combined from several), and nothing is dropped. If
//! the timestamps of meters advance but are behind `/info`, the meters have another clock, and are compared among
//! themselves (see `gateway_clock`).
//!
//! The bounds are [`METER`], [`LIVE`] and [`DEVICE`]. Each device also carries the time of its own report.

use jiff::{SignedDuration, Timestamp};

use crate::io::gateway::wire::Stamp;

/// The maximum age of meter values. Meters measure every second, and their pages are at most minutes behind.
pub(super) const METER: SignedDuration = SignedDuration::from_mins(10);
/// The maximum age of live values, which are not updated after their stream ends (see `Oddity::FrozenLiveData`).
pub(super) const LIVE: SignedDuration = SignedDuration::from_mins(2);
/// The maximum age of a device's report. Inverters are silent from dusk to dawn. After that the gateway still shows their
/// last values (13 W after 2,901 days).
pub(super) const DEVICE: SignedDuration = SignedDuration::from_hours(24);
/// The maximum difference between two timestamps of the same clock.
const SAME_CLOCK: SignedDuration = SignedDuration::from_hours(24);

/// Derives the gateway's clock from the time of `/info`, which was read `since` ago, and the timestamps of the pages.
///
/// Timestamps from the future are ignored, so that they do not make the others look old.
pub(super) fn gateway_clock(
    info: Option<Timestamp>,
    since: SignedDuration,
    stamps: impl Iterator<Item = Timestamp>,
) -> Option<Timestamp> {
    let Some(info) = info else { return stamps.max() };
    stamps.filter(|stamp| is_same_clock(info, since, *stamp)).max().map(|newest| newest.max(info))
}

/// Returns `true` if `stamp` can be from the clock that showed `info` when it was read `since` ago.
pub(super) fn is_same_clock(info: Timestamp, since: SignedDuration, stamp: Timestamp) -> bool {
    let ahead = stamp.duration_since(info);
    -SAME_CLOCK < ahead && ahead <= since.saturating_add(METER)
}

/// Returns `true` if `stamp` is older than `bound` at the gateway's time `clock`.
pub(super) fn is_stale(stamp: Option<Timestamp>, clock: Option<Timestamp>, bound: SignedDuration) -> bool {
    stamp.zip(clock).is_some_and(|(stamp, clock)| clock.duration_since(stamp) > bound)
}

/// Returns `true` if a report of the time `reported` is current at the gateway's time `clock`.
pub(super) fn is_current(reported: Stamp, clock: Option<Timestamp>) -> bool {
    match reported {
        Stamp::Never => false,
        Stamp::Unknown => true,
        Stamp::At(at) => !is_stale(Some(at), clock, DEVICE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_782_036_900 + second).unwrap()
    }

    /// Derives the clock from an `/info` read ten minutes ago.
    fn clock(info: Option<Timestamp>, stamps: &[Timestamp]) -> Option<Timestamp> {
        gateway_clock(info, SignedDuration::from_mins(10), stamps.iter().copied())
    }

    #[test]
    fn the_clock_is_the_latest_of_info_and_the_stamps() {
        assert_eq!(clock(Some(at(0)), &[at(-5), at(570)]), Some(at(570)));
        assert_eq!(clock(Some(at(0)), &[at(-5)]), Some(at(0)));
        assert_eq!(clock(None, &[at(-5), at(-9)]), Some(at(-5)));
    }

    #[test]
    fn a_clock_that_no_stamp_knows_makes_nothing_old() {
        let year = 365 * 86_400;
        assert_eq!(clock(Some(at(year)), &[at(0)]), None);
        assert!(!is_stale(Some(at(0)), None, METER));
    }

    #[test]
    fn a_stamp_from_the_future_makes_no_other_one_old() {
        assert_eq!(clock(Some(at(0)), &[at(1201), at(3)]), Some(at(3)));
        assert_eq!(clock(Some(at(0)), &[at(1200), at(3)]), Some(at(1200)));
    }

    #[test]
    fn a_device_is_believed_for_a_day_after_its_report() {
        let day = 24 * 3600;
        assert!(is_current(Stamp::At(at(0)), Some(at(day))));
        assert!(!is_current(Stamp::At(at(0)), Some(at(day + 1))));
        assert!(!is_current(Stamp::Never, None));
        assert!(is_current(Stamp::Unknown, Some(at(0))) && is_current(Stamp::At(at(0)), None));
    }

    #[test]
    fn a_stamp_is_stale_beyond_the_bound_only() {
        assert!(!is_stale(Some(at(0)), Some(at(600)), METER));
        assert!(is_stale(Some(at(0)), Some(at(601)), METER));
        assert!(!is_stale(None, Some(at(601)), METER));
    }
}
