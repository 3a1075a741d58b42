//! `/openapi.json`: the description of the API, written by hand. A test compares every response with it.

use axum::http::HeaderMap;
use axum::response::Response;

use super::api::document;
use super::rendered::Document;

/// The description.
pub(super) const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /openapi.json`
pub(super) async fn openapi(headers: HeaderMap) -> Response {
    document(&headers, Document::of(DESCRIPTION))
}
