//! The page for a browser whose request is refused.

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use super::problem::Problem;
use crate::output::page;

/// The content type of a page.
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// Returns whether a browser asks, which wants a page.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// Returns a page that explains a problem to the person at a browser.
pub(super) fn refused(problem: &Problem) -> Response {
    let is_unknown = problem.status == StatusCode::UNAUTHORIZED.as_u16();
    let page = page::refused(problem.title, &problem.detail, is_unknown).into_string();
    let mut response = problem.clone().into_response();
    *response.body_mut() = Body::from(page);
    let hash = STANDARD.encode(digest(&SHA256, page::REFUSED_STYLE.as_bytes()));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; img-src data:; frame-ancestors 'self'");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(HTML));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}
