//! Heartbeats of tasks, for systemd's watchdog and for `/livez`.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The interval between beats while a task waits.
pub const BEAT: Duration = Duration::from_secs(20);

/// A task whose last heartbeat is older has stopped responding. The longest time between two heartbeats is a page of a
/// gateway without TLS: `/info` is requested first, and each of the two requests may be repeated on a new connection
/// (twice 45 s to wait and 10 s to connect). A task sends heartbeats while it waits for a login, which may take three
/// minutes.
const MAX_AGE: Duration = Duration::from_secs(240);

/// The heartbeat of one task. The task beats; clones of the heartbeat are monitored elsewhere.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    born: Instant,
    /// Milliseconds from `born` to the newest beat.
    beat: Arc<AtomicU64>,
}

impl Heartbeat {
    /// Creates a heartbeat that has just beaten.
    pub fn new() -> Self {
        Self { born: Instant::now(), beat: Arc::new(AtomicU64::new(0)) }
    }

    /// Records that the task is alive.
    pub fn beat(&self) {
        let passed = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(passed, Ordering::Relaxed);
    }

    /// Waits for `work` and beats meanwhile, for at most `most`, which is longer than the timeouts within `work`.
    pub async fn during<T>(&self, most: Duration, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let start = Instant::now();
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.beat();
                    return done;
                }
                () = sleep(BEAT) => if start.elapsed() <= most { self.beat() },
            }
        }
    }

    /// Returns the time since the last beat, to the millisecond.
    pub fn age(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.beat.load(Ordering::Relaxed)))
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

/// The heartbeats of all tasks that run. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats(Arc<Mutex<Vec<Heartbeat>>>);

impl Heartbeats {
    /// Replaces the tasks.
    pub fn set(&self, all: Vec<Heartbeat>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// Returns `true` if every task responds.
    pub fn all_respond(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().all(|heartbeat| heartbeat.age() < MAX_AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_is_seen_by_its_age() {
        let heartbeat = Heartbeat::new();
        let seen = heartbeat.clone();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(seen.age(), Duration::from_secs(7));
        heartbeat.beat();
        assert_eq!(seen.age(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_beats_while_it_waits_but_not_for_ever() {
        let heartbeat = Heartbeat::new();
        let seen = heartbeat.clone();
        let wait = heartbeat.during(Duration::from_secs(100), sleep(Duration::from_secs(200)));
        let look = async {
            sleep(Duration::from_secs(99)).await;
            assert!(seen.age() < BEAT, "{:?}", seen.age());
            sleep(Duration::from_secs(100)).await;
            assert!(seen.age() >= Duration::from_secs(99), "{:?}", seen.age());
        };
        tokio::join!(wait, look);
        assert_eq!(heartbeat.age(), Duration::ZERO);
    }
}
