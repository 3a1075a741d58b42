//! A page as the gateway returned it.

use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};

use super::Error;
use super::response::Response;

/// A complete response of the gateway, as other programs get it. Clones share the body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Page {
    pub status: u16,
    pub content_type: Option<HeaderValue>,
    /// Not requested, but a body would be useless without it.
    pub content_encoding: Option<HeaderValue>,
    pub body: Bytes,
}

/// A complete response, and the meaning of its status for a reader of the page.
#[derive(Debug)]
pub struct Fetched {
    /// The response.
    pub page: Page,
    /// The reason that it is not the requested page.
    pub error: Option<Error>,
}

impl Fetched {
    /// Wraps the response for `path`.
    pub(super) fn new(response: Response, path: &'static str) -> Self {
        let error = response.error(path);
        Self { page: Page::from(response), error }
    }

    /// Returns the body if it is that of the requested page.
    pub fn into_body(self) -> Result<Bytes, Error> {
        self.error.map_or(Ok(self.page.body), Err)
    }
}

impl From<Response> for Page {
    fn from(response: Response) -> Self {
        let header = |name| response.headers.get(name).cloned();
        Self {
            status: response.status,
            content_type: header(CONTENT_TYPE),
            content_encoding: header(CONTENT_ENCODING),
            body: response.body,
        }
    }
}
