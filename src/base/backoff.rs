//! Growing delays between attempts.
//!
//! This is the only user of the crate `backoff`, which is not maintained any more. It only computes a series of numbers,
//! and replacing it would change only this file.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use fastrand::Rng;

/// The largest random share added to a delay, so that many daemons do not send requests at the same time.
const JITTER: f64 = 0.1;

/// A series of delays that double from the first up to the longest.
#[derive(Debug)]
pub struct Delays {
    series: ExponentialBackoff,
    longest: Duration,
}

impl Delays {
    /// Creates a series that begins with `first`.
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

    /// Returns the next delay of the series.
    pub fn next_delay(&mut self) -> Duration {
        self.series.next_backoff().unwrap_or(self.longest).min(self.longest)
    }

    /// Restarts the series.
    pub fn reset(&mut self) {
        self.series.reset();
    }
}

/// Returns the delay after `failures` consecutive failures: `first`, twice that, and so on up to `longest`.
pub fn doubling(first: Duration, longest: Duration, failures: u32) -> Duration {
    let mut delays = Delays::new(first, longest);
    // 64 doublings reach any `longest`; the number of failures may be larger.
    (1..failures.min(64)).fold(delays.next_delay(), |_, _| delays.next_delay())
}

/// Returns `delay` plus up to a tenth; never less, so that no hold-off ends early.
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
