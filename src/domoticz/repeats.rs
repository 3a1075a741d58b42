//! When a value that has not changed is sent again.
//!
//! Domoticz writes its log every 5 minutes, takes ten messages a second, and shows a device red that was
//! silent for an hour: a changed value goes out at once, an unchanged one within 5 minutes.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domoticz::Update;

/// The longest silence of a device while its gateway answers.
const SILENCE: Duration = Duration::from_secs(5 * 60);

/// What was sent to each device, and when.
#[derive(Debug)]
pub struct Repeats {
    interval: Duration,
    sent: BTreeMap<u32, (Update, Instant)>,
}

impl Repeats {
    /// For a gateway that is polled every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, sent: BTreeMap::new() }
    }

    /// Whether `update` is to be sent `now`; if so, it counts as sent.
    pub fn due(&mut self, update: &Update, now: Instant) -> bool {
        // Waiting for the poll after this one would be too long.
        let late = |at: Instant| now.duration_since(at) + self.interval >= SILENCE;
        let due = self.sent.get(&update.idx).is_none_or(|(last, at)| last != update || late(*at));
        if due {
            self.sent.insert(update.idx, (update.clone(), now));
        }
        due
    }

    /// Everything is due again, as after a new connection to the broker.
    pub fn forget(&mut self) {
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(svalue: &str) -> Update {
        Update { idx: 12, nvalue: 0, svalue: svalue.to_owned() }
    }

    /// The seconds at which an unchanged value goes out when polled every `interval` seconds.
    fn sent_at(interval: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut repeats = Repeats::new(Duration::from_secs(interval));
        let polls = (0..=900).step_by(usize::try_from(interval).unwrap());
        polls.filter(|second| repeats.due(&update("1"), start + Duration::from_secs(*second))).collect()
    }

    #[test]
    fn an_unchanged_value_is_sent_again_within_five_minutes_at_any_interval() {
        assert_eq!(sent_at(30), [0, 270, 540, 810]);
        assert_eq!(sent_at(180), [0, 180, 360, 540, 720, 900]);
        assert_eq!(sent_at(1), [0, 299, 598, 897]);
    }

    #[test]
    fn a_change_goes_out_at_once_and_so_does_everything_after_a_new_connection() {
        let now = Instant::now();
        let mut repeats = Repeats::new(Duration::from_secs(30));
        assert!(repeats.due(&update("1"), now));
        assert!(!repeats.due(&update("1"), now));
        assert!(repeats.due(&update("2"), now));
        repeats.forget();
        assert!(repeats.due(&update("2"), now));
    }
}
