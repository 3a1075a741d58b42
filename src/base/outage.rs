//! Decides which outages of an external service are reported: once when one begins, and once when it ends.

use std::time::Duration;

use tokio::time::Instant;

/// The number of outages in quick succession after which further ones are not reported.
const FLAPS: u32 = 3;

/// The report to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageReport {
    /// An outage has begun, or has a new cause.
    Begun,
    /// There were this many outages; further ones are not reported.
    Flapping(u32),
    /// The service is available, after an outage of this length if one was reported.
    Ended(Option<Duration>),
    /// The service is stable after this many outages in this time.
    Stable(u32, Duration),
    /// There is nothing to report.
    Nothing,
}

/// The outages since the service was last stable. `K` is the kind of a failure.
#[derive(Debug)]
pub struct Outage<K> {
    /// The time without an outage after which the service is stable.
    steady: Duration,
    /// The beginning of the first outage.
    first: Option<Instant>,
    /// The number of outages.
    count: u32,
    /// The kinds of failures that were reported.
    reported: Vec<K>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Unknown,
    Available {
        since: Instant,
    },
    Unavailable {
        since: Instant,
        /// The outage is counted; one at a quiet time is not, nor is one before the service was first available.
        counted: bool,
        reported: bool,
    },
}

impl<K: PartialEq> Outage<K> {
    /// Creates the state of a service that is stable after `steady` without an outage.
    pub const fn new(steady: Duration) -> Self {
        Self { steady, first: None, count: 0, reported: Vec::new(), state: State::Unknown }
    }

    /// Records a failure. At a `quiet` time, such as the nightly restart of a gateway, nothing is reported.
    pub fn failed(&mut self, kind: K, quiet: bool, now: Instant) -> OutageReport {
        let (since, counted, reported) = match self.state {
            State::Unknown => (now, true, false),
            State::Available { .. } => (now, false, false),
            State::Unavailable { since, counted, reported } => (since, counted, reported),
        };
        if quiet {
            self.state = State::Unavailable { since, counted, reported };
            return OutageReport::Nothing;
        }
        if !counted {
            self.first.get_or_insert(since);
            self.count = self.count.saturating_add(1);
        }
        let new = !self.reported.contains(&kind);
        if new {
            self.reported.push(kind);
        }
        let say = match self.count {
            FLAPS if !counted => OutageReport::Flapping(FLAPS),
            count if !counted && count < FLAPS => OutageReport::Begun,
            _ if new => OutageReport::Begun,
            _ => OutageReport::Nothing,
        };
        self.state =
            State::Unavailable { since, counted: true, reported: reported || say != OutageReport::Nothing };
        say
    }

    /// Records that the service is available.
    pub fn ended(&mut self, now: Instant) -> OutageReport {
        let away = match self.state {
            State::Available { .. } => return self.steady(now),
            State::Unavailable { since, reported: true, .. } => Some(now.saturating_duration_since(since)),
            State::Unavailable { .. } | State::Unknown => None,
        };
        self.state = State::Available { since: now };
        if self.count < FLAPS { OutageReport::Ended(away) } else { OutageReport::Nothing }
    }

    /// Checks if the service has become stable by `now`.
    pub fn steady(&mut self, now: Instant) -> OutageReport {
        let State::Available { since } = self.state else { return OutageReport::Nothing };
        if now.saturating_duration_since(since) < self.steady {
            return OutageReport::Nothing;
        }
        let count = std::mem::take(&mut self.count);
        self.reported.clear();
        match self.first.take() {
            Some(first) if count >= FLAPS => {
                OutageReport::Stable(count, since.saturating_duration_since(first))
            }
            _ => OutageReport::Nothing,
        }
    }

