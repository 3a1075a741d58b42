//! What the cloud's answers mean: one row of the table of hold-offs each (L6).
//!
//! The shapes are those of docs/protocol.md, sections 1.5, 1.6 and 1.8. An answer is judged by what it
//! holds, whatever its status says.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::shape::shape;
use crate::base::secrets::{Document, Secret};
use crate::io::token::Token;

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
        // Digits beyond any number are as long as can be; the record caps it (L6).
        if !header.trim().is_empty() && header.trim().bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Wait(Duration::MAX));
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

    /// The cookie of a session, if this response sets one.
    fn session_cookie(&self) -> Option<&Cookie> {
        self.cookies.iter().find(|cookie| cookie.name == SESSION_COOKIE && !cookie.value.is_empty())
    }

    /// Whether this response sets a cookie that may stand for a session, under whatever name the cloud has for it
    /// by then.
    fn sets_session(&self) -> bool {
        let stands = |cookie: &Cookie| cookie.name.to_ascii_lowercase().contains("session");
        self.cookies.iter().any(|cookie| stands(cookie) && !cookie.value.is_empty())
    }

    /// Counts a failure that would pass by itself as a login that may have opened a session, where the response set
    /// the session's cookie: an outage page or an empty body does not take that back (L6, "unclear").
    fn unless_session_set(&self, failure: Failure) -> Failure {
        if failure.kind != Kind::Transient || !self.sets_session() {
            return failure;
        }
        let why = format!("{}, and it may have opened a session all the same", failure.why);
        Failure { kind: Kind::Unclear, why, ..failure }
    }
}

/// Reads a flag. Words and numbers in place of `true` and `false` mean the same.
fn flag(json: &Value, name: &str) -> Option<bool> {
    match json.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(word) => word.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

fn word<'a>(json: &'a Value, name: &str) -> &'a str {
    json.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What a response says of the session's number.
enum SessionId {
    /// It names one.
    Named(Secret),
    /// It names none: a second factor, perhaps.
    Absent,
    /// There is something in its place that is no number of a session.
    Odd,
}

fn session_id(json: &Value) -> SessionId {
    match json.get("session_id") {
        None | Some(Value::Null) => SessionId::Absent,
        Some(Value::String(id)) if id.trim().is_empty() => SessionId::Absent,
        Some(Value::String(id)) => SessionId::Named(Secret::new(id.clone())),
        // A number that was read as a fraction has lost digits, and names no session any more.
        Some(Value::Number(id)) if !id.is_f64() => SessionId::Named(Secret::new(id.to_string())),
        Some(_) => SessionId::Odd,
    }
}

/// Judges the answer to a login; a success is the session.
pub fn login(answer: &Answer) -> Result<Secret, Failure> {
    judged_login(answer).map_err(|failure| answer.unless_session_set(failure))
}

fn judged_login(answer: &Answer) -> Result<Secret, Failure> {
    let json = answer.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) || flag(json, "success") == Some(false) {
        return Err(answer.failure(Kind::Blocked, "the account is blocked"));
    }
    if answer.status == 401 && word(json, "message").eq_ignore_ascii_case("invalid") {
        return Err(answer.failure(Kind::WrongCredentials, "it refused the e-mail address or the password"));
    }
    match session_id(json) {
        SessionId::Named(id) if answer.succeeded() => return Ok(id),
        SessionId::Odd => return Err(answer.unclear()),
        SessionId::Named(_) | SessionId::Absent => {}
    }
    let says_success =
        flag(json, "success") == Some(true) || word(json, "message").eq_ignore_ascii_case("success");
    if flag(json, "requires_mfa") == Some(true) || answer.succeeded() && says_success {
        return Err(answer.failure(Kind::SecondFactor, "the account asks for a second factor"));
    }
    Err(answer.unclear())
}

/// Judges the answer to the code of a second factor; a success is the session. What it looks like is not
/// recorded anywhere (docs/protocol.md, section 1.5): the session is taken from where a login tells it, or from
/// the cookie.
pub fn code(answer: &Answer) -> Result<Secret, Failure> {
    judged_code(answer).map_err(|failure| answer.unless_session_set(failure))
}

