//! Why a poll brought no reading, in words for the log, systemd and the broker.

use crate::app::token_provider;
use crate::base::reading::{Reading, Serial};
use crate::io::gateway::{self, OpenError};
use crate::io::state_dir;
use crate::rules::logins::decision::Decision;

/// Why a poll brought no reading. None of these ends the daemon.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The gateway cannot be told from others, or is not there.
    #[error(transparent)]
    Open(OpenError),
    /// The gateway, or the way there.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// Two entries of the configuration name one gateway.
    #[error(
        "two [[gateway]] tables lead to the gateway {serial}: {first}, and {second}; the second is not polled. Remove one \
         of them"
    )]
    ReadAlready {
        /// Its serial.
        serial: Serial,
        /// The entry that is polled.
        first: String,
        /// The entry that is not.
        second: String,
    },
    /// Another gateway each time.
    #[error(
        "the gateway at {address} says another serial number again: {now}, and {before} before. It is not read as yet another \
         one; write the serial of the right one below [[gateway]]"
    )]
    ManyGateways {
        /// Where it is.
        address: String,
        /// The serial that it said before.
        before: Serial,
        /// The serial that it says now.
        now: Serial,
    },
    /// There is no token, and this is why.
    #[error("there is no token for the gateway: {0}")]
    NoToken(Decision),
    /// The login rules could not be followed.
    #[error(transparent)]
    TokenProvider(#[from] token_provider::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] state_dir::Error),
    /// It responds, and no page yields production.
    #[error("the gateway responds, but no page yields production: {why}")]
    NoProduction {
        /// The pages that could, and why they do not.
        why: String,
        /// What else is measured, if anything is.
        rest: Option<Box<Reading>>,
    },
    /// It answers, and with nothing that could be read.
    #[error("the gateway answers, but gave nothing that could be read")]
    Nothing,
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Gateway(error) => Self::Gateway(error),
            OpenError::State(error) => Self::State(error),
            other => Self::Open(other),
        }
    }
}

impl Trouble {
    /// A stable word: two troubles of one kind are one outage.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open(OpenError::OtherGateway { .. }) => "other_gateway",
            Self::Open(OpenError::SeveralKeys { .. }) => "several_keys",
            Self::Open(_) => "not_found",
            Self::Gateway(error) => match error {
                gateway::Error::TokenRefused => "token_refused",
                gateway::Error::KeyChanged { .. } => "key_changed",
                gateway::Error::KeyLost { .. } => "key_lost",
                gateway::Error::KeyMissing { .. } => "key_missing",
                gateway::Error::NotEncrypted { .. } => "not_encrypted",
                gateway::Error::Certificate { .. } => "certificate",
                gateway::Error::Incompatible { .. } => "incompatible",
                gateway::Error::Malformed { .. } | gateway::Error::Unidentified { .. } => "malformed",
                _ => "away",
            },
            Self::ReadAlready { .. } => "read_already",
            Self::ManyGateways { .. } => "many_gateways",
            Self::NoToken(_) => "no_token",
            Self::TokenProvider(_) | Self::State(_) => "state",
            Self::NoProduction { .. } => "no_production",
            Self::Nothing => "nothing",
        }
    }

    /// Whether it is what a gateway does every night when it restarts.
    pub fn may_be_a_restart(&self) -> bool {
        matches!(self.kind(), "away" | "malformed" | "no_production")
    }
}
