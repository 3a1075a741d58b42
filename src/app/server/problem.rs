//! Errors of the server, as RFC 9457 describes them.

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::output::json;
use crate::rules::access::refusal::Refusal;

/// The content type of a problem.
pub(super) const CONTENT: &str = "application/problem+json";

/// An error, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: u16,
    /// A short description, the same for every problem of this kind.
    pub(super) title: &'static str,
    /// What happened, and what to do.
    pub(super) detail: String,
    /// The code for programs, of a refused request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    /// The time after which a repetition makes sense.
    #[serde(skip)]
    pub(super) retry_after: Option<Duration>,
}

impl Problem {
    /// Creates a problem without a code.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { status: status.as_u16(), title, detail: detail.into(), code: None, retry_after: None }
    }

    /// Creates a problem for something that does not exist.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status(),
            title: refusal.title(),
            detail: refusal.to_string(),
            code: Some(refusal.code()),
            retry_after: refusal.retry_after(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, json::one_line(&self) + "\n").into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            // Rounded up, so that a repetition at that time is accepted.
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs() + 1));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"enphased\""));
        }
        response
    }
}
