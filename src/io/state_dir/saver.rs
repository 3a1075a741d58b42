//! Writes a state file in the background, for data that must not delay a poll.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::health::Act;
use super::{Error, StateDir, json};

/// Writes one state file in the background. At most one write is in progress and one is pending, which is the newest.
#[derive(Debug)]
pub struct Saver {
    name: String,
    slot: Arc<watch::Sender<Slot>>,
}

/// The state that the writer and its user share.
#[derive(Debug, Default)]
struct Slot {
    waiting: Option<Zeroizing<Vec<u8>>>,
    /// `true` while a job is running. It writes the pending contents until there are none.
    busy: bool,
    outcome: Option<Result<(), Error>>,
}

impl Slot {
    fn next(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let next = self.waiting.take();
        self.busy = next.is_some();
        next
    }
}

impl Saver {
    /// Creates a writer of the file `name`.
    pub fn new(name: String) -> Self {
        Self { name, slot: Arc::new(watch::Sender::new(Slot::default())) }
    }

    /// Starts writing `value`, and discards a pending older value.
    pub fn save<T: Serialize>(&self, state: &StateDir, value: &T) {
        let path = || state.path().join(&self.name);
        let bytes = match json(value) {
            Ok(bytes) => bytes,
            Err(source) => return self.end(Err(Error::Unwritable { path: path(), source })),
        };
        let mut was_busy = true;
        self.slot.send_modify(|slot| {
            slot.waiting = Some(bytes);
            was_busy = slot.busy;
            slot.busy = true;
        });
        if was_busy {
            return;
        }
        let (slot, directory, name) = (Arc::clone(&self.slot), state.directory.clone(), self.name.clone());
        let write = move || {
            loop {
                let mut next = None;
                slot.send_modify(|slot| next = slot.next());
                let Some(bytes) = next else { return };
                let outcome =
                    directory.work(Act::Write, &name, |directory, name| directory.replace(name, &bytes));
                slot.send_modify(|slot| slot.outcome = Some(outcome));
            }
        };
        if !state.disk.start(write) {
            self.slot.send_modify(|slot| *slot = Slot::default());
            self.end(Err(Error::Stalled { path: path() }));
        }
    }

    fn end(&self, outcome: Result<(), Error>) {
        self.slot.send_modify(|slot| slot.outcome = Some(outcome));
    }

    /// Returns and clears the outcome of the last finished write.
    pub fn outcome(&self) -> Option<Result<(), Error>> {
        let mut outcome = None;
        self.slot.send_if_modified(|slot| {
            outcome = slot.outcome.take();
            false
        });
        outcome
    }

    /// Returns whether no write is in progress or pending.
    pub fn is_idle(&self) -> bool {
        !self.slot.borrow().busy
    }

    /// Waits up to `patience` for all writes to finish. Returns whether they have.
    pub async fn finish(&self, patience: Duration) -> bool {
        let mut slot = self.slot.subscribe();
        timeout(patience, async { drop(slot.wait_for(|slot| !slot.busy).await) }).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::io::state_dir::{Disk, Job, Stored, Worker};

    /// Keeps its jobs until [`Later::work`].
    #[derive(Default)]
    struct Later(Mutex<Vec<Job>>);

    impl std::fmt::Debug for Later {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Later")
        }
    }

    impl Later {
        fn work(&self) -> usize {
            let jobs: Vec<Job> = self.0.lock().unwrap().drain(..).collect();
            jobs.into_iter().map(|job| job()).count()
        }
    }

    impl Worker for Later {
        fn submit(&self, job: Job) -> bool {
            self.0.lock().unwrap().push(job);
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_is_written_and_only_one_write_waits() {
        let outer = tempfile::tempdir().unwrap();
        let plain = StateDir::open(outer.path()).unwrap();
        let worker = Arc::new(Later::default());
        let state = plain.clone().on(Disk::new(Arc::clone(&worker) as Arc<dyn Worker>));
        let saver = Saver::new("a.json".to_owned());
        (0..1000).for_each(|number| saver.save(&state, &number));
        assert!(saver.outcome().is_none());
        assert!(!saver.finish(Duration::from_secs(1)).await, "the disk does nothing");
        assert_eq!(worker.work(), 1);
        assert!(saver.finish(Duration::ZERO).await);
        assert!(matches!(saver.outcome(), Some(Ok(()))));
        assert!(matches!(plain.read("a.json").await, Ok(Stored::Found(999))));
        saver.save(&state, &1000);
        assert_eq!(worker.work(), 1);
        assert!(matches!(plain.read("a.json").await, Ok(Stored::Found(1000))));
    }

    #[tokio::test]
    async fn a_thread_and_many_writes_end_with_the_newest() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateDir::open(outer.path()).unwrap().on(Disk::thread());
        let saver = Saver::new("a.json".to_owned());
        for number in 0..300 {
            saver.save(&state, &number);
            if number % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert!(saver.finish(Duration::from_secs(60)).await);
        assert!(matches!(saver.outcome(), Some(Ok(()))));
        assert!(matches!(state.read("a.json").await, Ok(Stored::Found(299))));
    }
}
