//! The limit on file sizes (`ulimit -f`, `LimitFSIZE=`). The kernel sends SIGXFSZ for a write beyond it, which would end
//! the program without a message.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Makes a write beyond the limit fail like one to a full disk. The signal handler stays installed until the process
/// ends, even without a listener.
pub(super) fn handle() {
    if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
        tracing::debug!(%error, "cannot handle SIGXFSZ; a write beyond the limit on file sizes will end the program");
    }
}
