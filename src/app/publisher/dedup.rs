//! Deduplication of values: a changed value is sent immediately, an unchanged one within five minutes. Domoticz writes its
//! log every five minutes, and shows a device in red if it has had no value for an hour.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// The maximum time between two messages with an unchanged value.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The maximum number of names. A gateway with a thousand inverters has about ten thousand.
const MAX_NAMES: usize = 30_000;

/// The last value that was sent under each name. Stores only hashes of names and values, because a gateway with many
/// inverters has hundreds of them.
#[derive(Debug, Default)]
pub(super) struct Dedup {
    hasher: RandomState,
    sent: HashMap<u64, (u64, Instant)>,
}

impl Dedup {
    /// Returns whether to send `value` now, given that the next opportunity comes after `interval`; if so, records it as
    /// sent.
    pub(super) fn due(
        &mut self,
        name: impl Hash,
        value: impl Hash,
        interval: Duration,
        now: Instant,
    ) -> bool {
        // At the next opportunity the value would be too old.
        self.record(name, value, now, |at| now.duration_since(at) + interval >= MAX_AGE)
    }

    /// Returns whether `value` differs from the last one; if so, records it as sent. An unchanged one is never due again.
    pub(super) fn differs(&mut self, name: impl Hash, value: impl Hash, now: Instant) -> bool {
        self.record(name, value, now, |_| false)
    }

    /// Records `value` as sent, if it has changed or the last message is `late`; returns whether it did.
    fn record(
        &mut self,
        name: impl Hash,
        value: impl Hash,
        now: Instant,
        late: impl Fn(Instant) -> bool,
    ) -> bool {
        let name = self.hasher.hash_one(name);
        let value = self.hasher.hash_one(value);
        let due = self.sent.get(&name).is_none_or(|&(last, at)| last != value || late(at));
        if due {
            // Names that come and go must not accumulate. Clearing makes all of them due again, which is harmless.
            if self.sent.len() >= MAX_NAMES && !self.sent.contains_key(&name) {
                self.sent = HashMap::new();
            }
            self.sent.insert(name, (value, now));
        }
        due
    }

    /// Makes every value due.
    pub(super) fn forget(&mut self) {
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the seconds at which an unchanged value is sent with an opportunity every `interval` seconds.
    fn sent_at(interval: u64) -> Vec<u64> {
        let (start, mut changes) = (Instant::now(), Dedup::default());
        let polls = (0..=900).step_by(usize::try_from(interval).unwrap());
        let mut due = |second| {
            let now = start + Duration::from_secs(second);
            changes.due("a", "1", Duration::from_secs(interval), now)
        };
        polls.filter(|&second| due(second)).collect()
    }

    #[test]
    fn an_unchanged_value_is_sent_at_least_every_five_minutes() {
        assert_eq!(sent_at(30), [0, 270, 540, 810]);
        assert_eq!(sent_at(180), [0, 180, 360, 540, 720, 900]);
        assert_eq!(sent_at(1), [0, 299, 598, 897]);
    }

    #[test]
    fn names_that_come_and_go_do_not_accumulate() {
        let (now, mut changes) = (Instant::now(), Dedup::default());
        for name in 0..10 * MAX_NAMES {
            assert!(changes.due(name, "1", Duration::from_secs(30), now));
        }
        assert!(changes.sent.len() <= MAX_NAMES);
        assert!(!changes.due(10 * MAX_NAMES - 1, "1", Duration::from_secs(30), now));
    }

    #[test]
    fn a_change_is_sent_immediately() {
        let (now, mut changes) = (Instant::now(), Dedup::default());
        let mut due = |name: &str, value: &str| changes.due(name, value, Duration::from_secs(30), now);
        assert!(due("a", "1"));
        assert!(!due("a", "1"));
        assert!(due("b", "1"));
        assert!(due("a", "2"));
        changes.forget();
        assert!(changes.due("a", "2", Duration::from_secs(30), now));
    }
}
