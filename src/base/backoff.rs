//! Growing delays between attempts. The only user of `backoff`, which nobody maintains any more: as a pure
//! series of numbers it has nothing left to go wrong, and leaving it is a change to this file alone.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use fastrand::Rng;

/// The share of a delay that chance may add, so that a street of daemons does not call at once.
const JITTER: f64 = 0.1;

/// Delays that double from the first to the longest and then stay there.
#[derive(Debug)]
pub struct Delays {
    series: ExponentialBackoff,
    longest: Duration,
}

impl Delays {
    /// A series that begins with `first`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        let mut series = ExponentialBackoff {
            initial_interval: first,
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: longest,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        series.reset();
        Self { series, longest }
    }

    /// The next delay of the row.
    pub fn next_delay(&mut self) -> Duration {
        self.series.next_backoff().unwrap_or(self.longest).min(self.longest)
    }

    /// Begins again with the first delay.
    pub fn reset(&mut self) {
        self.series.reset();
    }
}

/// The delay after `failures` failures in a row: `first`, twice that, and so on up to `longest`.
pub fn doubling(first: Duration, longest: Duration, failures: u32) -> Duration {
    let mut delays = Delays::new(first, longest);
    // Far fewer doublings than this reach any `longest`; the record's count may be larger.
    (1..failures.min(64)).fold(delays.next_delay(), |_, _| delays.next_delay())
}

/// `delay` and up to a tenth more; never less, so that no hold-off opens early.
pub fn with_jitter(delay: Duration, rng: &mut Rng) -> Duration {
    delay.mul_f64(1.0 + JITTER * rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn delays_double_up_to_the_longest() {
        let minutes: Vec<u64> =
            (1..=9).map(|n| doubling(5 * MINUTE, 360 * MINUTE, n).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 320, 360, 360]);
    }

    #[test]
    fn no_failure_yet_gives_the_first_delay() {
        assert_eq!(doubling(MINUTE, 10 * MINUTE, 0), MINUTE);
        assert_eq!(doubling(MINUTE, 10 * MINUTE, u32::MAX), 10 * MINUTE);
    }

    #[test]
    fn jitter_only_adds() {
        let mut rng = Rng::with_seed(7);
        for _ in 0..1000 {
            let delay = with_jitter(MINUTE, &mut rng);
            assert!(delay >= MINUTE && delay <= MINUTE.mul_f64(1.1));
        }
    }

    #[test]
    fn a_reset_row_begins_again() {
        let mut delays = Delays::new(MINUTE, 10 * MINUTE);
        delays.next_delay();
        delays.next_delay();
        delays.reset();
        assert_eq!(delays.next_delay(), MINUTE);
    }
}
