//! Why a poll brought no reading, in words for the log, systemd and the broker.

use crate::gateway;
use crate::logins::decision::Decision;
use crate::reading::Serial;
use crate::state;
use crate::supply;

/// Why a poll brought no reading. None of these ends the daemon.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No gateway has announced itself.
    #[error(
        "no gateway was found by mDNS; write its address into the configuration, as address = \"...\" below \
         [[gateway]]"
    )]
    NotFound,
    /// More than one has.
    #[error(
        "several gateways were found by mDNS ({0}); write the serial or the address of one below [[gateway]]"
    )]
    SeveralFound(String),
    /// mDNS itself does not work.
    #[error(transparent)]
    Mdns(#[from] gateway::mdns::BrowseError),
    /// The gateway, or the way there.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// Another gateway answers than the one that is configured.
    #[error("the gateway at {address} is {found}, not {wanted} as configured")]
    OtherGateway {
        /// Where it is.
        address: String,
        /// Its serial.
        found: Serial,
        /// The serial in the configuration.
        wanted: Serial,
    },
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
    /// There is no token, and this is why.
    #[error("there is no token for the gateway: {0}")]
    NoToken(Decision),
    /// The login rules could not be followed.
    #[error(transparent)]
    Supply(#[from] supply::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] state::Error),
    /// It answers, and with nothing that could be read.
    #[error("the gateway answers, but gave nothing that could be read")]
    Nothing,
}

impl Trouble {
    /// A stable word: two troubles of one kind are one outage.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotFound | Self::SeveralFound(_) | Self::Mdns(_) => "not_found",
            Self::Gateway(error) => match error {
                gateway::Error::TokenRefused => "token_refused",
                gateway::Error::KeyChanged { .. } => "key_changed",
                gateway::Error::Certificate { .. } => "certificate",
                gateway::Error::Incompatible { .. } => "incompatible",
                gateway::Error::Malformed { .. } => "malformed",
                _ => "away",
            },
            Self::OtherGateway { .. } => "other_gateway",
            Self::ReadAlready { .. } => "read_already",
            Self::NoToken(_) => "no_token",
            Self::Supply(_) | Self::State(_) => "state",
            Self::Nothing => "nothing",
        }
    }

    /// Whether it is what a gateway does every night when it restarts.
    pub fn may_be_a_restart(&self) -> bool {
        self.kind() == "away" || self.kind() == "malformed"
    }
}
