//! What the cloud's answers mean: one row of the table of hold-offs each (L6).
//!
//! The shapes are those of the protocol notes, sections 1.5, 1.6 and 1.8. An answer is judged by what it
//! holds, whatever its status says.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::shape::shape;
use crate::secrets::{Document, Secret};
use crate::token::Token;

/// The cookie that stands for a session, with the session's number as its value.
pub const SESSION_COOKIE: &str = "_enlighten_4_session";

/// A cookie that the cloud sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub value: Secret,
}

/// An answer as it came.
#[derive(Debug, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Date` header: the cloud's clock.
    pub date: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// What `Set-Cookie` headers set.
    pub cookies: Vec<Cookie>,
    /// Its body.
    pub body: Zeroizing<Vec<u8>>,
}

/// The rows of L6 that are not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No answer, a failure inside, or something nobody has seen before.
    Transient,
    /// A login or a code left and its answer did not come, or was a success of an unknown shape: a session may
    /// have been opened.
    Unclear,
    /// A request for a token was answered in a way that nobody has seen: the other way to a token may do.
    Unexpected,
    /// The account has too many sessions open.
    TooManySessions,
    /// The account is blocked, or a login page came where an answer belongs, or we are told to slow down.
    Blocked,
    /// The e-mail address or the password is wrong.
    WrongCredentials,
    /// The account wants a second factor.
    SecondFactor,
    /// The code is not the one that was sent.
    WrongCode,
    /// The session is not known any more (only when fetching a token).
    SessionOver,
}

impl Kind {
    /// The row of L6 whose hold-offs it shares.
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
        Self::new(Kind::Transient, why)
    }

    /// A failure without a word from the cloud about when to try again.
    pub fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { kind, retry_after: None, why: why.into() }
    }
}

impl Answer {
    fn failure(&self, kind: Kind, why: impl Into<String>) -> Failure {
        let retry_after =
            self.retry_after.as_deref().and_then(|header| RetryAfter::parse(header, self.date.as_deref()));
        Failure { kind, retry_after, why: why.into() }
    }

    /// One that nobody has seen before, described for a report of it.
    fn riddle(&self, kind: Kind) -> Failure {
        let shape = shape(self.content_type.as_deref(), &self.body);
        self.failure(kind, format!("its answer was not understood (HTTP {}: {shape})", self.status))
    }

    fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.body).to_lowercase())
    }

    /// A page where a short answer belongs, whatever the type says.
    fn shows_page(&self) -> bool {
        let start = self.text();
        let start = start.trim_start();
        let says_so =
            self.content_type.as_ref().is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
        says_so || start.starts_with("<!doctype") || start.starts_with("<html")
    }

    /// What any request can be answered with, in the order in which it is believed.
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
        // An empty 404 of a token is no outage: there is nothing any more where it was asked for.
        let is_gone = matches!(status, 300..=400 | 404..);
        if self.body.trim_ascii().is_empty() && !is_gone {
            return Some(self.failure(Kind::Transient, format!("its answer was empty (HTTP {status})")));
        }
        None
    }

    /// The JSON of an answer to who logs in; where there is none, why not.
    fn json(&self) -> Result<Document, Failure> {
        if let Some(failure) = self.common_failure() {
            return Err(failure);
        }
        Document::parse(&self.body).ok_or_else(|| {
            if self.shows_page() {
                let status = self.status;
                self.failure(Kind::Blocked, format!("a login page came instead of an answer (HTTP {status})"))
            } else {
                self.unclear()
            }
        })
    }

    /// The token in an answer: bare, or in a document.
    fn token(&self) -> Option<Token> {
        let bare = std::str::from_utf8(&self.body).ok().and_then(|text| Token::decode(text).ok());
        let in_document = || Token::decode(word(Document::parse(&self.body)?.value(), "token")).ok();
        bare.or_else(in_document)
    }

    /// An unknown success may have opened a session; an unknown failure has not.
    fn unclear(&self) -> Failure {
        self.riddle(if self.succeeded() { Kind::Unclear } else { Kind::Transient })
    }
}

