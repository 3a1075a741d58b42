//! Everything that the daemon needs besides its configuration.

use fastrand::Rng;
use tokio::sync::mpsc;

use super::notify::Notify;
use crate::app::history::disks::Disks;
use crate::app::listeners::Listeners;
use crate::base::clock::Clock;
use crate::io::state_dir::StateDir;

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
    /// The workers that write and read the history. Threads of their own, because another program may lock the file.
    pub history_disks: Disks,
}
