//! Which gateways have been read at one place.
//!
//! A gateway is replaced once in years. Something that is another one each time it is asked is none; each would leave files,
//! topics and a line in the log behind.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::rate_limit::RateLimit;
use crate::base::reading::Serial;

/// How often a gateway may come that was never there, and how often it is said that another one is there: twice at once, and
/// then once in so long.
const BURST: u32 = 2;
const GAP: Duration = Duration::from_secs(24 * 3600);

/// The gateways of one place.
#[derive(Debug)]
pub(super) struct Newcomers {
    seen: BTreeSet<Serial>,
    come: RateLimit,
    said: RateLimit,
}

impl Newcomers {
    pub(super) fn new(now: Instant) -> Self {
        let limit = || RateLimit::new(BURST, GAP, now);
        Self { seen: BTreeSet::new(), come: limit(), said: limit() }
    }

    /// Whether `serial` may be read here: the first one, one that was here before, and now and then another.
    pub(super) fn admit(&mut self, serial: &Serial, now: Instant) -> bool {
        let admitted = self.seen.is_empty() || self.seen.contains(serial) || self.come.take(now);
        if admitted && !self.seen.contains(serial) {
            self.seen.insert(serial.clone());
        }
        admitted
    }

    /// Whether to say that another one is there.
    pub(super) fn say(&mut self, now: Instant) -> bool {
        self.said.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_comes_now_and_then_and_a_known_one_always() {
        let start = Instant::now();
        let mut newcomers = Newcomers::new(start);
        let serial = |n: u64| Serial::parse(&n.to_string()).unwrap();
        assert_eq!((0..100).filter(|n| newcomers.admit(&serial(*n), start)).count(), 3);
        assert_eq!((0..300).filter(|n| newcomers.admit(&serial(n % 3), start)).count(), 300);
        let hour = |n: u64| start + Duration::from_secs(3600 * n);
        let week = (0..7 * 24).filter(|n| newcomers.admit(&serial(100 + n), hour(*n)));
        assert!(week.count() <= 7);
        assert_eq!((0..100).filter(|_| newcomers.say(start)).count(), 2);
    }
}