fn flag(json: &Value, name: &str) -> Option<bool> {
    json.get(name).and_then(Value::as_bool)
}

fn word<'a>(json: &'a Value, name: &str) -> &'a str {
    json.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Judges the answer to a login; a success is the session.
pub fn login(answer: &Answer) -> Result<Secret, Failure> {
    let json = answer.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) || flag(json, "success") == Some(false) {
        return Err(answer.failure(Kind::Blocked, "the account is blocked"));
    }
    if answer.status == 401 && word(json, "message").eq_ignore_ascii_case("invalid") {
        return Err(answer.failure(Kind::WrongCredentials, "it refused the e-mail address or the password"));
    }
    if answer.succeeded() && !word(json, "session_id").is_empty() {
        return Ok(Secret::new(word(json, "session_id").to_owned()));
    }
    let says_success =
        flag(json, "success") == Some(true) || word(json, "message").eq_ignore_ascii_case("success");
    if flag(json, "requires_mfa") == Some(true) || answer.succeeded() && says_success {
        return Err(answer.failure(Kind::SecondFactor, "the account asks for a second factor"));
    }
    Err(answer.unclear())
}

/// Judges the answer to the code of a second factor; a success is the session. What it looks like is not
/// recorded anywhere (protocol notes, 1.5): the session is taken from where a login tells it, or from the cookie.
pub fn code(answer: &Answer) -> Result<Secret, Failure> {
    let json = answer.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) {
        return Err(answer.failure(Kind::Blocked, "the account is blocked"));
    }
    if flag(json, "isValid") == Some(false) {
        return Err(answer.failure(Kind::WrongCode, "it refused the code"));
    }
    let cookie =
        answer.cookies.iter().find(|cookie| cookie.name == SESSION_COOKIE && !cookie.value.is_empty());
    match (word(json, "session_id"), cookie) {
        _ if !answer.succeeded() => Err(answer.unclear()),
        ("", Some(cookie)) => Ok(cookie.value.clone()),
        ("", None) => Err(answer.unclear()),
        (id, _) => Ok(Secret::new(id.to_owned())),
    }
}

/// Judges the answer to the wish for another code.
pub fn another_code(answer: &Answer) -> Result<(), Failure> {
    let json = answer.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) {
        return Err(answer.failure(Kind::Blocked, "the account is blocked"));
    }
    if answer.succeeded() && flag(json, "success") != Some(false) {
        return Ok(());
    }
    Err(answer.riddle(Kind::Transient))
}

