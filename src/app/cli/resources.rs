//! Resources without which the runtime panics: file descriptors for its signals, and a thread for blocking calls such as
//! the system's resolver. Both are checked at the start, so that the program ends with a message instead.

use std::fs::File;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::app::commands::failure::{Code, Failure};

/// The number of descriptors to check for. The runtime opens five.
const DESCRIPTORS: usize = 8;
/// The maximum number of threads. Each lookup of a host name that hangs takes one, and so does standard output.
const THREADS: usize = 8;
/// Longer than the process lives.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Builds the runtime. Its threads for blocking calls never end: the runtime panics if it has none and can start none.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    probe_descriptors().map_err(|error| {
        missing(format!(
            "cannot open a file: {error}. The limit of open files is reached; raise LimitNOFILE= of the service, \
             `ulimit -n`, or the machine's limit"
        ))
    })?;
    let mut builder = Builder::new_current_thread();
    Ok(builder.enable_all().max_blocking_threads(THREADS).thread_keep_alive(FOREVER).build()?)
}

/// Starts one thread for blocking calls, which later calls then find.
pub(super) fn secure_thread(runtime: &Runtime) -> Result<(), Failure> {
    probe_threads().map_err(|error| {
        missing(format!(
            "cannot start a thread: {error}. The limit of processes is reached; raise TasksMax= of the service, \
             `ulimit -u`, or the machine's limit"
        ))
    })?;
    // The result is not needed: the thread only has to exist.
    drop(runtime.spawn_blocking(|| {}));
    Ok(())
}

/// Checks that as many files can be open at once as the runtime needs.
fn probe_descriptors() -> io::Result<()> {
    let open = |_| File::open("/dev/null");
    (0..DESCRIPTORS).map(open).collect::<Result<Vec<_>, _>>().map(drop)
}

/// Checks that two threads can run at once. Two, because the system may still count one that has just ended.
fn probe_threads() -> io::Result<()> {
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

fn missing(message: String) -> Failure {
    Failure::new(Code::System, message)
}
