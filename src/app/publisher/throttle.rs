//! An action that other clients can request as often as they like, and that is limited in frequency.

use std::time::Duration;

use tokio::time::Instant;

/// An action that is performed immediately when requested, and then at most once per gap. Requests during the gap lead to
/// one action after it.
#[derive(Debug)]
pub(super) struct Throttle {
    gap: Duration,
    owed: bool,
    done: Option<Instant>,
}

impl Throttle {
    pub(super) const fn new(gap: Duration) -> Self {
        Self { gap, owed: false, done: None }
    }

    /// Requests the action.
    pub(super) const fn owe(&mut self) {
        self.owed = true;
    }

    /// Cancels a request, because the action happens anyway.
    pub(super) const fn settle(&mut self) {
        self.owed = false;
    }

    /// Returns whether to perform the action now; if so, records it as done.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = self.owed && self.opens().is_none_or(|opens| opens <= now);
        if due {
            (self.owed, self.done) = (false, Some(now));
        }
        due
    }

    /// Returns the end of the current gap.
    fn opens(&self) -> Option<Instant> {
        self.done.map(|done| done + self.gap)
    }

    /// Returns the time of a requested action that waits for the end of the gap.
    pub(super) fn wakes(&self) -> Option<Instant> {
        if self.owed { self.opens() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_happens_immediately_and_then_once_per_gap() {
        const GAP: Duration = Duration::from_secs(10);
        let start = Instant::now();
        let mut throttle = Throttle::new(GAP);
        assert!(!throttle.take(start));
        let mut done = Vec::new();
        for second in 0..25 {
            let now = start + Duration::from_secs(second);
            for _ in 0..1000 {
                throttle.owe();
                if throttle.take(now) {
                    done.push(second);
                }
            }
        }
        assert_eq!(done, [0, 10, 20]);
        assert_eq!(throttle.wakes(), Some(start + 3 * GAP));
        assert!(throttle.take(start + 3 * GAP), "the last request is not lost");
        assert_eq!(throttle.wakes(), None);
    }
}
