//! What the runtime panics without: descriptors for its signals, and a thread for what can only wait, such as the
//! system's resolver. Both are made sure of at the start, or the program ends in words.

use std::fs::File;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::app::commands::failure::{Code, Failure};

/// The runtime opens five.
const DESCRIPTORS: usize = 8;
/// Lookups of names that hang, and a reader of standard output that does, take one thread each.
const THREADS: usize = 8;
/// As long as any machine runs.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The runtime. Its threads for what waits stay once they are started: it panics when it finds none and can start none.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    probe_descriptors().map_err(|error| {
        missing(format!(
            "cannot open a file: {error}. The limit of open files is reached: LimitNOFILE= of the service, `ulimit -n`, or \
             the machine's own"
        ))
    })?;
    let mut builder = Builder::new_current_thread();
    Ok(builder.enable_all().max_blocking_threads(THREADS).thread_keep_alive(FOR_GOOD).build()?)
}

/// Makes sure of one thread for what waits, for the life of the program. Later calls find it, whatever the system has
/// left by then.
pub(super) fn secure_thread(runtime: &Runtime) -> Result<(), Failure> {
    probe_threads().map_err(|error| {
        missing(format!(
            "cannot start a thread: {error}. The limit of processes is reached: TasksMax= of the service, `ulimit -u`, or \
             the machine's own"
        ))
    })?;
    // Not waited for: it only has to exist.
    drop(runtime.spawn_blocking(|| {}));
    Ok(())
}

/// Whether as many descriptors can be had at once as the runtime takes.
fn probe_descriptors() -> io::Result<()> {
    let open = |_| File::open("/dev/null");
    (0..DESCRIPTORS).map(open).collect::<Result<Vec<_>, _>>().map(drop)
}

/// Whether two threads can be had at once. Two, because the system may still count one that has just ended.
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

fn missing(words: String) -> Failure {
    Failure::new(Code::System, words)
}
