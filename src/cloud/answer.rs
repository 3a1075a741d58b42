//! What the cloud's answers mean: one row of the table of hold-offs each (L6).
//!
//! The shapes are those of the protocol notes, sections 1.5, 1.6 and 1.8. An answer is judged by what it
//! holds, whatever its status says.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::secrets::{Document, Secret};
use crate::token::Token;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Date` header: the cloud's clock.
    pub date: Option<String>,
    /// Whether its type is HTML.
    pub is_html: bool,
    /// Its body.
    pub body: Zeroizing<Vec<u8>>,
}

/// The rows of L6 that are not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No answer, a failure inside, or something nobody has seen before.
    Transient,
    /// The account has too many sessions open.
    TooManySessions,
    /// The account is blocked, or a login page came where an answer belongs, or we are told to slow down.
    Blocked,
    /// The e-mail address or the password is wrong.
    WrongCredentials,
    /// The account wants a second factor.
    SecondFactor,
    /// The session is not known any more (only when fetching a token).
    SessionOver,
}

/// Why a step at the cloud did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// The row of L6.
    pub kind: Kind,
    /// How long the cloud asked to be left alone.
    pub retry_after: Option<RetryAfter>,
    /// What was seen, in words of our own: never a body.
    pub why: String,
}

/// How long the cloud asked to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// For so long.
    Wait(Duration),
    /// Until then, by the cloud's clock.
    Until(Timestamp),
}

impl RetryAfter {
    /// As a length from `now`; nothing when that time has passed.
    pub fn from(self, now: Timestamp) -> Duration {
        match self {
            Self::Wait(length) => length,
            Self::Until(time) => Duration::try_from(time.duration_since(now)).unwrap_or_default(),
        }
    }

    /// `date` is the cloud's clock: our own may be years off.
    fn parse(header: &str, date: Option<&str>) -> Option<Self> {
        if let Ok(seconds) = header.trim().parse() {
            return Some(Self::Wait(Duration::from_secs(seconds)));
        }
        let time = |text: &str| jiff::fmt::rfc2822::parse(text.trim()).ok().map(|time| time.timestamp());
        let until = Self::Until(time(header)?);
        Some(date.and_then(time).map_or(until, |now| Self::Wait(until.from(now))))
    }
}

impl Failure {
    /// A failure that is tried again after minutes.
    pub fn transient(why: impl Into<String>) -> Self {
        Self { kind: Kind::Transient, retry_after: None, why: why.into() }
    }
}

impl Answer {
    fn failure(&self, kind: Kind, why: impl Into<String>) -> Failure {
        let retry_after =
            self.retry_after.as_deref().and_then(|header| RetryAfter::parse(header, self.date.as_deref()));
        Failure { kind, retry_after, why: why.into() }
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.body).to_lowercase())
    }

    /// A page where a short answer belongs, whatever the type says.
    fn shows_page(&self) -> bool {
        let start = self.text();
        let start = start.trim_start();
        self.is_html || start.starts_with("<!doctype") || start.starts_with("<html")
    }

    /// What either step can be answered with, in the order in which it is believed.
    fn common_failure(&self) -> Option<Failure> {
        let status = self.status;
        if self.text().contains("too many active sessions") {
            return Some(self.failure(Kind::TooManySessions, "the account has too many active sessions"));
        }
        if status == 429 {
            return Some(self.failure(Kind::Blocked, "it asks to be called less often (HTTP 429)"));
        }
        if status >= 500 {
            return Some(self.failure(Kind::Transient, format!("it is out of order (HTTP {status})")));
        }
        if self.body.trim_ascii().is_empty() {
            return Some(self.failure(Kind::Transient, format!("its answer was empty (HTTP {status})")));
        }
        None
    }
}

/// Judges the answer to a login; a success is the session.
pub fn login(answer: &Answer) -> Result<Secret, Failure> {
    if let Some(failure) = answer.common_failure() {
        return Err(failure);
    }
    let status = answer.status;
    let Some(json) = Document::parse(&answer.body) else {
        return Err(if answer.shows_page() {
            answer.failure(Kind::Blocked, format!("a login page came instead of an answer (HTTP {status})"))
        } else {
            answer.failure(Kind::Transient, format!("its answer was not understood (HTTP {status})"))
        });
    };
    let json = json.value();
    let flag = |name: &str| json.get(name).and_then(Value::as_bool);
    let word = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    if flag("isBlocked") == Some(true) || flag("success") == Some(false) {
        return Err(answer.failure(Kind::Blocked, "the account is blocked"));
    }
    if status == 401 && word("message").eq_ignore_ascii_case("invalid") {
        return Err(answer.failure(Kind::WrongCredentials, "it refused the e-mail address or the password"));
    }
    let succeeded = (200..300).contains(&status);
    if succeeded && !word("session_id").is_empty() {
        return Ok(Secret::new(word("session_id").to_owned()));
    }
    let second_factor = flag("requires_mfa") == Some(true)
        || succeeded && (flag("success") == Some(true) || word("message").eq_ignore_ascii_case("success"));
    Err(if second_factor {
        answer.failure(Kind::SecondFactor, "the account asks for a second factor")
    } else {
        answer.failure(Kind::Transient, format!("its answer was not understood (HTTP {status})"))
    })
}

/// Judges the answer to a request for a token; a success is the token as text.
pub fn token(answer: &Answer) -> Result<Secret, Failure> {
    if let Some(failure) = answer.common_failure() {
        return Err(failure);
    }
    let status = answer.status;
    let text = String::from_utf8_lossy(&answer.body);
    if (200..300).contains(&status)
        && let Ok(token) = Token::decode(&text)
    {
        return Ok(token.secret);
    }
    if answer.text().contains("you need to sign in first") {
        return Err(answer.failure(Kind::SessionOver, "the session is over"));
    }
    if answer.shows_page() && (200..400).contains(&status) {
        return Err(answer.failure(Kind::Blocked, format!("a page came instead of a token (HTTP {status})")));
    }
    // 401 and 403 are often only a hiccup of the service (protocol notes, 1.2 and 1.8), never a wrong password.
    Err(answer.failure(Kind::Transient, format!("it gave no token (HTTP {status})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            retry_after: None,
            date: None,
            is_html: false,
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    fn login_kind(status: u16, body: &str) -> Kind {
        login(&answer(status, body)).unwrap_err().kind
    }

    fn token_kind(status: u16, body: &str) -> Kind {
        token(&answer(status, body)).unwrap_err().kind
    }

    const PAGE: &str = "<!DOCTYPE html><html><body>Log in</body></html>";

    #[test]
    fn a_session_is_a_success_with_and_without_the_newer_fields() {
        let body = r#"{"message":"success","session_id":"0123456789abcdef0123456789abcdef"}"#;
        assert_eq!(login(&answer(200, body)).unwrap().expose(), "0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn too_many_sessions_is_recognised_in_any_dress() {
        for (status, body) in [
            (200, r#"{"message":"Too many active sessions.."}"#),
            (401, r#"{"errors":[{"text":"TOO MANY ACTIVE SESSIONS"}]}"#),
            (503, "<html>too many active sessions</html>"),
            (429, r#"{"message":"Too many active sessions.."}"#),
        ] {
            assert_eq!(login_kind(status, body), Kind::TooManySessions, "{status} {body}");
            assert_eq!(token_kind(status, body), Kind::TooManySessions, "{status} {body}");
        }
    }

    #[test]
    fn a_wrong_password_is_only_what_says_so() {
        assert_eq!(login_kind(401, r#"{"message":"Invalid"}"#), Kind::WrongCredentials);
        assert_eq!(login_kind(401, r#"{"message":"Come back later"}"#), Kind::Transient);
        assert_eq!(login_kind(200, r#"{"message":"Invalid"}"#), Kind::Transient);
        assert_eq!(token_kind(401, r#"{"message":"Invalid"}"#), Kind::Transient);
    }

    #[test]
    fn a_second_factor_is_a_success_without_a_session() {
        for body in [
            r#"{"success":true,"isBlocked":false}"#,
            r#"{"requires_mfa":true}"#,
            r#"{"message":"success"}"#,
            r#"{"message":"success","session_id":""}"#,
        ] {
            assert_eq!(login_kind(200, body), Kind::SecondFactor, "{body}");
        }
    }

    #[test]
    fn blocked_accounts_login_walls_and_429_are_blocked() {
        for (status, body) in [
            (200, r#"{"success":true,"isBlocked":true}"#),
            (200, r#"{"success":false,"isBlocked":false}"#),
            (200, PAGE),
            (302, PAGE),
            (401, PAGE),
            (429, "{}"),
        ] {
            assert_eq!(login_kind(status, body), Kind::Blocked, "{status} {body}");
        }
        assert_eq!(token_kind(200, PAGE), Kind::Blocked);
    }

    #[test]
    fn outages_and_riddles_are_transient() {
        for (status, body) in
            [(500, PAGE), (503, ""), (200, ""), (200, "  "), (404, "{}"), (200, "[1"), (406, "x")]
        {
            assert_eq!(login_kind(status, body), Kind::Transient, "{status} {body}");
        }
        for (status, body) in [(401, PAGE), (403, "Forbidden"), (400, "{}"), (200, "Error: no"), (502, PAGE)]
        {
            assert_eq!(token_kind(status, body), Kind::Transient, "{status} {body}");
        }
    }

    #[test]
    fn a_session_that_is_over_is_told_from_a_hiccup() {
        assert_eq!(token_kind(401, r#"{"message":"You need to sign in first"}"#), Kind::SessionOver);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let seconds = RetryAfter::parse("3600", None).unwrap();
        let date = RetryAfter::parse("Fri, 20 Nov 2026 12:00:00 GMT", None).unwrap();
        assert_eq!(seconds.from(now), Duration::from_secs(3600));
        assert_eq!(date.from(now), Duration::from_secs(7200));
        assert_eq!(RetryAfter::parse("soon", None), None);
    }

    #[test]
    fn a_retry_after_is_measured_by_the_cloud_s_own_clock() {
        let (until, date) = ("Fri, 20 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 2026 10:00:00 GMT");
        let wait = Some(RetryAfter::Wait(Duration::from_secs(7200)));
        assert_eq!(RetryAfter::parse(until, Some(date)), wait, "whatever our clock shows");
    }

    #[test]
    fn a_failure_never_repeats_what_the_cloud_said() {
        let failure = login(&answer(418, r#"{"secret":"s3cret"}"#)).unwrap_err();
        assert!(!failure.to_string().contains("s3cret"));
    }
}
