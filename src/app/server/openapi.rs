//! `/openapi.json`: the description of the API, written by hand. A test compares every response with it.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// The description.
pub(super) const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /openapi.json`
pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], DESCRIPTION).into_response()
}
