//! The serial number in the path of a request.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::base::reading::Serial;

/// The serial number in the path of a request, or `None` if none can be read there. The library answers by itself, and not as
/// the API does, what is not text when decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SerialInPath(pub(super) Option<Serial>);

impl<S: Send + Sync> FromRequestParts<S> for SerialInPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(text.ok().and_then(|Path(text)| Serial::parse(&text).ok())))
    }
}
