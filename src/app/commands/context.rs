//! What every command is given.

use fastrand::Rng;

use super::failure::Failure;
use crate::app::config::Config;
use crate::app::config::environment::Environment;
use crate::app::daemon;
use crate::app::poller::{Poller, Shared};
use crate::app::token_provider::ending::Ending;
use crate::base::clock::Clock;
use crate::base::heartbeat::Pulse;
use crate::io::state_dir::{Entrance, StateDir};

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// The configuration.
    pub config: Config,
    /// The environment.
    pub environment: Environment,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub rng: Rng,
    /// The state directory, or why it cannot be used, once that is known.
    state: Option<Result<StateDir, Failure>>,
    /// What a login is waited for with.
    ending: Ending,
}

impl Context {
    /// What a command by `config` is given.
    pub fn new(config: Config, environment: Environment, clock: Clock, rng: Rng) -> Self {
        Self { config, environment, clock, rng, state: None, ending: Ending::default() }
    }

    /// Opens the state directory. Root becomes its owner first, after reading the passwords that the owner may not be
    /// able to read. That takes hold of the whole process only before it has other threads.
    pub fn state(&mut self) -> Result<StateDir, Failure> {
        if let Some(state) = &self.state {
            return state.clone();
        }
        let state = self.enter();
        self.state.insert(state).clone()
    }

    fn enter(&mut self) -> Result<StateDir, Failure> {
        let path = self.config.state_dir.clone();
        let entrance = Entrance::find(&path)?;
        if entrance.gives_up_root() {
            self.config.hold_passwords();
        }
        Ok(entrance.enter()?)
    }

    /// What pollers and the supply work with.
    pub fn shared(&mut self, state: &StateDir) -> Shared {
        daemon::shared(&self.config, state, &self.clock, self.rng.fork(), &self.ending)
    }

    /// A poller for each gateway.
    pub fn pollers(&mut self, shared: &Shared) -> Vec<Poller> {
        let poller = |settings: &crate::app::config::Gateway| {
            Poller::new(shared.standings.open(), settings.clone(), shared.clone(), Pulse::new())
        };
        self.config.gateways.iter().map(poller).collect()
    }
}
