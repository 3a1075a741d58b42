//! Everything that the daemon needs besides its configuration.

use fastrand::Rng;
use tokio::sync::mpsc;

use super::notify::Notify;
use crate::app::listeners::Listeners;
use crate::base::clock::Clock;
use crate::io::state_dir::{Disk, StateDir};

/// Everything that the daemon needs besides its configuration.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Inputs {
    pub state: StateDir,
    pub clock: Clock,
    pub rng: Rng,
    pub notify: Notify,
    /// Receives a message for each request to reload the configuration.
    pub hangups: mpsc::Receiver<()>,
    /// Receives a message for each stop signal after the first, which means that there is no time to wait.
    pub more_stops: mpsc::Receiver<()>,
    /// The listeners, if they are open already. Otherwise the daemon opens those of its configuration.
    pub listeners: Option<Listeners>,
    /// The worker that writes the history. A thread of its own, because another program may lock the file for minutes.
    pub history_disk: Disk,
}
