//! A response of the cloud, and what can be read from any of them.
//!
//! The formats are those of docs/protocol.md, sections 1.5, 1.6 and 1.8. The content of a response decides, whatever
//! its status.

use serde_json::Value;
use zeroize::Zeroizing;

use super::failure::{Failure, Kind};
use super::shape::shape;
use crate::base::secrets::{Document, Secret};
use crate::io::retry_after::RetryAfter;
use crate::io::token::Token;

/// The name of the session cookie. Its value is the session identifier.
pub(super) const SESSION_COOKIE: &str = "_enlighten_4_session";

/// A cookie that the cloud sets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Cookie {
    pub name: String,
    pub value: Secret,
}

/// A response as received.
#[derive(Debug, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Date` header: the time of the cloud's clock.
    pub date: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The cookies of the `Set-Cookie` headers.
    pub cookies: Vec<Cookie>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

impl Response {
    pub(super) fn failure(&self, kind: Kind, why: impl Into<String>) -> Failure {
        let retry_after =
            self.retry_after.as_deref().and_then(|header| RetryAfter::parse(header, self.date.as_deref()));
        Failure { kind, retry_after, why: why.into() }
    }

    /// Returns the failure for an unknown response, with a description for a bug report.
    pub(super) fn unexpected(&self, kind: Kind) -> Failure {
        let shape = shape(self.content_type.as_deref(), &self.body);
        self.failure(kind, format!("unexpected response (HTTP {}: {shape})", self.status))
    }

    pub(super) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.body).to_lowercase())
    }

    /// Returns whether the body is an HTML page, whatever the content type.
    pub(super) fn is_html(&self) -> bool {
        let start = self.text();
        let start = start.trim_start();
        let has_html_type =
            self.content_type.as_ref().is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
        has_html_type || start.starts_with("<!doctype") || start.starts_with("<html")
    }

    /// Returns a failure that any request can get, in the order of precedence.
    pub(super) fn common_failure(&self) -> Option<Failure> {
        let status = self.status;
        if self.text().contains("too many active sessions") {
            return Some(self.failure(Kind::TooManySessions, "the account has too many active sessions"));
        }
        if status == 429 {
            return Some(self.failure(Kind::Blocked, "rate limited (HTTP 429)"));
        }
        if status >= 500 {
            return Some(self.failure(Kind::Transient, format!("server error (HTTP {status})")));
        }
        // An empty 404 to a request for a token is not an outage: the page no longer exists.
        let is_gone = matches!(status, 300..=400 | 404..);
        if self.body.trim_ascii().is_empty() && !is_gone {
            return Some(self.failure(Kind::Transient, format!("empty response (HTTP {status})")));
        }
        None
    }

    /// Parses a login response as JSON, or classifies the failure.
    pub(super) fn json(&self) -> Result<Document, Failure> {
        if let Some(failure) = self.common_failure() {
            return Err(failure);
        }
        Document::parse(&self.body).ok_or_else(|| {
            if self.is_html() {
                let status = self.status;
                self.failure(Kind::Blocked, format!("received a login page instead of JSON (HTTP {status})"))
            } else {
                self.unclear()
            }
        })
    }

    /// Returns the token in the response, which is either the whole body or a field of a JSON object.
    pub(super) fn token(&self) -> Option<Token> {
        let bare = std::str::from_utf8(&self.body).ok().and_then(|text| Token::decode(text).ok());
        let in_document = || Token::decode(text(Document::parse(&self.body)?.value(), "token")).ok();
        bare.or_else(in_document)
    }

    /// Returns the failure for an unknown login response. A success may have opened a session; an error has not.
    pub(super) fn unclear(&self) -> Failure {
        self.unexpected(if self.succeeded() { Kind::Unclear } else { Kind::Transient })
    }

    /// Returns the session cookie, if this response sets one.
    pub(super) fn session_cookie(&self) -> Option<&Cookie> {
        self.cookies.iter().find(|cookie| cookie.name == SESSION_COOKIE && !cookie.value.is_empty())
    }

    /// Returns whether this response sets a cookie that may be a session, even if the cloud has renamed it.
    fn sets_session(&self) -> bool {
        let is_session = |cookie: &Cookie| cookie.name.to_ascii_lowercase().contains("session");
        self.cookies.iter().any(|cookie| is_session(cookie) && !cookie.value.is_empty())
    }

    /// Reclassifies a transient failure as a login that may have opened a session, if the response sets the session
    /// cookie. An outage page or an empty body does not undo that (L6, "unclear").
    pub(super) fn unless_session_set(&self, failure: Failure) -> Failure {
        if failure.kind != Kind::Transient || !self.sets_session() {
            return failure;
        }
        let why = format!("{}; a session may have been opened anyway", failure.why);
        Failure { kind: Kind::Unclear, why, ..failure }
    }
}

/// Reads a flag. Texts and numbers are accepted in place of `true` and `false`.
pub(super) fn flag(json: &Value, name: &str) -> Option<bool> {
    match json.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().ok(),
        _ => None,
    }
}

pub(super) fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The session identifier in a response.
pub(super) enum SessionId {
    /// A valid identifier.
    Present(Secret),
    /// No identifier, perhaps because of a second factor.
    Absent,
    /// A value that is not an identifier.
    Invalid,
}

pub(super) fn session_id(json: &Value) -> SessionId {
    match json.get("session_id") {
        None | Some(Value::Null) => SessionId::Absent,
        Some(Value::String(id)) if id.trim().is_empty() => SessionId::Absent,
        Some(Value::String(id)) => SessionId::Present(Secret::new(id.clone())),
        // A number that was parsed as a float has lost digits.
        Some(Value::Number(id)) if !id.is_f64() => SessionId::Present(Secret::new(id.to_string())),
        Some(_) => SessionId::Invalid,
    }
}
