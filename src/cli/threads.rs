//! Threads beside the one that everything runs on: for what can only wait, such as the system's resolver.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::commands::failure::{Code, Failure};

/// Lookups of names that hang, and a reader of standard output that does, take one thread each.
const MOST: usize = 8;
/// As long as any machine runs.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The runtime. Its threads for what waits stay once they are started: it panics when it finds none and can start none.
pub(super) fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(MOST).thread_keep_alive(FOR_GOOD).build()
}

/// Makes sure of one thread for what waits, for the life of the program. Later calls find it, whatever the system has
/// left by then.
pub(super) fn secure(runtime: &Runtime) -> Result<(), Failure> {
    probe().map_err(|error| none(&error))?;
    // Not waited for: it only has to exist.
    drop(runtime.spawn_blocking(|| {}));
    Ok(())
}

/// Whether two threads can be had at once. Two, because the system may still count one that has just ended.
fn probe() -> io::Result<()> {
    let (ends, waits) = mpsc::channel::<()>();
    let wait = move || waits.recv().unwrap_or_default();
    let first = thread::Builder::new().spawn(wait)?;
    let second = thread::Builder::new().spawn(|| {});
    drop(ends);
    // Neither can panic.
    first.join().ok();
    second?.join().ok();
    Ok(())
}

fn none(error: &io::Error) -> Failure {
    let message = format!(
        "cannot start a thread: {error}. The limit of processes is reached: TasksMax= of the service, `ulimit -u`, or \
         the machine's own"
    );
    Failure::new(Code::System, message)
}
