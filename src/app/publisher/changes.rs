//! Which values are worth sending again: a changed one at once, an unchanged one within five minutes.
//! Domoticz writes its log every five minutes and shows a device red that was silent for an hour.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// The longest rest of a value while its gateway answers.
const REST: Duration = Duration::from_secs(5 * 60);

/// How many names are remembered; a gateway with a thousand inverters has some ten thousand.
const MOST: usize = 30_000;

/// Remembers what was sent last under each name; of names and values only hashes, since there are hundreds of
/// them for each gateway with many inverters.
#[derive(Debug, Default)]
pub(super) struct Changes {
    hasher: RandomState,
    sent: HashMap<u64, (u64, Instant)>,
}

impl Changes {
    /// Whether `value` is to be sent now, when the next chance comes after `interval`; if so, it counts as
    /// sent.
    pub(super) fn due(
        &mut self,
        name: impl Hash,
        value: impl Hash,
        interval: Duration,
        now: Instant,
    ) -> bool {
        let name = self.hasher.hash_one(name);
        let value = self.hasher.hash_one(value);
        // To wait for the chance after this one would be too long.
        let late = |at: Instant| now.duration_since(at) + interval >= REST;
        let due = self.sent.get(&name).is_none_or(|&(last, at)| last != value || late(at));
        if due {
            // Names that come and go for ever must not pile up. All are due again then, which does no harm.
            if self.sent.len() >= MOST && !self.sent.contains_key(&name) {
                self.sent = HashMap::new();
            }
            self.sent.insert(name, (value, now));
        }
        due
    }

    /// Begins again: everything is due.
    pub(super) fn forget(&mut self) {
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which an unchanged value is sent when there is a chance every `interval` seconds.
    fn sent_at(interval: u64) -> Vec<u64> {
        let (start, mut changes) = (Instant::now(), Changes::default());
        let polls = (0..=900).step_by(usize::try_from(interval).unwrap());
        let mut due = |second| {
            let now = start + Duration::from_secs(second);
            changes.due("a", "1", Duration::from_secs(interval), now)
        };
        polls.filter(|&second| due(second)).collect()
    }

    #[test]
    fn an_unchanged_value_never_rests_longer_than_five_minutes() {
        assert_eq!(sent_at(30), [0, 270, 540, 810]);
        assert_eq!(sent_at(180), [0, 180, 360, 540, 720, 900]);
        assert_eq!(sent_at(1), [0, 299, 598, 897]);
    }

    #[test]
    fn names_that_come_and_go_do_not_pile_up() {
        let (now, mut changes) = (Instant::now(), Changes::default());
        for name in 0..10 * MOST {
            assert!(changes.due(name, "1", Duration::from_secs(30), now));
        }
        assert!(changes.sent.len() <= MOST);
        assert!(!changes.due(10 * MOST - 1, "1", Duration::from_secs(30), now));
    }

    #[test]
    fn a_change_is_sent_at_once() {
        let (now, mut changes) = (Instant::now(), Changes::default());
        let mut due = |name: &str, value: &str| changes.due(name, value, Duration::from_secs(30), now);
        assert!(due("a", "1"));
        assert!(!due("a", "1"));
        assert!(due("b", "1"));
        assert!(due("a", "2"));
        changes.forget();
        assert!(changes.due("a", "2", Duration::from_secs(30), now));
    }
}
