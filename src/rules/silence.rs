//! The time without a reading after which a gateway is offline. It is judged by time, not at polls: a poll may hang, and
//! polls become rarer while a gateway fails.

use std::time::Duration;

use tokio::time::Instant;

/// The time without a reading after which a gateway is offline.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time for the response to the third poll, where three intervals are longer than that.
const RESPONSE: Duration = Duration::from_secs(5);

/// The silence of one gateway.
#[derive(Debug)]
pub struct Silence {
    patience: Duration,
    start: Instant,
    last_reading: Option<Instant>,
    is_offline: bool,
}

impl Silence {
    /// Creates the state of a gateway that is polled every `interval` from `start` on.
    pub fn new(interval: Duration, start: Instant) -> Self {
        let patience = if 3 * interval < PATIENCE { PATIENCE } else { 3 * interval + RESPONSE };
        Self { patience, start, last_reading: None, is_offline: false }
    }

    /// Returns the time without a reading after which the gateway is offline.
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Returns whether the gateway has given a reading yet.
    pub const fn has_read(&self) -> bool {
        self.last_reading.is_some()
    }

    /// Returns when the gateway becomes offline if it gives no reading. `None` if it is offline already.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_offline { None } else { Some(self.last_reading.unwrap_or(self.start) + self.patience) }
    }

    /// Records a reading.
    pub const fn reading_arrived(&mut self, now: Instant) {
        self.last_reading = Some(now);
        self.is_offline = false;
    }

    /// Records a poll without a reading. Returns whether the gateway is offline: its silence is too long, or it has given
    /// no reading yet.
    pub fn poll_failed(&mut self, now: Instant) -> bool {
        self.is_offline |= !self.has_read() || self.deadline().is_some_and(|deadline| deadline <= now);
        self.is_offline
    }

    /// Begins again with another gateway at `now`.
    pub const fn restart(&mut self, now: Instant) {
        *self = Self { patience: self.patience, start: now, last_reading: None, is_offline: false };
    }

    /// Records that the deadline has passed.
    pub const fn deadline_passed(&mut self) {
        self.is_offline = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_gateway_is_offline_two_minutes_after_its_last_reading_whatever_is_polled() {
        let start = Instant::now();
        let mut silence = Silence::new(30 * SECOND, start);
        assert_eq!(silence.deadline(), Some(start + 120 * SECOND));
        silence.reading_arrived(start + SECOND);
        assert!(!silence.poll_failed(start + 120 * SECOND));
        assert_eq!(silence.deadline(), Some(start + 121 * SECOND));
        silence.deadline_passed();
        assert_eq!(silence.deadline(), None);
        assert!(silence.poll_failed(start + 150 * SECOND));
        silence.reading_arrived(start + 160 * SECOND);
        assert!(!silence.poll_failed(start + 190 * SECOND));
        assert!(silence.poll_failed(start + 280 * SECOND));
        assert_eq!(silence.deadline(), None, "it is offline already");
    }

    #[test]
    fn a_gateway_without_a_reading_yet_is_offline_at_the_first_failure() {
        let start = Instant::now();
        assert!(Silence::new(30 * SECOND, start).poll_failed(start));
    }

    proptest::proptest! {
        #[test]
        fn two_failed_polls_take_no_gateway_offline(interval in 1_u64..4000, took in 0_u64..5000) {
            let start = Instant::now();
            let mut silence = Silence::new(Duration::from_secs(interval), start);
            silence.reading_arrived(start);
            let third = start + Duration::from_millis(3000 * interval + took);
            let deadline = silence.deadline().unwrap();
            proptest::prop_assert!(deadline >= start + 120 * SECOND);
            proptest::prop_assert!(interval < 40 || deadline > third);
        }
    }
}