/// Judges the answer to a request for a token; a success is the token as text. One way gives it bare, the other
/// in a document.
pub fn token(answer: &Answer) -> Result<Secret, Failure> {
    if let Some(failure) = answer.common_failure() {
        return Err(failure);
    }
    let status = answer.status;
    if answer.succeeded()
        && let Some(token) = answer.token()
    {
        return Ok(token.secret);
    }
    if answer.text().contains("you need to sign in first") {
        return Err(answer.failure(Kind::SessionOver, "the session is over"));
    }
    if answer.shows_page() && (200..400).contains(&status) {
        return Err(answer.failure(Kind::Blocked, format!("a page came instead of a token (HTTP {status})")));
    }
    // These are often only a hiccup of the service (protocol notes, 1.2 and 1.8), never a wrong password.
    if matches!(status, 401 | 403) {
        return Err(answer.failure(Kind::Transient, format!("it gave no token (HTTP {status})")));
    }
    Err(answer.riddle(Kind::Unexpected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()), ..Answer::default() }
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
        assert_eq!(login_kind(200, r#"{"message":"Invalid"}"#), Kind::Unclear);
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
            [(500, PAGE), (503, ""), (200, ""), (200, "  "), (404, "{}"), (404, ""), (406, "x"), (302, "")]
        {
            assert_eq!(login_kind(status, body), Kind::Transient, "{status} {body}");
        }
        for (status, body) in [(401, PAGE), (403, "Forbidden"), (502, PAGE), (200, ""), (401, "")] {
            assert_eq!(token_kind(status, body), Kind::Transient, "{status} {body}");
        }
    }

    #[test]
    fn a_login_that_succeeded_in_unknown_words_may_have_opened_a_session() {
        for body in ["[1", r#"{"sessionId":"5e55"}"#, "welcome", r#""5e55""#] {
            assert_eq!(login_kind(200, body), Kind::Unclear, "{body}");
        }
    }

    #[test]
    fn what_nobody_has_seen_where_a_token_belongs_is_told_by_its_shape_alone() {
        for (status, body) in
            [(400, "{}"), (200, "Error: no"), (404, PAGE), (404, ""), (410, ""), (302, ""), (200, "[]")]
        {
            assert_eq!(token_kind(status, body), Kind::Unexpected, "{status} {body}");
        }
        let mut riddle = answer(200, r#"{"error":"s3cret","code":7}"#);
        riddle.content_type = Some("application/json".to_owned());
        insta::assert_snapshot!(token(&riddle).unwrap_err(), @"its answer was not understood (HTTP 200: application/json, 27 bytes, a JSON object with the keys code, error)");
    }

    #[test]
    fn a_token_is_found_bare_and_in_a_document() {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
        let claims = r#"{"aud":"122300000001","iss":"Entrez","exp":1795170000,"iat":1763634000}"#;
        let jwt = [r#"{"alg":"ES256"}"#, claims, "signature"].map(|part| BASE64.encode(part)).join(".");
        let document = format!(r#"{{"generation_time":1763634000,"token":"{jwt}","expires_at":1795170000}}"#);
        for body in [&jwt, &format!(" {jwt}\n"), &document] {
            assert_eq!(token(&answer(200, body)).unwrap().expose(), jwt);
            assert_eq!(token_kind(404, body), Kind::Unexpected);
        }
    }

    #[test]
    fn a_code_opens_a_session_by_its_number_or_by_the_cookie() {
        let number = answer(200, r#"{"message":"success","session_id":"5e55"}"#);
        assert_eq!(code(&number).unwrap().expose(), "5e55");
        let value = Secret::new("c00c1e".to_owned());
        let mut cookie = answer(200, r#"{"isValid":true,"isBlocked":false}"#);
        cookie.cookies.push(Cookie { name: SESSION_COOKIE.to_owned(), value });
        assert_eq!(code(&cookie).unwrap().expose(), "c00c1e");
    }

    #[test]
    fn a_code_that_is_wrong_is_told_from_all_else() {
        let kind = |status, body| code(&answer(status, body)).unwrap_err().kind;
        assert_eq!(kind(200, r#"{"isValid":false,"isBlocked":false}"#), Kind::WrongCode);
        assert_eq!(kind(200, r#"{"isValid":false,"isBlocked":true}"#), Kind::Blocked);
        assert_eq!(kind(200, r#"{"message":"Too many active sessions.."}"#), Kind::TooManySessions);
        assert_eq!(kind(200, r#"{"isValid":true}"#), Kind::Unclear);
        assert_eq!(kind(200, PAGE), Kind::Blocked);
        assert_eq!(kind(503, ""), Kind::Transient);
        assert_eq!(kind(422, "{}"), Kind::Transient);
    }

    #[test]
    fn another_code_is_on_its_way_unless_the_cloud_says_otherwise() {
        let sent = |status, body| another_code(&answer(status, body)).map_err(|failure| failure.kind);
        assert_eq!(sent(200, r#"{"success":true,"isBlocked":false}"#), Ok(()));
        assert_eq!(sent(200, r#"{"success":false}"#), Err(Kind::Transient));
        assert_eq!(sent(200, r#"{"success":true,"isBlocked":true}"#), Err(Kind::Blocked));
        assert_eq!(sent(404, "{}"), Err(Kind::Transient));
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
