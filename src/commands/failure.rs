//! Why a command did not do what it was asked, and the exit code that says so to programs (sysexits).

use std::io;

use crate::poller::trouble::Trouble;
use crate::{config, daemon, gateway, state, supply};

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The command line is wrong.
    Usage = 64,
    /// What was given is wrong, e.g. no token.
    Data = 65,
    /// Something that is needed is not there.
    Unavailable = 69,
    /// A file cannot be written.
    CannotCreate = 73,
    /// Reading or writing failed.
    InputOutput = 74,
    /// Not now: try later.
    TryLater = 75,
    /// The cloud or the gateway refused.
    Refused = 77,
    /// The configuration is wrong.
    Configuration = 78,
}

/// Why a command failed, in sentences.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// For people; empty when everything has been said.
    pub message: String,
}

impl Failure {
    /// A failure with its words.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::new(Code::Configuration, error.to_string())
    }
}

impl From<state::Error> for Failure {
    fn from(error: state::Error) -> Self {
        Self::new(Code::CannotCreate, error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Code::InputOutput, error.to_string())
    }
}

impl From<supply::Error> for Failure {
    fn from(error: supply::Error) -> Self {
        let code = match &error {
            supply::Error::State(_) => Code::CannotCreate,
            supply::Error::Password(_) => Code::Configuration,
            supply::Error::Busy => Code::TryLater,
        };
        Self::new(code, error.to_string())
    }
}

impl From<daemon::Error> for Failure {
    fn from(error: daemon::Error) -> Self {
        let code = match &error {
            daemon::Error::State(_) => Code::CannotCreate,
            daemon::Error::Running(_) => Code::TryLater,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let code = match &trouble {
            Trouble::Gateway(gateway::Error::TokenRefused | gateway::Error::KeyChanged { .. })
            | Trouble::NoToken(_) => Code::Refused,
            Trouble::OtherGateway { .. } | Trouble::SeveralFound(_) => Code::Configuration,
            Trouble::State(_) => Code::CannotCreate,
            _ => Code::TryLater,
        };
        Self::new(code, trouble.to_string())
    }
}
