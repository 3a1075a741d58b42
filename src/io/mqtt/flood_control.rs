//! Protection against floods of messages from the broker.
//!
//! Any client that may publish on a subscribed topic can send as much as the network carries, and messages as long as
//! MQTT allows (256 MB). All subscriptions are optional: births, requests, other daemons. So a flood suspends the
//! subscriptions for a while, and publishing continues.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::backoff::doubling;
use crate::base::rate_limit::RateLimit;

/// The number of messages that a daemon accepts at once; a house sends a few a day.
pub const BURST: u32 = 100;
/// The interval after which one more message is accepted.
const INTERVAL: Duration = Duration::from_secs(1);
/// The length of the pause after a flood, and the longest one after repeated floods.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// A flood this long after the last pause counts as the first again.
const RESET_AFTER: Duration = Duration::from_secs(3600);
/// The number of bytes that may be in transit while the broker ends the subscriptions: its queue (mosquitto: 1000
/// messages) and the buffers of the sockets. A broker that sends more ignores the request to unsubscribe.
const IN_TRANSIT: usize = 32 << 20;
/// The cost of a message in addition to its bytes.
const OVERHEAD: usize = 64;

/// Why the subscriptions are suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Too many messages arrived.
    TooMany,
    /// A message was too long.
    TooLong,
}

/// The decision about a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Deliver the message.
    Deliver,
    /// Drop the message.
    Drop,
    /// Drop the message, and suspend the subscriptions.
    Pause,
    /// Drop the message and the connection: the broker keeps sending messages without a subscription.
    Disconnect,
}

/// The record of received messages, over all connections.
#[derive(Debug)]
pub(super) struct FloodControl {
    limit: RateLimit,
    /// The end of the pause.
    until: Option<Instant>,
    pauses: u32,
    /// The bytes received during this pause.
    dropped: usize,
}

impl FloodControl {
    /// Creates the record. `burst` messages may arrive at once.
    pub(super) const fn new(burst: u32, now: Instant) -> Self {
        Self { limit: RateLimit::new(burst, INTERVAL, now), until: None, pauses: 0, dropped: 0 }
    }

    /// Records a message of `bytes` bytes, and decides what to do with it.
    pub(super) fn received(&mut self, bytes: usize, now: Instant) -> Verdict {
        if self.paused_until(now).is_some() {
            self.dropped = self.dropped.saturating_add(bytes + OVERHEAD);
            return if self.dropped > IN_TRANSIT { Verdict::Disconnect } else { Verdict::Drop };
        }
        if self.limit.take(now) {
            return Verdict::Deliver;
        }
        self.pause(now);
        Verdict::Pause
    }

    /// Records that a message was too long, which ended the connection. Returns whether a pause begins.
    pub(super) fn too_long(&mut self, now: Instant) -> bool {
        let begins = self.paused_until(now).is_none();
        if begins {
            self.pause(now);
        }
        begins
    }

    /// Returns the end of the pause, if there is one at `now`.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    fn pause(&mut self, now: Instant) {
        let is_first = self.until.is_none_or(|until| now.saturating_duration_since(until) >= RESET_AFTER);
        self.pauses = if is_first { 1 } else { self.pauses.saturating_add(1) };
        self.until = Some(now + doubling(FIRST_PAUSE, MAX_PAUSE, self.pauses));
        self.dropped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns how many of `count` messages at `now` are delivered.
    fn delivered(flood_control: &mut FloodControl, count: usize, now: Instant) -> usize {
        (0..count).filter(|_| flood_control.received(10, now) == Verdict::Deliver).count()
    }

    #[test]
    fn a_flood_is_delivered_for_a_moment_and_then_ever_more_rarely() {
        let start = Instant::now();
        let mut flood_control = FloodControl::new(BURST, start);
        assert_eq!(delivered(&mut flood_control, 100, start), 100);
        assert_eq!(flood_control.received(10, start), Verdict::Pause);
        // For a day, a thousand messages a second arrive whenever there is a subscription.
        let (mut delivered_count, mut pauses) = (0, 1);
        for second in 0..86_400 {
            let now = start + second * SECOND;
            if flood_control.paused_until(now).is_none() {
                delivered_count += delivered(&mut flood_control, 1000, now);
                pauses += 1;
            }
        }
        assert!(pauses < 40 && delivered_count <= pauses * 100, "{delivered_count} in {pauses}");
    }

    #[test]
    fn all_messages_of_a_normal_house_are_delivered() {
        let start = Instant::now();
        let mut flood_control = FloodControl::new(BURST, start);
        assert_eq!(
            (0..10_000).filter(|n| delivered(&mut flood_control, 1, start + *n * SECOND) == 1).count(),
            10_000
        );
        assert_eq!(flood_control.paused_until(start), None);
    }

    #[test]
    fn a_pause_after_a_quiet_hour_is_a_first_one() {
        let start = Instant::now();
        let mut flood_control = FloodControl::new(BURST, start);
        assert!(flood_control.too_long(start));
        assert!(!flood_control.too_long(start), "it is paused already");
        assert_eq!(flood_control.paused_until(start), Some(start + 60 * SECOND));
        let again = start + 60 * SECOND;
        assert!(flood_control.too_long(again));
        assert_eq!(flood_control.paused_until(again), Some(again + 120 * SECOND));
        let later = again + 120 * SECOND + RESET_AFTER;
        assert!(flood_control.too_long(later));
        assert_eq!(flood_control.paused_until(later), Some(later + 60 * SECOND));
    }

    #[test]
    fn a_broker_that_ignores_unsubscribing_is_disconnected() {
        let start = Instant::now();
        let mut flood_control = FloodControl::new(BURST, start);
        flood_control.too_long(start);
        let mut bytes = 0;
        while flood_control.received(1000, start) == Verdict::Drop {
            bytes += 1000;
        }
        assert_eq!(flood_control.received(0, start), Verdict::Disconnect);
        assert!((IN_TRANSIT - IN_TRANSIT / 10..=IN_TRANSIT).contains(&bytes), "{bytes}");
    }
}
