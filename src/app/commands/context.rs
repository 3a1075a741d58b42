//! The dependencies of every command.

use std::path::PathBuf;

use fastrand::Rng;

use super::failure::Failure;
use crate::app::config::Config;
use crate::app::config::environment::Environment;
use crate::app::daemon;
use crate::app::poller::{Reader, Shared};
use crate::app::token_provider::ending::Ending;
use crate::base::clock::Clock;
use crate::base::heartbeat::Heartbeat;
use crate::io::state_dir::{Entrance, StateDir};

/// The dependencies of a command, and the state directory once it is open.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Context {
    pub config: Config,
    pub environment: Environment,
    pub clock: Clock,
    pub rng: Rng,
    /// The state directory or the reason that it cannot be used; `None` before the first use.
    state: Option<Result<StateDir, Failure>>,
    /// The directory of the history, if the command reads only that.
    history: Option<Result<PathBuf, Failure>>,
    /// Lets the end of the program wait for a login that is in progress.
    ending: Ending,
}

impl Context {
    /// Creates the context of a command that uses `config`.
    pub fn new(config: Config, environment: Environment, clock: Clock, rng: Rng) -> Self {
        Self { config, environment, clock, rng, state: None, history: None, ending: Ending::default() }
    }

    /// Opens the state directory. A process of root first becomes the directory's owner, after reading the passwords
    /// that the owner may not be able to read. The change applies to all threads only while there is one.
    pub fn state(&mut self) -> Result<StateDir, Failure> {
        if let Some(state) = &self.state {
            return state.clone();
        }
        let state = self.enter();
        self.state.insert(state).clone()
    }

    /// Returns the directory of the history. A process of root first becomes the owner of the directory, which is its root
    /// directory from then on: under systemd the path leads through a directory that only root may enter, and SQLite
    /// follows paths itself.
    pub fn history_directory(&mut self) -> Result<PathBuf, Failure> {
        if let Some(directory) = &self.history {
            return directory.clone();
        }
        let path = self.config.state_dir.clone();
        let entered =
            Entrance::find(&path).and_then(Entrance::enter_as_root_directory).map_err(Failure::from);
        self.history.insert(entered).clone()
    }

    fn enter(&mut self) -> Result<StateDir, Failure> {
        let path = self.config.state_dir.clone();
        let entrance = Entrance::find(&path)?;
        if entrance.gives_up_root() {
            self.config.load_passwords();
        }
        Ok(entrance.enter()?)
    }

    /// Returns what the pollers and the token provider share.
    pub fn shared(&mut self, state: &StateDir) -> Shared {
        daemon::shared(&self.config, state, &self.clock, self.rng.fork(), &self.ending)
    }

    /// Creates a reader for each gateway.
    pub fn readers(&self, shared: &Shared) -> Vec<Reader> {
        let gateways = self.config.gateways.iter();
        gateways.map(|settings| Reader::new(settings.clone(), shared.clone(), Heartbeat::new())).collect()
    }
}
