//! A rate limit that allows a burst, and then one action per interval.

use std::time::Duration;

use tokio::time::Instant;

/// A limit on the rate of actions.
#[derive(Debug)]
pub struct RateLimit {
    burst: u32,
    gap: Duration,
    /// The time at which the actions so far would be done at one per `gap`.
    done: Instant,
}

impl RateLimit {
    /// Creates a limit that allows `burst` actions at once, at least one, and then one per `gap`.
    pub const fn new(burst: u32, gap: Duration, now: Instant) -> Self {
        Self { burst, gap, done: now }
    }

    /// Returns the time of the next allowed action.
    pub fn opens(&self) -> Instant {
        self.done.checked_sub(self.gap * self.burst.saturating_sub(1)).unwrap_or(self.done)
    }

    /// Returns the time at which the actions so far would be done at one per `gap`.
    pub const fn idle(&self) -> Instant {
        self.done
    }

    /// Returns `true` if an action is allowed `now`, and counts it.
    pub fn take(&mut self, now: Instant) -> bool {
        let is_allowed = self.opens() <= now;
        if is_allowed {
            self.done = self.done.max(now) + self.gap;
        }
        is_allowed
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
        assert_eq!((limit.opens(), limit.idle()), (start + GAP, start + 100 * GAP));
        assert_eq!(taken(&mut limit, start + GAP), 1);
        assert_eq!(taken(&mut limit, start + 11 * GAP), 10);
        assert_eq!(taken(&mut limit, start + 10_000 * GAP), 100);
    }
}
