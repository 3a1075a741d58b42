//! How fast announcements may go out. Domoticz takes ten messages a second (2022.2 to 2025.1), and what waits
//! for it beyond the broker's queue (mosquitto: 1000 a client) is dropped.

use std::time::Duration;

use tokio::time::Instant;

/// How many announcements may go at once: all of a house without details.
const BURST: u32 = 100;
/// One more after each of these.
const GAP: Duration = Duration::from_millis(100);

/// Lets a burst through and then one message a gap.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the messages let through so far would be done at one a gap.
    done: Instant,
}

impl Pace {
    pub(super) const fn new(now: Instant) -> Self {
        Self { done: now }
    }

    /// When the next one may go.
    pub(super) fn opens(&self) -> Instant {
        self.done.checked_sub(GAP * (BURST - 1)).unwrap_or(self.done)
    }

    /// Whether one may go now; if so it counts.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let open = self.opens() <= now;
        if open {
            self.done = self.done.max(now) + GAP;
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_one_goes_each_gap() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let taken = |pace: &mut Pace, now| (0..1000).filter(|_| pace.take(now)).count();
        assert_eq!(taken(&mut pace, start), 100);
        assert_eq!(pace.opens(), start + GAP);
        assert_eq!(taken(&mut pace, start + GAP), 1);
        assert_eq!(taken(&mut pace, start + 11 * GAP), 10);
        assert_eq!(taken(&mut pace, start + 10_000 * GAP), 100);
    }
}
