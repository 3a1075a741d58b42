//! Limits log lines about events that other clients cause, as often as they like: the first is reported immediately, and
//! the number of all when they have ended.

use std::time::Duration;

use tokio::time::Instant;

/// The time without an event after which a series has ended.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// The series of one kind of event.
#[derive(Debug, Default)]
pub(super) struct Repeats(Option<Series>);

#[derive(Debug)]
struct Series {
    first: Instant,
    last: Instant,
    times: u64,
}

/// A series that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// The number of events, two or more.
    pub(super) times: u64,
    /// The time from the first to the last event.
    pub(super) length: Duration,
}

impl Repeats {
    /// Records an event, and returns whether it is the first of a series.
    pub(super) fn happened(&mut self, now: Instant) -> bool {
        self.lasts(now, now)
    }

    /// Records an event that lasts until `until`, and returns whether it is the first of a series.
    pub(super) fn lasts(&mut self, now: Instant, until: Instant) -> bool {
        let first = self.0.is_none();
        let series = self.0.get_or_insert(Series { first: now, last: until, times: 0 });
        (series.last, series.times) = (series.last.max(until), series.times.saturating_add(1));
        first
    }

    /// Returns the series if it has ended; `None` for a single event, which has been reported.
    pub(super) fn ended(&mut self, now: Instant) -> Option<Ended> {
        let series = self.0.take_if(|series| now.saturating_duration_since(series.last) >= QUIET)?;
        let length = series.last.saturating_duration_since(series.first);
        (series.times > 1).then_some(Ended { times: series.times, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_day_of_events_is_reported_twice() {
        let (start, mut repeats, mut reported) = (Instant::now(), Repeats::default(), Vec::new());
        for second in 0..86_400 + 3600 {
            let now = start + second * SECOND;
            for _ in 0..3 {
                if second < 86_400 && repeats.happened(now) {
                    reported.push((second, None));
                }
            }
            reported.extend(repeats.ended(now).map(|ended| (second, Some(ended))));
        }
        let ended = Ended { times: 3 * 86_400, length: 86_399 * SECOND };
        assert_eq!(reported, [(0, None), (86_999, Some(ended))]);
    }

    #[test]
    fn a_single_event_is_reported_once() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        assert!(repeats.happened(start));
        assert_eq!(repeats.ended(start + 2 * QUIET), None);
        assert!(repeats.happened(start + 3 * QUIET));
    }

    #[test]
    fn an_event_that_lasts_has_not_ended() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        assert!(repeats.lasts(start, start + 5 * QUIET));
        assert!(!repeats.lasts(start + QUIET, start + 2 * QUIET));
        assert_eq!(repeats.ended(start + 5 * QUIET), None);
        assert_eq!(repeats.ended(start + 6 * QUIET), Some(Ended { times: 2, length: 5 * QUIET }));
    }
}
