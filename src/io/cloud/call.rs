//! One request to the cloud and its answer, and both told without a secret: `token refresh --verbose` shows it, for
//! reports of what went wrong.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use reqwest::header::{
    AsHeaderName, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE, USER_AGENT,
};
use reqwest::{RequestBuilder, Response};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::answer::{Answer, Cookie, Failure, Kind};
use super::shape::shape;
use crate::base::body_shape::names;
use crate::base::secrets::Secret;

/// What the cloud is told of us; without a user agent it answers 406 since September 2025.
const AGENT: &str = concat!("enphased/", env!("CARGO_PKG_VERSION"));

/// Far more than any answer of the cloud.
const LONGEST: usize = 256 * 1024;

/// What a request carries, as it is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    /// By its name alone.
    Hidden(&'static str),
    /// With the beginning and the end of what it holds.
    Shortened(&'static str, &'a str),
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden(name) => write!(f, "{name}"),
            Self::Shortened(name, text) => write!(f, "{name}={}", shortened(text)),
        }
    }
}

/// Enough to know it by: `ow…om`, `12…00`.
fn shortened(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    match letters.as_slice() {
        [a, b, .., c, d] if letters.len() >= 8 => format!("{a}{b}…{c}{d}"),
        _ => "…".to_owned(),
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Silence {
    /// Whether the request may have left, and had an effect.
    may_have_left: bool,
    why: String,
}

impl Silence {
    /// For a request that opens no session.
    pub(super) fn transient(self) -> Failure {
        Failure::transient(self.why)
    }

    /// For one that may have opened a session.
    pub(super) fn of_login(self) -> Failure {
        Failure::new(if self.may_have_left { Kind::Unclear } else { Kind::Transient }, self.why)
    }
}

/// Sends `request`, once.
pub(super) async fn send(request: RequestBuilder, fields: &[Field<'_>]) -> Result<Answer, Silence> {
    let (client, request) = request.header(USER_AGENT, AGENT).build_split();
    let request = request.map_err(|error| silence(&error))?;
    let start = Instant::now();
    let (method, url) = (request.method(), request.url());
    let (host, path) = (url.authority(), url.path());
    let headers = names(request.headers().keys().map(HeaderName::as_str));
    let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
    tracing::debug!("> {method} {host}{path}; headers {headers}; {}", fields.join(", "));
    let read = match client.execute(request).await {
        Ok(response) => read(response).await,
        Err(error) => Err(silence(&error)),
    };
    match &read {
        Ok(answer) => tell(answer, start.elapsed()),
        Err(silence) => tracing::debug!("< nothing: {}; {}", silence.why, took(start.elapsed())),
    }
    read
}

fn tell(answer: &Answer, elapsed: Duration) {
    let shape = shape(answer.content_type.as_deref(), &answer.body);
    let cookies = names(answer.cookies.iter().map(|cookie| cookie.name.as_str()));
    let cookies = if cookies.is_empty() { "no cookies".to_owned() } else { format!("cookies {cookies}") };
    tracing::debug!("< {}; {shape}; {cookies}; {}", answer.status, took(elapsed));
}

fn took(elapsed: Duration) -> String {
    format!("{} ms", elapsed.as_millis())
}

async fn read(mut response: Response) -> Result<Answer, Silence> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let (retry_after, date) = (header(headers, RETRY_AFTER), header(headers, DATE));
    let content_type = header(headers, CONTENT_TYPE);
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(cookie).collect();
    // All the room at once: a body that grows leaves pieces of itself behind, and it may hold a token.
    let mut body = Zeroizing::new(Vec::with_capacity(LONGEST));
    while let Some(chunk) = response.chunk().await.map_err(|error| silence(&error))? {
        if body.len() + chunk.len() > LONGEST {
            let why = format!("its answer was longer than {LONGEST} bytes");
            return Err(Silence { may_have_left: true, why });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, date, content_type, cookies, body })
}

fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn cookie(header: &HeaderValue) -> Option<Cookie> {
    let (name, value) = header.to_str().ok()?.split(';').next()?.split_once('=')?;
    Some(Cookie { name: name.trim().to_owned(), value: Secret::new(value.trim().to_owned()) })
}

/// Where no connection came about, nothing was sent.
fn silence(error: &reqwest::Error) -> Silence {
    Silence { may_have_left: !error.is_connect() && !error.is_builder(), why: reason(error) }
}

/// The innermost cause, without the address, which may be long, and without anything that was sent.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| "the request could not be made".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_serial_numbers_are_told_by_their_ends() {
        assert_eq!(shortened("owner@example.com"), "ow…om");
        assert_eq!(shortened("122300000001"), "12…01");
        assert_eq!(shortened("a@b.com"), "…");
        assert_eq!(Field::Hidden("user[password]").to_string(), "user[password]");
    }

    #[test]
    fn of_a_cookie_the_name_and_the_value_are_kept() {
        let set = HeaderValue::from_static("_enlighten_4_session=5e55; Secure; HttpOnly; path=/");
        let cookie = cookie(&set).unwrap();
        assert_eq!((cookie.name.as_str(), cookie.value.expose()), ("_enlighten_4_session", "5e55"));
    }

    #[test]
    fn what_may_have_left_may_have_opened_a_session() {
        for (may_have_left, kind) in [(true, Kind::Unclear), (false, Kind::Transient)] {
            let silence = || Silence { may_have_left, why: "reset".to_owned() };
            assert_eq!(silence().of_login().kind, kind);
            assert_eq!(silence().transient().kind, Kind::Transient);
        }
    }
}
