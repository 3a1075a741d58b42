//! Whether a value is too old to be shown, by the gateway's clock: never by ours, which may be years away.
//!
//! The gateway's clock is what `/info` showed last, or the newest stamp among the answers where that is later and can
//! be. `/info` is asked about once an hour and its time is not carried on, so by night, when nothing else is stamped,
//! a meter that stands still is seen at the next `/info`. An `/info` whose time is far from every stamp tells nothing
//! about their age (a clock that was set in between, a recording put together of several), and nothing is dropped
//! then. Where the stamps of meters move and are behind `/info` all the same, its clock is another one, and they are
//! judged among themselves (see `gateway_clock`).
//!
//! Bounds: [`METER`], [`LIVE`] and [`DEVICE`]. Each device carries the time of its own report as well.

use jiff::{SignedDuration, Timestamp};

use crate::io::gateway::wire::Stamp;

/// Meters measure every second; the pages that show them are at most minutes behind.
pub(super) const METER: SignedDuration = SignedDuration::from_mins(10);
/// Live values stand still when their stream ends (see `Oddity::FrozenLiveData`).
pub(super) const LIVE: SignedDuration = SignedDuration::from_mins(2);
/// Inverters are silent from dusk to dawn. What has not reported for longer shows its last values for ever (13 W after
/// 2,901 days).
pub(super) const DEVICE: SignedDuration = SignedDuration::from_hours(24);
/// A clock further ahead of every stamp is another clock.
const SAME_CLOCK: SignedDuration = SignedDuration::from_hours(24);

/// The gateway's clock as far as it can be known from what `info` showed a while ago, `since`, and the `stamps` of the
/// answers. A stamp from the future is odd itself, and must not make the others look old.
pub(super) fn gateway_clock(
    info: Option<Timestamp>,
    since: SignedDuration,
    stamps: impl Iterator<Item = Timestamp>,
) -> Option<Timestamp> {
    let Some(info) = info else { return stamps.max() };
    stamps.filter(|stamp| can_be(info, since, *stamp)).max().map(|newest| newest.max(info))
}

/// Whether `stamp` can be of the clock that `info` showed a while ago, `since`.
pub(super) fn can_be(info: Timestamp, since: SignedDuration, stamp: Timestamp) -> bool {
    let ahead = stamp.duration_since(info);
    -SAME_CLOCK < ahead && ahead <= since.saturating_add(METER)
}

/// Whether what was measured at `stamp` is older than `bound` when the gateway's clock shows `clock`.
pub(super) fn is_stale(stamp: Option<Timestamp>, clock: Option<Timestamp>, bound: SignedDuration) -> bool {
    stamp.zip(clock).is_some_and(|(stamp, clock)| clock.duration_since(stamp) > bound)
}

/// Whether a device that `reported` then can be believed when the gateway's clock shows `clock`.
pub(super) fn is_believed(reported: Stamp, clock: Option<Timestamp>) -> bool {
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

    /// The clock that `/info` showed as 0, ten minutes ago.
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
        assert!(is_believed(Stamp::At(at(0)), Some(at(day))));
        assert!(!is_believed(Stamp::At(at(0)), Some(at(day + 1))));
        assert!(!is_believed(Stamp::Never, None));
        assert!(is_believed(Stamp::Unknown, Some(at(0))) && is_believed(Stamp::At(at(0)), None));
    }

    #[test]
    fn a_stamp_is_stale_beyond_the_bound_only() {
        assert!(!is_stale(Some(at(0)), Some(at(600)), METER));
        assert!(is_stale(Some(at(0)), Some(at(601)), METER));
        assert!(!is_stale(None, Some(at(601)), METER));
    }
}
