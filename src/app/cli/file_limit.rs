//! The limit on the size of files (`ulimit -f`, `LimitFSIZE=`). Beyond it the kernel sends SIGXFSZ, which would end
//! the program before it can say anything.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Lets a write beyond the limit fail like one to a full disk. A handler stays for the life of the process, also when
/// nobody listens.
pub(super) fn survive() {
    if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
        tracing::debug!(%error, "a write beyond the limit on the size of files will end the program");
    }
}
