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
/// How long the disk is waited for: the next poll must not be late.
const PATIENCE: Duration = Duration::from_secs(2);

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

    /// Lets `job` be done and waits for its result for a moment. Where it takes longer it is done all the same; while nothing
    /// moves it is not even begun.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stalled> {
        if self.stalled.load(Ordering::Relaxed) {
            return Err(Stalled);
        }
        self.run_or_undo(PATIENCE, job, drop).await
    }

    /// Lets `job` be done and waits for its result for a moment, and not at all while nothing moves. It is done when the
    /// disk comes to it.
    pub(super) async fn queue<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stalled> {
        let patience = if self.stalled.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
        self.run_or_undo(patience, job, drop).await
    }

    /// Lets `job` be done, and waits for its result up to `patience`. A result that comes later, or that nobody waits for
    /// any more, is given to `undo` before anything else is done.
    pub(super) async fn run_or_undo<T: Send + 'static>(
        &self,
        patience: Duration,
        job: impl FnOnce() -> T + Send + 'static,
        undo: impl FnOnce(T) + Send + 'static,
    ) -> Result<T, Stalled> {
        let (done, mut result) = oneshot::channel();
        if !self.start(move || done.send(job()).unwrap_or_else(undo)) {
            return Err(Stalled);
        }
        match result.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Closed) => return Err(Stalled),
            Err(TryRecvError::Empty) => {}
        }
        if let Ok(result) = timeout(patience, &mut result).await {
            return result.map_err(|_lost| Stalled);
        }
        // From here on it is undone, unless it is here already.
        result.close();
        if let Ok(value) = result.try_recv() {
            return Ok(value);
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
            assert_eq!(
                disk.run_or_undo(Duration::from_secs(60), job, drop).await,
                Ok(Some("disk".to_owned()))
            );
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
        assert_eq!(disk.run(|| 1).await, Err(Stalled));
        assert_eq!(start.elapsed(), PATIENCE);
        for _ in 0..10 {
            assert_eq!(disk.run(|| 2).await, Err(Stalled));
        }
        assert_eq!(start.elapsed(), PATIENCE, "the rest failed at once");
        assert_eq!(worker.0.lock().unwrap().len(), 1, "and does not pile up");
        worker.work();
        let (result, ()) = tokio::join!(disk.run(|| 3), async { worker.work() });
        assert_eq!(result, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_too_late_is_undone_and_what_comes_in_time_is_not() {
        let worker = Arc::new(Stuck::default());
        let disk = Disk::new(Arc::clone(&worker) as Arc<dyn Worker>);
        let undone = Arc::new(Mutex::new(Vec::new()));
        let run = |number: i32| {
            let undone = Arc::clone(&undone);
            disk.run_or_undo(2 * PATIENCE, move || number, move |late| undone.lock().unwrap().push(late))
        };
        let (in_time, ()) = tokio::join!(run(1), async {
            tokio::time::sleep(PATIENCE).await;
            worker.work();
        });
        assert_eq!(in_time, Ok(1));
        assert_eq!(run(2).await, Err(Stalled));
        assert!(timeout(PATIENCE, run(3)).await.is_err(), "it is not waited for any more");
        worker.work();
        assert_eq!(*undone.lock().unwrap(), [2, 3], "late, and dropped by whoever waited");
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
            assert_eq!(Disk::new(Arc::new(Lazy(takes))).run(|| ()).await, Err(Stalled));
        }
    }
}
