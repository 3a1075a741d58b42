//! The limit on new serial numbers at one configured address.
//!
//! A gateway is replaced once in years. A device that keeps reporting new serial numbers is not a gateway. Each number
//! would leave files, topics and a log line behind.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::rate_limit::RateLimit;
use crate::base::reading::Serial;

/// The burst of both rate limits: the one for new serial numbers, and the one for reports of a replacement.
const BURST: u32 = 2;
/// The interval after which both rate limits allow one more.
const GAP: Duration = Duration::from_secs(24 * 3600);

/// The gateways that have been polled at one configured address.
#[derive(Debug)]
pub(super) struct Newcomers {
    seen: BTreeSet<Serial>,
    admissions: RateLimit,
    reports: RateLimit,
}

impl Newcomers {
    pub(super) fn new(now: Instant) -> Self {
        let limit = || RateLimit::new(BURST, GAP, now);
        Self { seen: BTreeSet::new(), admissions: limit(), reports: limit() }
    }

    /// Returns whether `serial` may be polled: the first one, a known one, or a new one within the rate limit.
    pub(super) fn admit(&mut self, serial: &Serial, now: Instant) -> bool {
        let admitted = self.seen.is_empty() || self.seen.contains(serial) || self.admissions.take(now);
        if admitted && !self.seen.contains(serial) {
            self.seen.insert(serial.clone());
        }
        admitted
    }

    /// Returns whether a replacement may be logged as a warning.
    pub(super) fn may_report(&mut self, now: Instant) -> bool {
        self.reports.take(now)
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
        assert_eq!((0..100).filter(|_| newcomers.may_report(start)).count(), 2);
    }
}
