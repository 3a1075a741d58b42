//! Displays decisions, for the log, `token status` and the status line of the service.

use std::fmt;

use super::attempt::{Attempt, Outcome, Reason, Step};
use super::decision::{Decision, Stopped, Waiting};
pub use crate::base::durations::length;
use crate::io::cloud::Kind;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken => "there is no token yet",
            Self::Expired => "the token has expired",
            Self::Renewal => "the token is about to expire",
            Self::Refused => "the gateway has refused the token twice",
            Self::Operator => "the operator requested it",
        })
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GatewaySilent => "the gateway does not respond, so a token would be of no use yet",
            Self::GatewayNotAsked => "the gateway is asked first, because it may still accept the token",
            Self::GatewayUnsure => {
                "the token has expired by this machine's clock, and the gateway returns no time; the gateway has to \
                 refuse the token twice, at least five minutes apart"
            }
            Self::HoldOff(Kind::TooManySessions) => "the cloud reported too many active sessions",
            Self::HoldOff(Kind::Blocked) => "the cloud rejected the last attempt",
            Self::HoldOff(Kind::Unclear) => {
                "the last login got no complete response, and may have opened a session"
            }
            Self::HoldOff(_) => "the last attempt at the cloud failed",
            Self::Interrupted => "the last attempt was interrupted, and may have been a login",
            Self::OnceADay => "the last login was less than a day ago, and the limit is one a day",
            Self::ThriceAMonth => "there were three logins within the last 30 days, which is the limit",
            Self::ThriceUnclear => {
                "three logins within the last day may have opened a session, which is the limit"
            }
        })
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCredentials => {
                "there is no account to log in with: run `enphased token refresh`, which prompts for it, or \
                 `enphased token import`, or set the username and the password in the configuration"
            }
            Self::WrongCredentials => {
                "the cloud refused this e-mail address or password, and is not contacted again until they change: \
                 correct them in the configuration, or run `enphased token refresh`"
            }
            Self::SecondFactor => {
                "the account requires a second factor, which the daemon cannot provide: run `enphased token refresh` \
                 on a terminal, which prompts for the code, or get a token at https://entrez.enphaseenergy.com and \
                 store it with `enphased token import`"
            }
            Self::ShortToken => {
                "the token was short-lived (installer tokens last hours) and is not renewed automatically: run \
                 `enphased token refresh` or `enphased token import`, or set renew_short_tokens = true in the \
                 configuration"
            }
            Self::Newcomer => {
                "another gateway is known in its place, so no login is made automatically for this serial number: if \
                 the gateway was replaced, run `enphased token refresh --gateway SERIAL` with its serial number, or \
                 write `serial = \"...\"` below [[gateway]]"
            }
        })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rest => f.write_str("no login is needed"),
            Self::Act { reason, .. } => write!(f, "a login is due, because {reason}"),
            Self::Wait { reason, left: None, why } => {
                write!(f, "a login is needed, because {reason}, and waits: {why}")
            }
            Self::Wait { reason, left: Some(left), why } => {
                let left = length(*left);
                write!(f, "a login is needed, because {reason}, and waits for {left}: {why}")
            }
            Self::Stop(stopped) => stopped.fmt(f),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "login",
            Self::Token => "request for the token",
            Self::OtherToken => "request for the token at the other endpoint",
            Self::Code => "login with a code",
            Self::AnotherCode => "request for another code",
        })
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step;
        match &self.outcome {
            None => write!(f, "{step}, because {}: interrupted", self.reason),
            Some(Outcome::Success) => write!(f, "{step}, because {}: succeeded", self.reason),
            Some(Outcome::Failed { why, .. }) => write!(f, "{step}, because {}: {why}", self.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wait_says_what_for_how_long_and_why() {
        let left = Some(Duration::from_secs(86_400));
        let why = Waiting::HoldOff(Kind::TooManySessions);
        let wait = Decision::Wait { reason: Reason::NoToken, left, why };
        assert_eq!(
            wait.to_string(),
            "a login is needed, because there is no token yet, and waits for 24 h: the cloud reported too many \
             active sessions"
        );
    }
}
