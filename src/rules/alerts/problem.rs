//! The problems that an alert can be about.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The kind of a problem. The names are stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// There is no reading of a gateway, for an hour by day.
    GatewayUnreachable,
    /// A gateway presents another key than before, or none.
    GatewayKey,
    /// An inverter reports nothing.
    InverterSilent,
    /// An inverter produces much less than the others.
    InverterWeak,
    /// A token ends soon, and the daemon cannot renew it.
    TokenEnding,
    /// A login is needed, and is held back or refused.
    Login,
    /// A lifetime total is held back for a day.
    CounterHeld,
    /// The state directory cannot be used.
    Disk,
}

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The problem can wait for a while.
    Warning,
    /// Values are missing or will be soon.
    Critical,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::GatewayUnreachable,
        Self::GatewayKey,
        Self::InverterSilent,
        Self::InverterWeak,
        Self::TokenEnding,
        Self::Login,
        Self::CounterHeld,
        Self::Disk,
    ];

    /// Returns the severity.
    pub const fn severity(self) -> Severity {
        match self {
            Self::GatewayUnreachable | Self::GatewayKey | Self::Login | Self::Disk => Severity::Critical,
            Self::InverterSilent | Self::InverterWeak | Self::TokenEnding | Self::CounterHeld => {
                Severity::Warning
            }
        }
    }

    /// Returns how long the problem has to last before it is reported. A login has delays of its own.
    pub const fn begins_after(self) -> Duration {
        match self {
            Self::GatewayUnreachable => HOUR,
            Self::CounterHeld => DAY,
            // A card may hang for a minute.
            Self::Disk => Duration::from_secs(5 * 60),
            // The comparison of inverters covers a whole day, and a token has weeks left.
            Self::GatewayKey
            | Self::InverterSilent
            | Self::InverterWeak
            | Self::TokenEnding
            | Self::Login => Duration::ZERO,
        }
    }

    /// Returns how long everything has to be well before the end is reported, so that one response of a gateway that
    /// fails again is not an end.
    pub(super) const fn ends_after(self) -> Duration {
        match self {
            Self::GatewayUnreachable | Self::Disk => Duration::from_secs(10 * 60),
            Self::GatewayKey | Self::CounterHeld | Self::Login => MINUTE,
            Self::InverterSilent | Self::InverterWeak | Self::TokenEnding => Duration::ZERO,
        }
    }
}

/// A problem: its kind and what it affects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The kind.
    #[serde(rename = "problem")]
    pub kind: Kind,
    /// The gateway: its address as configured, or its serial number. `None` for the whole daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The inverter or the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}
