//! A request to the cloud and its response. Both are logged without secrets: `token refresh --verbose` shows them for
//! bug reports.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{
    AsHeaderName, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE, USER_AGENT,
};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::failure::{Failure, Kind};
use super::response::{Cookie, Response};
use super::shape::shape;
use crate::base::body_shape::names;
use crate::base::causes::innermost;
use crate::base::secrets::Secret;

/// The user agent. Without one the cloud returns 406 since September 2025.
const AGENT: &str = concat!("enphased/", env!("CARGO_PKG_VERSION"));

/// The size limit of a response in bytes, far above any response of the cloud.
const MAX_BYTES: usize = 256 * 1024;

/// A field of a request, as it is logged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field<'a> {
    /// Only the name.
    Hidden(&'static str),
    /// The name, and the beginning and the end of the value.
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

/// Shortens a value to what identifies it for its owner: `ow…om`, `12…00`.
fn shortened(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    match letters.as_slice() {
        [a, b, .., c, d] if letters.len() >= 8 => format!("{a}{b}…{c}{d}"),
        _ => "…".to_owned(),
    }
}

/// Why there is no response.
#[derive(Debug)]
pub(super) struct NoResponse {
    /// `true` if the request may have been sent, and had an effect.
    may_be_sent: bool,
    why: String,
}

impl NoResponse {
    /// Returns the failure for a request that does not open a session.
    pub(super) fn transient(self) -> Failure {
        Failure::transient(self.why)
    }

    /// Returns the failure for a request that may have opened a session.
    pub(super) fn of_login(self) -> Failure {
        Failure::new(if self.may_be_sent { Kind::Unclear } else { Kind::Transient }, self.why)
    }
}

/// Sends `request` once.
pub(super) async fn send(request: RequestBuilder, fields: &[Field<'_>]) -> Result<Response, NoResponse> {
    let (client, request) = request.header(USER_AGENT, AGENT).build_split();
    let request = request.map_err(|error| no_response(&error))?;
    let start = Instant::now();
    let (method, url) = (request.method(), request.url());
    let (host, path) = (url.authority(), url.path());
    let headers = names(request.headers().keys().map(HeaderName::as_str));
    let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
    tracing::debug!("> {method} {host}{path}; headers {headers}; {}", fields.join(", "));
    let result = match client.execute(request).await {
        Ok(response) => read(response).await,
        Err(error) => Err(no_response(&error)),
    };
    match &result {
        Ok(response) => log(response, start.elapsed()),
        Err(error) => tracing::debug!("< no response: {}; {}", error.why, milliseconds(start.elapsed())),
    }
    result
}

fn log(response: &Response, elapsed: Duration) {
    let shape = shape(response.content_type.as_deref(), &response.body);
    let cookies = names(response.cookies.iter().map(|cookie| cookie.name.as_str()));
    let cookies = if cookies.is_empty() { "no cookies".to_owned() } else { format!("cookies {cookies}") };
    tracing::debug!("< {}; {shape}; {cookies}; {}", response.status, milliseconds(elapsed));
}

fn milliseconds(elapsed: Duration) -> String {
    format!("{} ms", elapsed.as_millis())
}

async fn read(mut response: reqwest::Response) -> Result<Response, NoResponse> {
    let status = response.status().as_u16();
    let headers = response.headers();
    let (retry_after, date) = (header(headers, RETRY_AFTER), header(headers, DATE));
    let content_type = header(headers, CONTENT_TYPE);
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(cookie).collect();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| no_response(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            let why = format!("the response exceeds {MAX_BYTES} bytes");
            return Err(NoResponse { may_be_sent: true, why });
        }
        append(&mut body, &chunk);
    }
    Ok(Response { status, retry_after, date, content_type, cookies, body })
}

/// Appends `chunk`. A vector that grows by itself leaves a copy behind, and a body may contain a token, so a larger one
/// takes its place and the smaller one is wiped.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let length = body.len() + chunk.len();
    if length > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn cookie(header: &HeaderValue) -> Option<Cookie> {
    let (name, value) = header.to_str().ok()?.split(';').next()?.split_once('=')?;
    Some(Cookie { name: name.trim().to_owned(), value: Secret::new(value.trim().to_owned()) })
}

/// Converts an error. If there was no connection, nothing was sent.
fn no_response(error: &reqwest::Error) -> NoResponse {
    NoResponse { may_be_sent: !error.is_connect() && !error.is_builder(), why: reason(error) }
}

/// Returns the innermost cause, without the address, which may be long, and without anything that was sent.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the request timed out".to_owned();
    }
    error.source().map_or_else(|| "the request could not be sent".to_owned(), innermost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shortened_to_their_ends() {
        assert_eq!(shortened("owner@example.com"), "ow…om");
        assert_eq!(shortened("122300000001"), "12…01");
        assert_eq!(shortened("a@b.com"), "…");
        assert_eq!(Field::Hidden("user[password]").to_string(), "user[password]");
    }

    #[test]
    fn the_name_and_the_value_of_a_cookie_are_kept() {
        let set = HeaderValue::from_static("_enlighten_4_session=5e55; Secure; HttpOnly; path=/");
        let cookie = cookie(&set).unwrap();
        assert_eq!((cookie.name.as_str(), cookie.value.expose()), ("_enlighten_4_session", "5e55"));
    }

    #[test]
    fn a_body_that_arrives_in_pieces_is_whole_and_never_grows_by_itself() {
        let (mut body, mut whole) = (Zeroizing::new(Vec::new()), Vec::new());
        for piece in [&b"eyJ"[..], b"", b"0", &[7; 5000], b"end"] {
            let room = body.capacity().max((whole.len() + piece.len()).next_power_of_two());
            append(&mut body, piece);
            whole.extend_from_slice(piece);
            assert_eq!((body.as_slice(), body.capacity()), (whole.as_slice(), room));
        }
    }

    #[test]
    fn a_request_that_may_be_sent_may_have_opened_a_session() {
        for (may_be_sent, kind) in [(true, Kind::Unclear), (false, Kind::Transient)] {
            let error = || NoResponse { may_be_sent, why: "reset".to_owned() };
            assert_eq!(error().of_login().kind, kind);
            assert_eq!(error().transient().kind, Kind::Transient);
        }
    }
}
