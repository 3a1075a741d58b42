//! The files that are read and opened before the process starts threads.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use fastrand::Rng;

use super::arguments::{Cli, Command};
use super::token::TokenCommand;
use crate::app::commands::Context;
use crate::app::commands::failure::{Code, Failure};
use crate::app::config;
use crate::app::config::environment::Environment;
use crate::base::clock::Clock;

/// The files that are read and opened before the process starts threads and, if root started it, changes its user.
pub(super) struct Prepared {
    pub(super) config: Result<Context, config::Error>,
    /// The token to import; empty for other commands.
    pub(super) input: Result<Box<dyn Read>, Failure>,
}

impl Prepared {
    /// Reads the configuration and the input. A process of root becomes the owner of the state directory here, because a
    /// thread that exists already would keep running as root.
    pub(super) fn new(cli: &Cli, environment: &Environment) -> Option<Self> {
        if !cli.needs_configuration() {
            return None;
        }
        let input = match &cli.command {
            Command::Token(TokenCommand::Import { file }) => open(file.as_deref()),
            _ => Ok(Box::new(io::empty()) as Box<dyn Read>),
        };
        let config = config::load(cli.config.as_deref(), environment).map(|config| {
            let mut context = Context::new(config, environment.clone(), Clock::of_process(), Rng::new());
            if cli.uses_state() {
                // An error is reported where the directory is used.
                context.state().ok();
            }
            if matches!(cli.command, Command::History(_)) {
                context.history_directory().ok();
            }
            context
        });
        Some(Self { config, input })
    }
}

/// Opens `file`, or standard input for `-` and `None`.
fn open(file: Option<&Path>) -> Result<Box<dyn Read>, Failure> {
    let Some(path) = file else { return Ok(Box::new(io::stdin())) };
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::new(Code::Data, format!("cannot read {}: {error}", path.display()))),
    }
}