fn judged_code(answer: &Answer) -> Result<Secret, Failure> {
    let json = answer.json()?;
    let json = json.value();
    if flag(json, "isBlocked") == Some(true) {
        return Err(answer.failure(Kind::Blocked, "the account is blocked"));
    }
    if flag(json, "isValid") == Some(false) {
        return Err(answer.failure(Kind::WrongCode, "it refused the code"));
    }
    match (session_id(json), answer.session_cookie()) {
        (SessionId::Named(id), _) if answer.succeeded() => Ok(id),
        (SessionId::Absent, Some(cookie)) if answer.succeeded() => Ok(cookie.value.clone()),
        _ => Err(answer.unclear()),
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
    let status = answer.status;
    if status == 403 && !answer.text().contains("too many active sessions") {
        let why = "it refuses a token for this gateway (HTTP 403). Perhaps the gateway does not belong to this \
                   account: the Enphase app shows the gateways that do";
        return Err(answer.failure(Kind::Transient, why));
    }
    if let Some(failure) = answer.common_failure() {
        return Err(failure);
    }
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
    // It is often only a hiccup of the service (docs/protocol.md, sections 1.2
    // and 1.8), never a wrong password.
    if status == 401 {
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
        insta::assert_snapshot!(token(&riddle).unwrap_err(), @"its answer was not understood (HTTP 200: application/json, 27 bytes, {code: number, error: text})");
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

    fn with_cookie(name: &str, mut answer: Answer) -> Answer {
        let value = Secret::new("c00c1e".to_owned());
        answer.cookies.push(Cookie { name: name.to_owned(), value });
        answer
    }

    #[test]
    fn a_session_is_taken_as_a_number_and_nothing_else_in_its_place_is_a_second_factor() {
        let body = |id: &str| format!(r#"{{"message":"success","success":true,"session_id":{id}}}"#);
        for (id, session) in
            [("123456", "123456"), ("18446744073709551615", "18446744073709551615"), ("-7", "-7")]
        {
            assert_eq!(login(&answer(200, &body(id))).unwrap().expose(), session);
            assert_eq!(code(&answer(200, &body(id))).unwrap().expose(), session);
        }
        for id in [
            "true",
            "false",
            "{}",
            r#"{"id":"5e55"}"#,
            "[]",
            r#"["5e55"]"#,
            "1.5",
            "123456789012345678901234567890",
        ] {
            assert_eq!(login_kind(200, &body(id)), Kind::Unclear, "{id}");
            assert_eq!(login_kind(401, &body(id)), Kind::Transient, "{id}");
            assert_eq!(code(&answer(200, &body(id))).unwrap_err().kind, Kind::Unclear, "{id}");
        }
        for id in ["null", "\"\"", "\" \""] {
            assert_eq!(login_kind(200, &body(id)), Kind::SecondFactor, "{id}");
        }
    }

    #[test]
    fn flags_are_read_in_words_and_numbers_too() {
        for (body, kind) in [
            (r#"{"isBlocked":"true"}"#, Kind::Blocked),
            (r#"{"isBlocked":1,"success":true}"#, Kind::Blocked),
            (r#"{"success":"false"}"#, Kind::Blocked),
            (r#"{"success":"True","isBlocked":0}"#, Kind::SecondFactor),
            (r#"{"requires_mfa":1}"#, Kind::SecondFactor),
            (r#"{"success":[],"isBlocked":{}}"#, Kind::Unclear),
        ] {
            assert_eq!(login_kind(200, body), kind, "{body}");
        }
    }

    #[test]
    fn a_failed_login_that_sets_the_session_s_cookie_may_have_opened_it() {
        for (status, body) in
            [(200, ""), (503, PAGE), (500, ""), (502, "{}"), (404, "{}"), (302, ""), (406, "x"), (401, "{}")]
        {
            let judged = [login, code].map(|judge| {
                let kind = |name| judge(&with_cookie(name, answer(status, body))).unwrap_err().kind;
                (kind(SESSION_COOKIE), kind("locale"))
            });
            assert_eq!(judged, [(Kind::Unclear, Kind::Transient); 2], "{status} {body}");
            let renamed = login(&with_cookie("_enlighten_5_Session", answer(status, body)));
            assert_eq!(renamed.unwrap_err().kind, Kind::Unclear, "{status} {body}");
        }
        let emptied = Cookie { name: SESSION_COOKIE.to_owned(), value: Secret::new(String::new()) };
        let cleared = Answer { cookies: vec![emptied], ..answer(503, "") };
        assert_eq!(
            login(&cleared).unwrap_err().kind,
            Kind::Transient,
            "a cookie that is cleared opens nothing"
        );
        // What holds off for longer anyway stays what it is.
        for (status, body, kind) in [
            (401, r#"{"message":"Invalid"}"#, Kind::WrongCredentials),
            (200, r#"{"success":true}"#, Kind::SecondFactor),
            (429, "", Kind::Blocked),
            (200, PAGE, Kind::Blocked),
            (503, "too many active sessions", Kind::TooManySessions),
        ] {
            assert_eq!(
                login(&with_cookie(SESSION_COOKIE, answer(status, body))).unwrap_err().kind,
                kind,
                "{body}"
            );
        }
    }

    #[test]
    fn a_token_that_is_forbidden_is_told_as_the_account_s_matter() {
        for body in ["Forbidden", "", "{}", PAGE] {
            let failure = token(&answer(403, body)).unwrap_err();
            assert_eq!(failure.kind, Kind::Transient, "{body}");
            assert!(failure.why.contains("does not belong to this account"), "{body}: {failure}");
        }
        assert_eq!(token_kind(403, "Too many active sessions.."), Kind::TooManySessions);
        let other = token(&answer(401, "{}")).unwrap_err();
        assert!(!other.why.contains("belong"), "{other}");
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
        for nonsense in ["soon", "", " ", "-5", "1.5"] {
            assert_eq!(RetryAfter::parse(nonsense, None), None, "{nonsense}");
        }
        let endless = RetryAfter::parse("99999999999999999999999", None).unwrap();
        assert_eq!(endless.from(now), Duration::MAX, "the record caps it");
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
