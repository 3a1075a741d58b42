//! Why a step at the cloud did not succeed: one kind for each row of the table of hold-offs (L6).

use serde::{Deserialize, Serialize};

use crate::io::retry_after::RetryAfter;

/// The rows of L6 that are not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No response, a server error, or an unknown error response.
    Transient,
    /// A login or a code was sent, and no response or an unknown success came. A session may have been opened.
    Unclear,
    /// The request for a token got an unknown response. The other source of tokens may work.
    Unexpected,
    /// The account has too many open sessions.
    TooManySessions,
    /// The account is blocked, or the response is a login page, or the request was rate limited.
    Blocked,
    /// The e-mail address or the password is wrong.
    WrongCredentials,
    /// The account requires a second factor.
    SecondFactor,
    /// The code is not the one that the cloud sent.
    WrongCode,
    /// The session has expired (only when fetching a token).
    SessionOver,
}

impl Kind {
    /// Returns the row of L6 whose hold-offs apply to this kind.
    #[must_use]
    pub fn row(self) -> Self {
        match self {
            Self::Unclear | Self::Unexpected => Self::Transient,
            other => other,
        }
    }
}

/// Why a step at the cloud did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// The row of L6.
    pub kind: Kind,
    /// The back-off that the cloud asked for.
    pub retry_after: Option<RetryAfter>,
    /// A description in this program's words. Never contains a body.
    pub why: String,
}

impl Failure {
    /// Creates a failure that is retried after minutes.
    pub fn transient(why: impl Into<String>) -> Self {
        Self::new(Kind::Transient, why)
    }

    /// Creates a failure without a `Retry-After`.
    pub fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, retry_after: None, why: why.into() }
    }
}
