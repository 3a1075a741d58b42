//! The responses of simulated servers, and how they are delivered.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::time::Sleep;

/// The size of a huge response, in bytes.
const HUGE: u64 = 4 * 1024 * 1024 * 1024;
const BLOCK: usize = 16 * 1024;

/// A response that can be sent any number of times.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delivery: Delivery,
    pub(super) delay: Duration,
}

/// How a response is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// With a content length.
    Whole,
    /// Chunked, like the slow pages of a gateway.
    Chunked,
    /// One byte per second.
    Trickled,
    /// With 4 GB of blanks in place of the body.
    Huge,
    /// Never, with the connection left open.
    Hung,
    /// Never, with the connection dropped.
    Dropped,
}

impl Answer {
    fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            body: body.into(),
            delivery: Delivery::Whole,
            delay: Duration::ZERO,
        }
    }

    /// Delays the response.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Creates a response without a body. A `status` outside 100 to 999 becomes 500, here and below.
    pub fn empty(status: u16) -> Self {
        Self::new(status, Bytes::new())
    }

    /// Creates a response with a JSON document.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "application/json; charset=utf-8")
    }

    /// Creates a response with an HTML page.
    pub fn html(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "text/html")
    }

    /// Creates a response with plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "text/plain;charset=UTF-8")
    }

    /// Creates a response without a content type.
    pub(super) fn bytes(status: u16, body: Bytes) -> Self {
        Self::new(status, body)
    }

    /// Adds a header, unless HTTP does not allow it.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.append(name, value);
        }
        self
    }

    /// Adds a cookie.
    #[must_use]
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("set-cookie", &format!("{name}={value}; Secure; HttpOnly; path=/"))
    }

    pub(super) fn into_hyper(self) -> Response<ResponseBody> {
        let body = match self.delivery {
            Delivery::Trickled => ResponseBody::Trickle { rest: self.body, pause: None },
            Delivery::Huge => ResponseBody::Huge { left: HUGE },
            Delivery::Chunked => ResponseBody::Chunk(Some(self.body)),
            Delivery::Whole | Delivery::Hung | Delivery::Dropped => ResponseBody::Whole(Some(self.body)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The body of a response that is being sent.
#[derive(Debug)]
pub(super) enum ResponseBody {
    Whole(Option<Bytes>),
    Chunk(Option<Bytes>),
    Trickle { rest: Bytes, pause: Option<Pin<Box<Sleep>>> },
    Huge { left: u64 },
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(body) | Self::Chunk(body) => body.take(),
            Self::Trickle { rest, pause } => {
                if rest.is_empty() {
                    return Poll::Ready(None);
                }
                let second = Duration::from_secs(1);
                ready!(
                    pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(second))).as_mut().poll(context)
                );
                *pause = None;
                Some(rest.split_to(1))
            }
            Self::Huge { left } => {
                static BLANKS: [u8; BLOCK] = [b' '; BLOCK];
                *left = left.saturating_sub(BLOCK as u64);
                (*left > 0).then(|| Bytes::from_static(&BLANKS))
            }
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Trickle { rest, .. } => SizeHint::with_exact(rest.len() as u64),
            Self::Chunk(_) | Self::Huge { .. } => SizeHint::default(),
        }
    }
}
