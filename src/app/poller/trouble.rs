//! The reasons for a poll without a reading, with messages for the log, systemd and the broker.

use crate::app::token_provider;
use crate::base::reading::{Reading, Serial};
use crate::io::gateway::{self, OpenError, Stage, info};
use crate::io::state_dir;
use crate::rules::logins::decision::Decision;

/// The reason for a poll without a reading. No such failure ends the daemon.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The gateway was not found, or cannot be distinguished from others.
    #[error(transparent)]
    Open(OpenError),
    /// A request to the gateway failed.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// Two `[[gateway]]` tables lead to the same gateway.
    #[error(
        "two [[gateway]] tables lead to the gateway {serial}: {first}, and {second}; the second is not polled. Remove one \
         of them"
    )]
    ReadAlready {
        /// The serial number of the gateway.
        serial: Serial,
        /// The table that is polled.
        first: String,
        /// The table that is not polled.
        second: String,
    },
    /// The device reports more new serial numbers than the rate limit allows.
    #[error(
        "the gateway at {address} changed its serial number again, from {before} to {now}; it is not polled under the new \
         one. Set `serial` below [[gateway]] to the correct serial number"
    )]
    ManyGateways {
        /// The address of the gateway.
        address: String,
        /// The previous serial number.
        before: Serial,
        /// The serial number in the current response.
        now: Serial,
    },
    /// There is no token, for the given reason.
    #[error("there is no token for the gateway: {0}")]
    NoToken(Decision),
    /// The token provider failed.
    #[error(transparent)]
    TokenProvider(#[from] token_provider::Error),
    /// The state directory failed.
    #[error(transparent)]
    State(#[from] state_dir::Error),
    /// The gateway responds, but no page yields production.
    #[error("the gateway responds, but no page yields production: {why}")]
    NoProduction {
        /// The pages that could yield production, each with the reason that it does not.
        why: String,
        /// The other values, if there are any.
        rest: Option<Box<Reading>>,
    },
    /// The gateway responds, but no page yields a value.
    #[error("the gateway responds, but no page yields a value")]
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
    /// The kind of an outage in which the gateway does not respond.
    pub(super) const AWAY: &str = "away";

    /// Returns a stable identifier. Successive failures of one kind are one outage.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open(OpenError::OtherGateway { .. }) => "other_gateway",
            Self::Open(OpenError::SeveralKeys { .. }) => "several_keys",
            // A gateway without a configured address that is switched off is no longer found.
            Self::Open(OpenError::NotFound) => Self::AWAY,
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
                _ => Self::AWAY,
            },
            Self::ReadAlready { .. } => "read_already",
            Self::ManyGateways { .. } => "many_gateways",
            Self::NoToken(_) => "no_token",
            Self::TokenProvider(_) | Self::State(_) => "state",
            Self::NoProduction { .. } => "no_production",
            Self::Nothing => "nothing",
        }
    }

    /// Returns whether one page other than `/info` hung or was refused as too much: the next poll skips it.
    pub(super) fn is_hanging_page(&self) -> bool {
        match self {
            Self::Gateway(gateway::Error::Unreachable { stage, path, .. }) => {
                *stage == Stage::Response && *path != info::PATH
            }
            Self::Gateway(gateway::Error::Busy { path, .. }) => *path != info::PATH,
            _ => false,
        }
    }

    /// Returns whether the nightly restart of a gateway can cause this failure.
    pub(super) fn may_be_a_restart(&self) -> bool {
        matches!(self.kind(), Self::AWAY | "malformed" | "no_production")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_is_no_longer_announced_is_away_as_one_that_refuses_connections() {
        let refused = gateway::Error::Unreachable {
            address: "192.168.1.20".to_owned(),
            path: "/info",
            stage: Stage::Connect,
            why: "connection refused".to_owned(),
        };
        let (refused, missing) = (Trouble::from(refused), Trouble::from(OpenError::NotFound));
        assert_eq!(refused.kind(), missing.kind());
        assert!(refused.may_be_a_restart() && missing.may_be_a_restart());
    }
}
