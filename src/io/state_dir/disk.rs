//! Disk access on a separate thread. A worn SD card can block a write for a minute, and a network file system forever;
//! polls must not wait for either.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::timeout;

/// The maximum number of queued jobs. Each of a thousand gateways has one or two.
const WAITING: usize = 4096;
/// The time limit for a job, short enough that the next poll is not late.
const PATIENCE: Duration = Duration::from_secs(2);

/// An operation on the disk.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one at a time, in the order of submission.
pub trait Worker: Debug + Send + Sync {
    /// Queues a job. Returns `false` if that is impossible.
    fn submit(&self, job: Job) -> bool;
}

/// The disk did not complete a job in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stalled;

/// A handle to the worker that accesses the disk.
#[derive(Clone, Debug)]
pub struct Disk {
    worker: Arc<dyn Worker>,
    /// A job has timed out, and no job has finished since.
    stalled: Arc<AtomicBool>,
}

impl Disk {
    /// Creates a disk whose jobs `worker` runs.
    pub fn new(worker: Arc<dyn Worker>) -> Self {
        Self { worker, stalled: Arc::default() }
    }

    /// Creates a disk whose jobs run on the calling thread.
    pub fn inline() -> Self {
        Self::new(Arc::new(Caller))
    }

    /// Creates a disk whose jobs run on a separate thread, or on the calling thread if no thread can be started.
    pub fn thread() -> Self {
        Self::thread_named("disk")
    }

    /// Creates a disk like [`Self::thread`], whose thread has this name.
    pub fn thread_named(name: &str) -> Self {
        // Its memory grows with what waits. That of the standard library takes 100 kB for so many jobs from the start.
        let (sender, mut jobs) = mpsc::channel::<Job>(WAITING);
        let work = move || {
            while let Some(job) = jobs.blocking_recv() {
                job();
            }
        };
        match thread::Builder::new().name(name.to_owned()).spawn(work) {
            Ok(_ends_with_the_sender) => Self::new(Arc::new(Thread(sender))),
            Err(error) => {
                tracing::warn!(%error, "cannot start a thread for the disk, so polls wait for it; raise TasksMax= or ulimit -u");
                Self::inline()
            }
        }
    }

    /// Queues `job`. Returns `false` if it will not run.
    pub fn start(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let stalled = Arc::clone(&self.stalled);
        self.worker.submit(Box::new(move || {
            job();
            stalled.store(false, Ordering::Relaxed);
        }))
    }

    /// Runs `job` and waits up to [`PATIENCE`] for its result. A job that takes longer still runs. While the disk is
    /// stalled, the job is not queued.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stalled> {
        if self.stalled.load(Ordering::Relaxed) {
            return Err(Stalled);
        }
        self.run_or_undo(PATIENCE, job, drop).await
    }

    /// Queues `job` in any case, and waits up to [`PATIENCE`] for its result. While the disk is stalled, does not wait.
    pub(super) async fn queue<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stalled> {
        let patience = if self.stalled.load(Ordering::Relaxed) { Duration::ZERO } else { PATIENCE };
        self.run_or_undo(patience, job, drop).await
    }

    /// Runs `job`, and waits up to `patience` for its result. A later result, or one whose caller was dropped, is passed to
    /// `undo` before the next job runs.
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
        // A result that has not arrived by now is passed to `undo`.
        result.close();
        if let Ok(value) = result.try_recv() {
            return Ok(value);
        }
        self.stalled.store(true, Ordering::Relaxed);
        Err(Stalled)
    }
}

/// Runs each job at once on the calling thread.
#[derive(Debug)]
struct Caller;

impl Worker for Caller {
    fn submit(&self, job: Job) -> bool {
        job();
        true
    }
}

/// Queues jobs for a separate thread.
#[derive(Debug)]
struct Thread(mpsc::Sender<Job>);

impl Worker for Thread {
    fn submit(&self, job: Job) -> bool {
        self.0.try_send(job).is_ok()
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

    /// Keeps its jobs until [`Stuck::work`].
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
        assert_eq!(start.elapsed(), PATIENCE, "the others failed at once");
        assert_eq!(worker.0.lock().unwrap().len(), 1, "the others are not queued");
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
        assert!(timeout(PATIENCE, run(3)).await.is_err(), "the caller was dropped");
        worker.work();
        assert_eq!(*undone.lock().unwrap(), [2, 3], "one was late, and the caller of the other was dropped");
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
