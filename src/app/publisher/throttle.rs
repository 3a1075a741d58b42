//! Something that is owed as often as others ask for it, and done once in a while.

use std::time::Duration;

use tokio::time::Instant;

/// Done at once when it is owed, and then no more often than once a gap; however often it was asked for meanwhile, once
/// more.
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

    /// It is asked for.
    pub(super) const fn owe(&mut self) {
        self.owed = true;
    }

    /// It is done in another way.
    pub(super) const fn settle(&mut self) {
        self.owed = false;
    }

    /// Whether to do it now; if so it counts as done.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = self.owed && self.opens().is_none_or(|opens| opens <= now);
        if due {
            (self.owed, self.done) = (false, Some(now));
        }
        due
    }

    /// When it may be done again.
    fn opens(&self) -> Option<Instant> {
        self.done.map(|done| done + self.gap)
    }

    /// When it is due, if it is owed and was done before.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.opens().filter(|_| self.owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_at_once_and_then_once_a_gap() {
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
        assert!(throttle.take(start + 3 * GAP), "the last one is not forgotten");
        assert_eq!(throttle.wakes(), None);
    }
}
