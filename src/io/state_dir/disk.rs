//! Work on the disk, away from the thread that everything else runs on. A worn SD card can hold up a write for a
//! minute, and a network file system for ever; polls must not wait for it.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::timeout;

/// How many jobs may wait. Each of a thousand gateways has one or two.
const WAITING: usize = 4096;
/// How long reading may take before it counts as failed: the next poll must not be late.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Something to be done on the disk.
pub type Job = Box<dyn FnOnce() + Send>;

/// Carries out jobs one after the other, in the order in which they came.
pub trait Worker: Debug + Send + Sync {
    /// Takes a job on; `false` when it cannot.
    fn submit(&self, job: Job) -> bool;
}

/// The disk did not do in time what was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stalled;

/// The way to the disk.
#[derive(Clone, Debug)]
pub struct Disk {
    worker: Arc<dyn Worker>,
    /// A job has taken too long, and none has ended since.
    stalled: Arc<AtomicBool>,
}

impl Disk {
    /// A disk whose jobs `worker` carries out.
    pub fn new(worker: Arc<dyn Worker>) -> Self {
        Self { worker, stalled: Arc::default() }
    }

    /// Jobs are carried out by the caller, who waits.
    pub fn inline() -> Self {
        Self::new(Arc::new(Caller))
    }

    /// Jobs are carried out by a thread of their own; by the caller where there is none to be had.
    pub fn thread() -> Self {
        let (sender, jobs) = sync_channel::<Job>(WAITING);
        let work = move || jobs.into_iter().for_each(|job| job());
        match thread::Builder::new().name("disk".to_owned()).spawn(work) {
            Ok(_ends_with_the_sender) => Self::new(Arc::new(Thread(sender))),
            Err(error) => {
                tracing::warn!(%error, "no thread can be started for the disk: polls will wait for it (TasksMax=, ulimit -u)");
                Self::inline()
            }
        }
    }

    /// Lets `job` be done; `false` when it will not be.
    pub(super) fn start(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let stalled = Arc::clone(&self.stalled);
        self.worker.submit(Box::new(move || {
            job();
            stalled.store(false, Ordering::Relaxed);
        }))
    }

    /// Lets `job` be done, and waits for its result up to `patience`. What comes later is done all the same. While
    /// nothing moves, what must be quick fails at once.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stalled> {
        if patience <= PATIENCE && self.stalled.load(Ordering::Relaxed) {
            return Err(Stalled);
        }
        let (done, mut result) = oneshot::channel();
        // Nobody may be waiting any more when it is done.
        if !self.start(move || drop(done.send(job()))) {
            return Err(Stalled);
        }
        match result.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Closed) => return Err(Stalled),
            Err(TryRecvError::Empty) => {}
        }
        if let Ok(result) = timeout(patience, result).await {
            return result.map_err(|_lost| Stalled);
        }
        self.stalled.store(true, Ordering::Relaxed);
        Err(Stalled)
    }
}

/// The caller carries out each job at once.
#[derive(Debug)]
struct Caller;

impl Worker for Caller {
    fn submit(&self, job: Job) -> bool {
        job();
        true
    }
}

/// A thread carries them out.
#[derive(Debug)]
struct Thread(SyncSender<Job>);

impl Worker for Thread {
    fn submit(&self, job: Job) -> bool {
        match self.0.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_thread_does_what_is_asked_in_order() {
        let (disk, done) = (Disk::thread(), Arc::new(Mutex::new(Vec::new())));
        for number in 0..100 {
            let done = Arc::clone(&done);
            let job = move || {
                done.lock().unwrap().push(number);
                thread::current().name().map(str::to_owned)
            };
            assert_eq!(disk.run(Duration::from_secs(60), job).await, Ok(Some("disk".to_owned())));
        }
        assert_eq!(*done.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    /// Keeps its jobs until they are called for.
    #[derive(Debug, Default)]
    struct Stuck(Mutex<Vec<Kept>>);

    struct Kept(Job);

    impl Debug for Kept {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Kept")
        }
    }

    impl Stuck {
        fn work(&self) {
            let jobs: Vec<Kept> = self.0.lock().unwrap().drain(..).collect();
            for Kept(job) in jobs {
                job();
            }
        }
    }

    impl Worker for Stuck {
        fn submit(&self, job: Job) -> bool {
            self.0.lock().unwrap().push(Kept(job));
            true
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_hangs_is_waited_for_once_and_then_not_until_it_moves() {
        let worker = Arc::new(Stuck::default());
        let disk = Disk::new(Arc::clone(&worker) as Arc<dyn Worker>);
        let start = tokio::time::Instant::now();
        assert_eq!(disk.run(PATIENCE, || 1).await, Err(Stalled));
        assert_eq!(start.elapsed(), PATIENCE);
        for _ in 0..10 {
            assert_eq!(disk.run(PATIENCE, || 2).await, Err(Stalled));
        }
        assert_eq!(start.elapsed(), PATIENCE, "the rest failed at once");
        assert_eq!(worker.0.lock().unwrap().len(), 1, "and does not pile up");
        worker.work();
        let (result, ()) = tokio::join!(disk.run(PATIENCE, || 3), async { worker.work() });
        assert_eq!(result, Ok(3));
    }

    #[tokio::test]
    async fn a_worker_that_takes_nothing_or_loses_it_is_an_error() {
        #[derive(Debug)]
        struct Lazy(bool);
        impl Worker for Lazy {
            fn submit(&self, _job: Job) -> bool {
                self.0
            }
        }
        for takes in [false, true] {
            assert_eq!(Disk::new(Arc::new(Lazy(takes))).run(PATIENCE, || ()).await, Err(Stalled));
        }
    }
}
