//! Why a step at the cloud did not succeed: one kind for each row of the table of hold-offs (L6).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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

/// The back-off that the cloud asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// For this long.
    Wait(Duration),
    /// Until this time, by the cloud's clock.
    Until(Timestamp),
}

impl RetryAfter {
    /// Returns the time left from `now`; zero if it has passed.
    pub fn from(self, now: Timestamp) -> Duration {
        match self {
            Self::Wait(length) => length,
            Self::Until(time) => Duration::try_from(time.duration_since(now)).unwrap_or_default(),
        }
    }

    /// Parses the header. `date` is the time of the cloud's clock, because the clock of this machine may be years off.
    pub(super) fn parse(header: &str, date: Option<&str>) -> Option<Self> {
        if let Ok(seconds) = header.trim().parse() {
            return Some(Self::Wait(Duration::from_secs(seconds)));
        }
        // A number out of range means the longest wait; the record caps it (L6).
        if !header.trim().is_empty() && header.trim().bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Wait(Duration::MAX));
        }
        let time = |text: &str| jiff::fmt::rfc2822::parse(text.trim()).ok().map(|time| time.timestamp());
        let until = Self::Until(time(header)?);
        Some(date.and_then(time).map_or(until, |now| Self::Wait(until.from(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let seconds = RetryAfter::parse("3600", None).unwrap();
        let date = RetryAfter::parse("Fri, 20 Nov 2026 12:00:00 GMT", None).unwrap();
        assert_eq!(seconds.from(now), Duration::from_secs(3600));
        assert_eq!(date.from(now), Duration::from_secs(7200));
        for nonsense in ["soon", "", " ", "-5", "1.5"] {
            assert_eq!(RetryAfter::parse(nonsense, None), None, "{nonsense}");
        }
        let endless = RetryAfter::parse("99999999999999999999999", None).unwrap();
        assert_eq!(endless.from(now), Duration::MAX, "the record caps it");
    }

    #[test]
    fn a_retry_after_date_is_measured_by_the_cloud_s_own_clock() {
        let (until, date) = ("Fri, 20 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 10:00:00 GMT");
        let wait = Some(RetryAfter::Wait(Duration::from_secs(7200)));
        assert_eq!(RetryAfter::parse(until, Some(date)), wait, "whatever our clock shows");
    }
}
