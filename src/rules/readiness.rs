//! Decides whether the readings are recent enough for the daemon to count as ready.

use std::time::Duration;

use jiff::civil::Time;
use serde::Serialize;

/// The number of intervals after which a reading is too old.
const INTERVALS: u32 = 3;
/// The shortest time after which a reading is too old, for short intervals.
const SHORTEST: Duration = Duration::from_secs(60);
/// The time for which a gateway may be silent at night, when it restarts (around 23:00) and updates its firmware.
const QUIET: Duration = Duration::from_secs(30 * 60);
/// The local times at which the night begins and ends.
const NIGHT: (Time, Time) = (Time::constant(22, 30, 0, 0), Time::constant(5, 0, 0, 0));

/// A state, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// There is a recent reading.
    Pass,
    /// There is none, as is usual at this time of day.
    Warn,
    /// There is none.
    Fail,
}

/// Judges a gateway by the age of its newest reading.
pub fn judge(age: Option<Duration>, interval: Duration, local: Time) -> Health {
    let limit = (interval * INTERVALS).max(SHORTEST);
    let is_night = local >= NIGHT.0 || local < NIGHT.1;
    match age {
        Some(age) if age <= limit => Health::Pass,
        Some(age) if is_night && age <= limit.max(QUIET) => Health::Warn,
        _ => Health::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(hour: i8, age: u64) -> Health {
        judge(Some(Duration::from_secs(age)), INTERVAL, Time::constant(hour, 10, 0, 0))
    }

    #[test]
    fn a_reading_is_recent_for_three_intervals() {
        assert_eq!((at(12, 90), at(12, 91)), (Health::Pass, Health::Fail));
        assert_eq!(judge(None, INTERVAL, Time::midnight()), Health::Fail);
        let short = judge(Some(Duration::from_secs(60)), Duration::from_secs(1), Time::constant(12, 0, 0, 0));
        assert_eq!(short, Health::Pass, "a gateway that is polled each second may miss some");
    }

    #[test]
    fn a_restart_at_night_is_no_failure_and_a_dead_gateway_is_one() {
        for hour in [23, 0, 4] {
            assert_eq!(
                (at(hour, 90), at(hour, 600), at(hour, 1801)),
                (Health::Pass, Health::Warn, Health::Fail)
            );
        }
        assert_eq!(at(6, 600), Health::Fail);
    }
}
