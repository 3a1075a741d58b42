//! The time base of the guard: the seconds during which the program runs, and an estimate of those between two runs.
//!
//! A Pi has no clock battery. If a total is reset while the machine's clock is years ahead, the guard must not wait for
//! years. If the clock is behind and then corrected, the guard must not accept the total at once.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A time on the guard's own clocks, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct GuardTime {
    /// The time during which the program ran; a new total must last for some of it.
    pub(super) running: f64,
    /// The running time plus the time between runs, during which a total may have grown.
    pub(super) passed: f64,
}

/// The guard's clocks, stored to continue after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stopwatch {
    running: f64,
    passed: f64,
    /// The machine's clock at the last reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<Timestamp>,
    /// The gateway's newest timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    theirs: Option<Timestamp>,
    #[serde(skip)]
    last: Option<Instant>,
}

impl Stopwatch {
    /// Advances the clocks to `now`, when the machine's and the gateway's clock show `ours` and `theirs`.
    pub(super) fn read(&mut self, now: Instant, ours: Timestamp, theirs: Option<Timestamp>) -> GuardTime {
        match self.last {
            Some(last) => {
                let passed = now.saturating_duration_since(last).as_secs_f64();
                self.running += passed;
                self.passed += passed;
            }
            None => self.passed += self.away(ours, theirs).as_secs_f64(),
        }
        self.last = Some(now);
        self.ours = Some(ours);
        self.theirs = theirs.or(self.theirs);
        GuardTime { running: self.running, passed: self.passed }
    }

    /// Returns the machine's clock at the last reading.
    pub(super) const fn last_reading(&self) -> Option<Timestamp> {
        self.ours
    }

    /// Returns the time during which the program did not run, by the clock that shows less.
    fn away(&self, ours: Timestamp, theirs: Option<Timestamp>) -> Duration {
        let between = |before: Option<Timestamp>, after: Option<Timestamp>| {
            let passed: SignedDuration = after?.duration_since(before?);
            Some(Duration::try_from(passed).unwrap_or_default())
        };
        let clocks = [between(self.ours, Some(ours)), between(self.theirs, theirs)];
        clocks.into_iter().flatten().min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_782_000_000 + second).unwrap()
    }

    #[test]
    fn jumps_of_the_clock_change_nothing_while_the_program_runs() {
        let (mut stopwatch, start) = (Stopwatch::default(), Instant::now());
        stopwatch.read(start, at(0), None);
        let year = 365 * 86_400;
        for (seconds, ours) in [(30, 5 * year), (60, 5 * year + 30), (90, 90), (120, -year)] {
            let moment = stopwatch.read(start + Duration::from_secs(seconds), at(ours), None);
            #[expect(clippy::cast_precision_loss, reason = "two minutes")]
            let seconds = seconds as f64;
            assert_eq!(moment, GuardTime { running: seconds, passed: seconds });
        }
    }

    #[test]
    fn between_two_runs_the_clock_that_says_less_is_believed() {
        let away = |ours: i64, theirs: Option<i64>| {
            let mut stopwatch = Stopwatch::default();
            stopwatch.read(Instant::now(), at(0), Some(at(-2)));
            let kept = serde_json::to_string(&stopwatch).unwrap();
            let mut stopwatch: Stopwatch = serde_json::from_str(&kept).unwrap();
            let moment = stopwatch.read(Instant::now(), at(ours), theirs.map(at));
            assert!(moment.running < 1e-9, "{moment:?}");
            Duration::from_secs_f64(moment.passed)
        };
        let seconds = Duration::from_secs;
        assert_eq!(away(600, Some(597)), seconds(599));
        assert_eq!(away(1_000_000_000, Some(597)), seconds(599));
        assert_eq!((away(600, None), away(-600, Some(597))), (seconds(600), seconds(0)));
    }
}
