//! A budget of requests that refills steadily.

use std::time::Duration;

use tokio::time::Instant;

/// The budget of one consumer: a minute's worth of requests at once, and then as many as refill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// Creates a full budget for `per_minute` requests.
    pub(super) fn full(per_minute: u32, now: Instant) -> Self {
        Self { left: f64::from(per_minute), at: now }
    }

    /// Takes one request, or returns the time until the next one is possible.
    pub(super) fn take(&mut self, per_minute: u32, now: Instant) -> Result<(), Duration> {
        let (most, rate) = (f64::from(per_minute), f64::from(per_minute) / 60.0);
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate).min(most);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.left) / rate;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_secs(60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minutes_worth_is_possible_at_once_and_then_the_steady_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::full(60, start);
        assert!((0..60).all(|_| bucket.take(60, start).is_ok()));
        let wait = bucket.take(60, start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        assert!(bucket.take(60, start + wait).is_ok());
        assert!(bucket.take(60, start + wait).is_err());
        let later = start + Duration::from_secs(3600);
        assert_eq!(
            (0..100).filter(|_| bucket.take(60, later).is_ok()).count(),
            60,
            "no more than a minute's"
        );
    }
}
