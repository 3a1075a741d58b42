//! How much of what the broker sends is listened to.
//!
//! Whoever may publish on a topic that is subscribed to can send as much as the network carries, and a message as long as
//! MQTT allows (256 MB). All that is subscribed to is optional: births, requests, who else publishes here. So a flood ends
//! the subscriptions for a while, and publishing goes on.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::backoff::doubling;
use crate::base::rate_limit::RateLimit;

/// So many messages may come at once where words are listened to; a house sends a few a day.
pub const WORDS: u32 = 100;
/// One more after each of these.
const GAP: Duration = Duration::from_secs(1);
/// How long nothing is subscribed to after a flood, and at the longest when floods follow each other.
const FIRST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(3600);
/// A flood that begins this long after the last rest is the first of a new row.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// What may be on its way while the broker ends the subscriptions: its queue (mosquitto: 1000 messages) and the buffers of
/// the sockets. A broker that sends more does not obey.
const ON_ITS_WAY: usize = 32 << 20;
/// What a message costs beside its bytes.
const OVERHEAD: usize = 64;

/// Why the subscriptions rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Too many messages came.
    TooMany,
    /// One was too long to be read.
    TooLong,
}

/// What to do with a message that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Hand it on.
    Take,
    /// Drop it.
    Drop,
    /// Drop it, and end the subscriptions.
    Rest,
    /// Drop it, and the connection: the broker sends what is not subscribed to.
    End,
}

/// What has come in, over all connections.
#[derive(Debug)]
pub(super) struct Inflow {
    limit: RateLimit,
    /// Until when nothing is subscribed to.
    until: Option<Instant>,
    rests: u32,
    /// What has come in this rest, in bytes.
    dropped: usize,
}

impl Inflow {
    /// Nothing yet; `burst` messages may come at once.
    pub(super) const fn new(burst: u32, now: Instant) -> Self {
        Self { limit: RateLimit::new(burst, GAP, now), until: None, rests: 0, dropped: 0 }
    }

    /// A message of `bytes` bytes has come.
    pub(super) fn arrived(&mut self, bytes: usize, now: Instant) -> Verdict {
        if self.rests_until(now).is_some() {
            self.dropped = self.dropped.saturating_add(bytes + OVERHEAD);
            return if self.dropped > ON_ITS_WAY { Verdict::End } else { Verdict::Drop };
        }
        if self.limit.take(now) {
            return Verdict::Take;
        }
        self.rest(now);
        Verdict::Rest
    }

    /// The connection has ended because of a message that was too long; whether the subscriptions rest from now on.
    pub(super) fn too_long(&mut self, now: Instant) -> bool {
        let awake = self.rests_until(now).is_none();
        if awake {
            self.rest(now);
        }
        awake
    }

    /// Until when nothing is subscribed to, if that is so at `now`.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    fn rest(&mut self, now: Instant) {
        let new = self.until.is_none_or(|until| now.saturating_duration_since(until) >= FORGOTTEN);
        self.rests = if new { 1 } else { self.rests.saturating_add(1) };
        self.until = Some(now + doubling(FIRST_REST, LONGEST_REST, self.rests));
        self.dropped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many of `count` messages at `now` are handed on.
    fn taken(inflow: &mut Inflow, count: usize, now: Instant) -> usize {
        (0..count).filter(|_| inflow.arrived(10, now) == Verdict::Take).count()
    }

    #[test]
    fn a_flood_is_heard_for_a_moment_and_then_ever_more_rarely() {
        let start = Instant::now();
        let mut inflow = Inflow::new(WORDS, start);
        assert_eq!(taken(&mut inflow, 100, start), 100);
        assert_eq!(inflow.arrived(10, start), Verdict::Rest);
        // For a day a thousand a second come whenever they are subscribed to.
        let (mut heard, mut rests) = (0, 1);
        for second in 0..86_400 {
            let now = start + second * SECOND;
            if inflow.rests_until(now).is_none() {
                heard += taken(&mut inflow, 1000, now);
                rests += 1;
            }
        }
        assert!(rests < 40 && heard <= rests * 100, "{heard} in {rests}");
    }

    #[test]
    fn what_a_house_sends_is_heard() {
        let start = Instant::now();
        let mut inflow = Inflow::new(WORDS, start);
        assert_eq!((0..10_000).filter(|n| taken(&mut inflow, 1, start + *n * SECOND) == 1).count(), 10_000);
        assert_eq!(inflow.rests_until(start), None);
    }

    #[test]
    fn a_rest_after_a_quiet_hour_is_a_first_one() {
        let start = Instant::now();
        let mut inflow = Inflow::new(WORDS, start);
        assert!(inflow.too_long(start));
        assert!(!inflow.too_long(start), "it rests already");
        assert_eq!(inflow.rests_until(start), Some(start + 60 * SECOND));
        let again = start + 60 * SECOND;
        assert!(inflow.too_long(again));
        assert_eq!(inflow.rests_until(again), Some(again + 120 * SECOND));
        let later = again + 120 * SECOND + FORGOTTEN;
        assert!(inflow.too_long(later));
        assert_eq!(inflow.rests_until(later), Some(later + 60 * SECOND));
    }

    #[test]
    fn a_broker_that_sends_what_nobody_wants_is_left() {
        let start = Instant::now();
        let mut inflow = Inflow::new(WORDS, start);
        inflow.too_long(start);
        let mut bytes = 0;
        while inflow.arrived(1000, start) == Verdict::Drop {
            bytes += 1000;
        }
        assert_eq!(inflow.arrived(0, start), Verdict::End);
        assert!((ON_ITS_WAY - ON_ITS_WAY / 10..=ON_ITS_WAY).contains(&bytes), "{bytes}");
    }
}
