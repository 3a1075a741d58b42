//! How often something may happen: a burst at once, and then one each gap.

use std::time::Duration;

use tokio::time::Instant;

/// Lets a burst through and then one a gap.
#[derive(Debug)]
pub struct RateLimit {
    burst: u32,
    gap: Duration,
    /// When what was let through so far would be done at one a gap.
    done: Instant,
}

impl RateLimit {
    /// Lets `burst` through at once, at least one.
    pub const fn new(burst: u32, gap: Duration, now: Instant) -> Self {
        Self { burst, gap, done: now }
    }

    /// When the next one may go.
    pub fn opens(&self) -> Instant {
        self.done.checked_sub(self.gap * self.burst.saturating_sub(1)).unwrap_or(self.done)
    }

    /// Whether one may go now; if so it counts.
    pub fn take(&mut self, now: Instant) -> bool {
        let open = self.opens() <= now;
        if open {
            self.done = self.done.max(now) + self.gap;
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_one_goes_each_gap() {
        const GAP: Duration = Duration::from_millis(100);
        let start = Instant::now();
        let mut limit = RateLimit::new(100, GAP, start);
        let taken = |limit: &mut RateLimit, now| (0..1000).filter(|_| limit.take(now)).count();
        assert_eq!(taken(&mut limit, start), 100);
        assert_eq!(limit.opens(), start + GAP);
        assert_eq!(taken(&mut limit, start + GAP), 1);
        assert_eq!(taken(&mut limit, start + 11 * GAP), 10);
        assert_eq!(taken(&mut limit, start + 10_000 * GAP), 100);
    }
}
