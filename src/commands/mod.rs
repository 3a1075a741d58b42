//! The commands, one file each. A command writes what a person or a program asked for to `out`, and gives
//! back why it could not.

pub mod check;
pub mod config;
pub mod demo;
pub mod discover;
pub mod domoticz;
pub mod failure;
pub mod gateway;
mod reach;
pub mod read;
pub mod run;
pub mod token;

use std::time::Duration;

use fastrand::Rng;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::environment::Environment;
use crate::daemon;
use crate::poller::{Poller, Shared};
use crate::pulse::Pulse;
use crate::reading::Serial;
use crate::state::{Entrance, StateDir};
use crate::supply::ending::Ending;
use crate::token::store;
use failure::{Code, Failure};
use reach::Reached;

/// How long a command waits for another process that is logging in.
const PATIENCE: Duration = Duration::from_secs(150);

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
    /// The state directory, once it was opened.
    state: Option<StateDir>,
    /// What a login is waited for with.
    ending: Ending,
}

impl Context {
    /// What a command by `config` is given.
    pub fn new(config: Config, environment: Environment, clock: Clock, rng: Rng) -> Self {
        Self { config, environment, clock, rng, state: None, ending: Ending::default() }
    }

    /// Opens the state directory. Root becomes its owner first, after reading the passwords that the owner may not be
    /// able to read.
    pub fn state(&mut self) -> Result<StateDir, Failure> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        let path = self.config.state_dir.clone();
        let entrance = Entrance::find(&path)?;
        if entrance.gives_up_root() {
            self.config.hold_passwords();
        }
        Ok(self.state.insert(entrance.enter()?).clone())
    }

    /// What pollers and the supply work with.
    pub fn shared(&mut self, state: &StateDir) -> Shared {
        daemon::shared(&self.config, state, &self.clock, self.rng.fork(), &self.ending)
    }

    /// A poller for each gateway.
    pub fn pollers(&mut self, shared: &Shared) -> Vec<Poller> {
        let poller = |settings: &crate::config::Gateway| {
            Poller::new(shared.standings.open(), settings.clone(), shared.clone(), Pulse::new())
        };
        self.config.gateways.iter().map(poller).collect()
    }
}

/// The gateway that a command about tokens is meant for: the one asked for, or configured, or that a token is
/// stored for, or that answers.
async fn serial(
    context: &Context,
    asked: Option<&Serial>,
    state: &StateDir,
    reached: &mut Reached,
) -> Result<Serial, Failure> {
    if let Some(serial) = asked {
        return Ok(serial.clone());
    }
    if let [Some(serial)] =
        context.config.gateways.iter().map(|one| one.serial.clone()).collect::<Vec<_>>().as_slice()
    {
        return Ok(serial.clone());
    }
    if let ([_], [serial]) =
        (context.config.gateways.as_slice(), reached.serials(context, state).await.as_slice())
    {
        return Ok(serial.clone());
    }
    match store::serials(state).as_slice() {
        [serial] => Ok(serial.clone()),
        [] => Err(Failure::new(
            Code::TryLater,
            "the gateway does not answer, so its serial number is not known; name it with --gateway SERIAL (it is \
             printed on the gateway and shown in the Enphase app)",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(Serial::as_str).collect();
            Err(Failure::new(
                Code::Usage,
                format!("there are several gateways ({}); name one with --gateway SERIAL", names.join(", ")),
            ))
        }
    }
}