    /// Returns `true` during an outage.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self.state, State::Unavailable { .. })
    }

    /// Returns the length of the current outage, or zero.
    pub fn lasts(&self, now: Instant) -> Duration {
        match self.state {
            State::Unavailable { since, .. } => now.saturating_duration_since(since),
            State::Unknown | State::Available { .. } => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const STEADY: Duration = Duration::from_secs(600);

    fn outage() -> Outage<&'static str> {
        Outage::new(STEADY)
    }

    #[test]
    fn an_outage_is_said_when_it_begins_when_its_kind_is_new_and_when_it_ends() {
        let (start, mut outage) = (Instant::now(), outage());
        assert_eq!(outage.failed("away", false, start), OutageReport::Begun);
        assert_eq!(outage.failed("away", false, start + MINUTE), OutageReport::Nothing);
        assert_eq!(outage.failed("password", false, start + 2 * MINUTE), OutageReport::Begun);
        assert_eq!(outage.lasts(start + 2 * MINUTE), 2 * MINUTE);
        assert_eq!(outage.ended(start + 3 * MINUTE), OutageReport::Ended(Some(3 * MINUTE)));
        assert_eq!(outage.ended(start + 4 * MINUTE), OutageReport::Nothing);
        assert_eq!(outage.ended(start + 14 * MINUTE), OutageReport::Nothing);
        assert_eq!(outage.failed("away", false, start + 15 * MINUTE), OutageReport::Begun);
    }

    #[test]
    fn kinds_that_take_turns_are_said_once_each() {
        let (start, mut outage) = (Instant::now(), outage());
        let kinds = ["away", "password", "malformed"].into_iter().cycle().take(1000);
        let reported = kinds.filter(|kind| outage.failed(kind, false, start) == OutageReport::Begun).count();
        assert_eq!(reported, 3);
    }

    #[test]
    fn what_comes_and_goes_for_a_day_is_said_in_a_few_lines() {
        let (start, mut outage, mut reported) = (Instant::now(), outage(), Vec::new());
        let mut now = start;
        for _ in 0..20_000 {
            reported.push(outage.ended(now));
            reported.push(outage.steady(now + SECOND));
            reported.push(outage.failed("lost", false, now + 2 * SECOND));
            reported.push(outage.failed("away", false, now + 3 * SECOND));
            now += 4 * SECOND;
        }
        reported.push(outage.ended(now));
        reported.push(outage.steady(now + STEADY));
        reported.retain(|say| *say != OutageReport::Nothing);
        let back = || OutageReport::Ended(Some(2 * SECOND));
        let holds = OutageReport::Stable(20_000, 79_998 * SECOND);
        let lines = [
            OutageReport::Ended(None),
            OutageReport::Begun,
            OutageReport::Begun,
            back(),
            OutageReport::Begun,
            back(),
            OutageReport::Flapping(3),
            holds,
        ];
        assert_eq!(reported, lines);
    }

    #[test]
    fn what_was_steady_in_between_is_said_each_time() {
        let (mut now, mut outage) = (Instant::now(), outage());
        for _ in 0..10 {
            assert!(matches!(outage.ended(now), OutageReport::Ended(_)));
            assert_eq!(outage.steady(now + STEADY), OutageReport::Nothing);
            assert_eq!(outage.failed("lost", false, now + STEADY), OutageReport::Begun);
            now += STEADY + SECOND;
        }
    }

    #[test]
    fn a_quiet_time_is_quiet_unless_it_lasts() {
        let (start, mut outage) = (Instant::now(), outage());
        outage.ended(start);
        for night in 0..10 {
            let night = start + night * MINUTE;
            assert_eq!(outage.failed("away", true, night), OutageReport::Nothing);
            assert_eq!(outage.ended(night + SECOND), OutageReport::Ended(None));
        }
        let night = start + 20 * MINUTE;
        assert_eq!(outage.failed("away", true, night), OutageReport::Nothing);
        assert_eq!(outage.failed("away", false, night + 10 * MINUTE), OutageReport::Begun);
        assert_eq!(outage.failed("away", false, night + 11 * MINUTE), OutageReport::Nothing);
        assert_eq!(outage.ended(night + 12 * MINUTE), OutageReport::Ended(Some(12 * MINUTE)));
    }
}
