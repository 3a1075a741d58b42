//! The gateway's clock, which determines the age of its values (see [`super::age`]).

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::age;

/// The gateway's clock, derived from `/info` and the timestamps of its pages.
#[derive(Debug)]
pub(super) struct GatewayClock {
    /// The last time in `/info`, and when it was read.
    info: Option<(Timestamp, Instant)>,
    /// How many times as fast as tokio's time it runs.
    speed: u32,
    /// The beginning of the cycle.
    began: Instant,
    /// The newest timestamp of a meter before this cycle.
    before: Option<Timestamp>,
    /// The newest timestamp of a meter.
    newest: Option<Timestamp>,
    /// The timestamps advance but are far behind `/info`, so its time is ignored until it is read again.
    apart: bool,
    /// The disagreement was reported.
    reported: bool,
}

impl GatewayClock {
    /// Creates the clock of a gateway whose `/info` returned `time` at `now`. It runs `speed` times as fast as tokio's time.
    pub(super) fn new(time: Option<Timestamp>, now: Instant, speed: u32) -> Self {
        let info = time.map(|time| (time, now));
        Self { info, speed, began: now, before: None, newest: None, apart: false, reported: false }
    }

    /// Updates the clock from a new `/info`.
    pub(super) fn set(&mut self, time: Option<Timestamp>, now: Instant) {
        if let Some(time) = time {
            self.info = Some((time, now));
            self.apart = false;
        }
    }

    /// Begins a cycle.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began = now;
        self.before = self.newest;
    }

    /// Records the timestamps of the meters. Returns a message, once, if the clocks of the gateway disagree.
    pub(super) fn record(&mut self, meters: impl Iterator<Item = Timestamp> + Clone) -> Option<String> {
        let (info, _) = self.info?;
        let (any, plausible) =
            (meters.clone().max()?, meters.filter(|stamp| self.is_plausible(*stamp)).max());
        if let Some(newest) = plausible {
            let moved = self.before.is_some_and(|before| newest > before);
            self.apart |= moved && age::is_stale(Some(newest), Some(info), age::METER);
        }
        self.newest = self.newest.max(plausible);
        if self.reported || !(self.apart || plausible.is_none()) {
            return None;
        }
        self.reported = true;
        let judged = if self.apart { "is judged by the latter" } else { "cannot be judged" };
        Some(format!(
            "the gateway's clocks disagree: /info shows {info:.0}, its meters {any:.0}; the age of its values {judged}"
        ))
    }

    /// Returns the clock's current time, if it can be derived with the `stamps` of all pages.
    pub(super) fn now(&self, stamps: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
        if self.apart {
            return stamps.filter(|stamp| self.is_plausible(*stamp)).max();
        }
        age::gateway_clock(self.info.map(|(info, _)| info), self.since(), stamps)
    }

    /// Returns the gateway's time at `at`, if `/info` has ever returned it.
    pub(super) fn shown_at(&self, at: Instant) -> Option<Timestamp> {
        let (shown, read_at) = self.info?;
        shown.checked_add(self.passed(read_at, at)).ok()
    }

    fn is_plausible(&self, stamp: Timestamp) -> bool {
        self.info.is_none_or(|(info, _)| age::is_same_clock(info, self.since(), stamp))
    }

    /// Returns the age of `/info` at the beginning of the cycle.
    fn since(&self) -> SignedDuration {
        let read_at = self.info.map_or(self.began, |(_, at)| at);
        self.passed(read_at, self.began)
    }

    /// Returns the time that passes on the clock from `start` to `end`.
    fn passed(&self, start: Instant, end: Instant) -> SignedDuration {
        let passed = end.saturating_duration_since(start).saturating_mul(self.speed);
        SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_782_036_900 + second).unwrap()
    }

    /// Starts a clock whose `/info` returned 0, and records one timestamp in each cycle, 30 s apart. Returns the messages,
    /// and `true` if the last timestamp is stale.
    fn after(stamps: &[i64]) -> (Vec<String>, bool) {
        at_speed(1, stamps)
    }

    /// The same with a clock that runs `speed` times as fast as tokio's time.
    fn at_speed(speed: u32, stamps: &[i64]) -> (Vec<String>, bool) {
        let start = Instant::now();
        let mut clock = GatewayClock::new(Some(at(0)), start, speed);
        let (mut now, mut reported) = (start, Vec::new());
        for stamp in stamps {
            clock.begin(now);
            reported.extend(clock.record([at(*stamp)].into_iter()));
            now += Duration::from_secs(30);
        }
        let last = at(*stamps.last().unwrap());
        (reported, age::is_stale(Some(last), clock.now([last].into_iter()), age::METER))
    }

    #[test]
    fn a_meter_that_stands_still_is_stale() {
        assert_eq!(after(&[-900, -900, -900]), (vec![], true));
        assert_eq!(after(&[-500, -500, -500]), (vec![], false));
    }

    #[test]
    fn a_meter_that_moves_on_another_clock_is_fresh_and_the_clocks_are_said_to_disagree() {
        assert_eq!(after(&[-900]), (vec![], true));
        let (reported, stale) = after(&[-900, -870, -840, -810]);
        assert!(!stale);
        assert_eq!(reported.len(), 1);
        assert!(
            reported[0].contains("/info shows") && reported[0].ends_with("is judged by the latter"),
            "{reported:?}"
        );
    }

    #[test]
    fn a_clock_that_is_years_away_judges_nothing_and_that_is_said() {
        let (reported, stale) = after(&[-400_000_000, -400_000_000]);
        assert!(!stale);
        assert!(reported[0].ends_with("cannot be judged") && reported.len() == 1, "{reported:?}");
        assert_eq!(after(&[3000, 3030]).0.len(), 1, "from the future");
    }

    #[test]
    fn a_clock_that_runs_faster_is_followed() {
        let stamps = [0, 1800, 3600, 5400];
        assert_eq!(at_speed(60, &stamps), (vec![], false));
        assert_eq!(after(&stamps).0.len(), 1, "from the future");
    }

    #[test]
    fn info_is_believed_again_when_it_is_read_again() {
        let start = Instant::now();
        let mut clock = GatewayClock::new(Some(at(0)), start, 1);
        for stamp in [-900, -870] {
            clock.begin(start);
            clock.record([at(stamp)].into_iter());
        }
        clock.set(Some(at(60)), start);
        assert_eq!(clock.now([at(-870)].into_iter()), Some(at(60)));
    }
}
