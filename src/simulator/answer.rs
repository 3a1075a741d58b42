//! What a simulated server says, and how it brings it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::time::Sleep;

/// The size of an answer without end in sight.
const HUGE: u64 = 4 * 1024 * 1024 * 1024;
const BLOCK: usize = 16 * 1024;

/// An answer that can be given again and again.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) manner: Manner,
    pub(super) delay: Duration,
}

/// How an answer is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// With its length said first.
    Whole,
    /// In chunks, as the slow pages of a gateway are.
    Chunked,
    /// One byte a second.
    Trickled,
    /// 4 GB of blanks instead of the body.
    Huge,
    /// Never.
    Hung,
    /// The connection is dropped instead.
    Dropped,
}

impl Answer {
    fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            body: body.into(),
            manner: Manner::Whole,
            delay: Duration::ZERO,
        }
    }

    /// The same, later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// A status and nothing else; a `status` outside 100 to 999 becomes 500, here and below.
    pub fn empty(status: u16) -> Self {
        Self::new(status, Bytes::new())
    }

    /// A JSON document.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "application/json; charset=utf-8")
    }

    /// A page for people.
    pub fn html(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "text/html")
    }

    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "text/plain;charset=UTF-8")
    }

    /// Bytes without a word about their kind.
    pub(super) fn bytes(status: u16, body: Bytes) -> Self {
        Self::new(status, body)
    }

    /// Adds a header; one that HTTP does not allow is left out.
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

    pub(super) fn into_response(self) -> Response<Brought> {
        let body = match self.manner {
            Manner::Trickled => Brought::Trickle { rest: self.body, pause: None },
            Manner::Huge => Brought::Huge { left: HUGE },
            Manner::Chunked => Brought::Chunk(Some(self.body)),
            Manner::Whole | Manner::Hung | Manner::Dropped => Brought::Whole(Some(self.body)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// The body of an answer under way.
#[derive(Debug)]
pub(super) enum Brought {
    Whole(Option<Bytes>),
    Chunk(Option<Bytes>),
    Trickle { rest: Bytes, pause: Option<Pin<Box<Sleep>>> },
    Huge { left: u64 },
}

impl Body for Brought {
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
