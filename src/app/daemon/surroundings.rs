//! What a daemon is given beside its configuration.

use fastrand::Rng;
use tokio::sync::mpsc;

use super::notify::Notify;
use crate::base::clock::Clock;
use crate::io::state_dir::StateDir;

/// What a daemon is given beside its configuration.
#[derive(Debug)]
pub struct Surroundings {
    /// The state directory.
    pub state: StateDir,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub rng: Rng,
    /// Who is told about its state.
    pub notify: Notify,
    /// A message for each wish to read the configuration again.
    pub hangups: mpsc::Receiver<()>,
    /// A message for each signal to stop after the first: whoever sends it has no time.
    pub again: mpsc::Receiver<()>,
}
