//! The reasons to refuse a request, with codes for programs and sentences for people.

use std::time::Duration;

/// The reason to refuse a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are as many consumers as allowed.
    #[error(
        "max_consumers = {most}, and as many programs have asked within the last 30 minutes: stop one of them, or raise it \
         below [server]"
    )]
    TooManyConsumers {
        /// The maximum.
        most: usize,
    },
    /// There are as many streams as allowed.
    #[error(
        "max_streams = {most}, and as many streams are open: close one of them, or raise it below [server]"
    )]
    TooManyStreams {
        /// The maximum.
        most: usize,
    },
    /// The request has no token, or an unknown one.
    #[error(
        "this address may not read without a token: create one with `enphased consumer add NAME`, or add its network to \
         open_to below [server]"
    )]
    NotRecognised,
    /// The token was removed, or has expired.
    #[error("this token was removed or has expired: create another with `enphased consumer add NAME`")]
    Removed,
    /// The consumer sends too many requests.
    #[error(
        "requests_per_minute = {most}, and this program asks more often: ask less often, or raise it below [server]"
    )]
    TooManyRequests {
        /// The maximum per minute.
        most: u32,
        /// The time after which the next request is possible.
        retry_after: Duration,
    },
    /// The address has sent too many wrong tokens.
    #[error("too many wrong tokens from this address; wait a minute")]
    TooManyGuesses {
        /// The time after which tokens are looked at again.
        retry_after: Duration,
    },
}

impl Refusal {
    /// Returns the code for programs.
    pub const fn code(&self) -> u16 {
        match self {
            Self::TooManyConsumers { .. } | Self::TooManyStreams { .. } => 4001,
            Self::NotRecognised => 4002,
            Self::Removed => 4003,
            Self::TooManyRequests { .. } | Self::TooManyGuesses { .. } => 4004,
        }
    }

    /// Returns the HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotRecognised | Self::Removed => 401,
            _ => 429,
        }
    }

    /// Returns a short title for people, the same for every refusal with this code.
    pub const fn title(&self) -> &'static str {
        match self.code() {
            4001 => "Maximum number of consumers or streams reached",
            4002 => "Not recognised",
            4003 => "Expired or removed",
            _ => "Too many requests",
        }
    }

    /// Returns the time after which a repetition makes sense.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::TooManyGuesses { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}
