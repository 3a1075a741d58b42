//! A response of a gateway, and the meaning of its status. Eighteen years of gateways refuse in many ways.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderMap, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::Error;
use crate::base::secrets::Secret;

/// A complete response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    /// Returns whether the response is a redirect.
    pub(crate) const fn is_redirect(&self) -> bool {
        matches!(self.status, 300..=399)
    }

    /// Returns the session cookie as "sessionId=…". It is sent back by hand, because it has no expiry, and its name has
    /// been seen in other cases. A Bearer request to a page may open a session too (firmware 8.3.5289).
    pub(crate) fn session(&self) -> Option<Secret> {
        self.headers.get_all(SET_COOKIE).iter().find_map(|value| {
            let pair = value.to_str().ok()?.split(';').next()?.trim();
            let (name, value) = pair.split_once('=')?;
            let is_session = name.to_ascii_lowercase().contains("session") && !value.is_empty();
            is_session.then(|| Secret::new(pair.to_owned()))
        })
    }

    /// Returns the authentication challenges.
    pub(crate) fn challenges(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok())
    }

    /// Returns whether the body contains `words` (lower case), in any case.
    pub(crate) fn body_contains(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.body).to_ascii_lowercase().contains(words)
    }

    /// Returns the body if the status is a success, or the error for `path`.
    pub(crate) fn into_body(self, path: &'static str) -> Result<Bytes, Error> {
        self.error(path).map_or(Ok(self.body), Err)
    }

    /// Returns the error for `path`, unless the status is a success.
    pub(crate) fn error(&self, path: &'static str) -> Option<Error> {
        let status = self.status;
        if !matches!(status, 200..=299) && self.too_many_sessions() {
            return Some(Error::Busy { status, path, retry_after: self.retry_after() });
        }
        match status {
            200..=299 => self.error_inside(path),
            300..=399 => Some(Error::Moved { path }),
            401 | 403 => Some(Error::Forbidden { status, path }),
            404 => Some(Error::Missing { path }),
            429 | 503 => Some(Error::Busy { status, path, retry_after: self.retry_after() }),
            500..=599 => Some(Error::Failing { status, path }),
            _ => Some(Error::Malformed { path, why: format!("its HTTP status is {status}") }),
        }
    }

    /// Returns the error that the body of a success contains.
    fn error_inside(&self, path: &'static str) -> Option<Error> {
        // Firmware 3.8.10 sends the status as plain text.
        if self.body.trim_ascii().starts_with(b"Error: 401") {
            return Some(Error::Forbidden { status: 401, path });
        }
        not_found(&self.body).then_some(Error::Missing { path })
    }

    /// Returns whether this is the page, or a redirect to it, of a gateway that has too many sessions open.
    fn too_many_sessions(&self) -> bool {
        const PAGE: &str = "err_toomanysess";
        let target = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        target.is_some_and(|target| target.contains(PAGE)) || self.body_contains(PAGE)
    }

    /// Returns how long to back off: the header in seconds, or the words of the body ("retry after 30 seconds").
    fn retry_after(&self) -> Option<Duration> {
        let header = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        header.map(Duration::from_secs).or_else(|| wait_in_words(&String::from_utf8_lossy(&self.body)))
    }
}

/// Returns whether the body is a 404 of firmware before 7, on some pages with status 200:
/// `{ "error" : "404 - Not Found" }`.
fn not_found(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(alias = "err")]
        error: String,
    }
    // Longer bodies are pages; parsing them twice would be slow on a Pi.
    body.len() < 256
        && serde_json::from_slice::<Refusal>(body).is_ok_and(|refusal| refusal.error.starts_with("404"))
}

fn wait_in_words(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    let (_, wait) = text.split_once("retry after")?;
    let wait = wait.trim_start();
    let end = wait.find(|c: char| !c.is_ascii_digit()).unwrap_or(wait.len());
    let (number, unit) = wait.split_at_checked(end)?;
    let number: u64 = number.parse().ok()?;
    let seconds = if unit.trim_start().starts_with("min") { number.checked_mul(60)? } else { number };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        Response { status, headers: headers.collect(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn body_of(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Result<Bytes, Error> {
        response(status, headers, body).into_body("/production.json")
    }

    #[test]
    fn each_status_becomes_the_error_that_the_caller_needs() {
        assert_eq!(body_of(200, &[], "{}").unwrap(), "{}");
        assert_eq!(body_of(204, &[], "").unwrap(), "");
        for (status, expected) in [
            (301, "Moved"),
            (401, "Forbidden"),
            (403, "Forbidden"),
            (404, "Missing"),
            (418, "Malformed"),
            (429, "Busy"),
            (500, "Failing"),
            (503, "Busy"),
            (504, "Failing"),
        ] {
            let error = format!("{:?}", body_of(status, &[], "<html></html>").unwrap_err());
            assert!(error.starts_with(expected), "{status}: {error}");
        }
    }

    #[test]
    fn a_missing_page_may_come_with_status_200() {
        for body in [r#"{ "error" : "404 - Not Found" }"#, " { \"err\": \"404 - Not Found\" }\n"] {
            assert!(matches!(body_of(200, &[], body), Err(Error::Missing { .. })), "{body}");
        }
        assert!(body_of(200, &[], r#"{"error":"none"}"#).is_ok());
    }

    #[test]
    fn firmware_3_8_10_refuses_in_plain_text() {
        assert!(matches!(body_of(200, &[], "Error: 401"), Err(Error::Forbidden { status: 401, .. })));
    }

    #[test]
    fn too_many_sessions_is_busy_whatever_the_status() {
        let redirected = body_of(302, &[("location", "/err_toomanysess")], "");
        assert!(matches!(redirected, Err(Error::Busy { status: 302, .. })));
        assert!(matches!(body_of(403, &[], "<a href='/err_toomanysess'>"), Err(Error::Busy { .. })));
    }

    #[test]
    fn the_wait_is_read_from_the_header_or_the_words() {
        let wait = |headers: &[_], body| match body_of(503, headers, body) {
            Err(Error::Busy { retry_after, .. }) => retry_after.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(&[("retry-after", "120")], "Retry after 30 seconds"), Some(120));
        assert_eq!(wait(&[], "<h1>Not ready</h1> Please RETRY AFTER 30 seconds."), Some(30));
        assert_eq!(wait(&[], "retry after 2 minutes"), Some(120));
        assert_eq!(wait(&[], "retry after a while"), None);
        assert_eq!(wait(&[], "retry after 99999999999999999999 seconds"), None);
    }

    #[test]
    fn a_session_is_known_by_its_name_in_any_case() {
        let cookie = |value| response(200, &[("set-cookie", value)], "").session();
        let sent = cookie("sessionId=abc; Secure; HttpOnly; path=/").unwrap();
        assert_eq!(sent.expose(), "sessionId=abc");
        assert!(cookie("SESSIONID=abc").is_some());
        assert!(cookie("theme=dark").is_none());
        assert!(cookie("sessionId=; Max-Age=0").is_none());
    }
}
