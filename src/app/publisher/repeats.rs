//! What is said of something that others make happen, as often as they like: the first time at once, and when it has
//! ended how often it was.

use std::time::Duration;

use tokio::time::Instant;

/// After so much quiet it has ended.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// One kind of happening.
#[derive(Debug, Default)]
pub(super) struct Repeats(Option<Row>);

#[derive(Debug)]
struct Row {
    first: Instant,
    last: Instant,
    times: u64,
}

/// A row of happenings that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// How often it happened, twice or more.
    pub(super) times: u64,
    /// From the first to the last time.
    pub(super) length: Duration,
}

impl Repeats {
    /// It happened. Returns whether that is the first time, which is said at once.
    pub(super) fn happened(&mut self, now: Instant) -> bool {
        self.lasts(now, now)
    }

    /// The same of something that lasts until `until`.
    pub(super) fn lasts(&mut self, now: Instant, until: Instant) -> bool {
        let first = self.0.is_none();
        let row = self.0.get_or_insert(Row { first: now, last: until, times: 0 });
        (row.last, row.times) = (row.last.max(until), row.times.saturating_add(1));
        first
    }

    /// What is to be said of the end. Nothing, if it happened once: that was said.
    pub(super) fn ended(&mut self, now: Instant) -> Option<Ended> {
        let row = self.0.take_if(|row| now.saturating_duration_since(row.last) >= QUIET)?;
        let length = row.last.saturating_duration_since(row.first);
        (row.times > 1).then_some(Ended { times: row.times, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_day_of_it_is_said_twice() {
        let (start, mut repeats, mut said) = (Instant::now(), Repeats::default(), Vec::new());
        for second in 0..86_400 + 3600 {
            let now = start + second * SECOND;
            for _ in 0..3 {
                if second < 86_400 && repeats.happened(now) {
                    said.push((second, None));
                }
            }
            said.extend(repeats.ended(now).map(|ended| (second, Some(ended))));
        }
        let ended = Ended { times: 3 * 86_400, length: 86_399 * SECOND };
        assert_eq!(said, [(0, None), (86_999, Some(ended))]);
    }

    #[test]
    fn what_happens_once_is_said_once() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        assert!(repeats.happened(start));
        assert_eq!(repeats.ended(start + 2 * QUIET), None);
        assert!(repeats.happened(start + 3 * QUIET));
    }

    #[test]
    fn what_lasts_has_not_ended() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        assert!(repeats.lasts(start, start + 5 * QUIET));
        assert!(!repeats.lasts(start + QUIET, start + 2 * QUIET));
        assert_eq!(repeats.ended(start + 5 * QUIET), None);
        assert_eq!(repeats.ended(start + 6 * QUIET), Some(Ended { times: 2, length: 5 * QUIET }));
    }
}
