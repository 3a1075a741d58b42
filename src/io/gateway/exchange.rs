//! One request and its answer.
//!
//! Between two polls a gateway's connection is idle for half a minute, and what HTTP needs to speak on it (buffers
//! for both ways, 30 kB) would lie there unused for each gateway. So HTTP is put on the connection for one exchange
//! and taken off again; the connection itself, with its TLS, stays.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Method;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::answer::Answer;
use super::cause::Cause;
use super::measured::{Measured, TooMuch};
use super::peer::{Bound, FarEnd, Proof};
use super::stream::Stream;
use crate::base::secrets::Secret;

/// How many bytes the status line and the headers of a response may have; a gateway sends about 300.
const HEAD_LIMIT: usize = 16 << 10;
/// How many headers a response may have; a gateway sends about 10.
const MOST_HEADERS: usize = 100;
/// How often a byte of a body may be sent in other bytes: the frames of a chunked body, which may be small.
const FRAMING: usize = 4;
/// How long nothing may come. The slowest page measured took 11 s, and under load more.
const SILENCE: Duration = Duration::from_secs(45);

/// What is asked of a gateway.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) json: Option<&'a str>,
    /// How many bytes the response may have.
    pub(super) limit: usize,
    secrets: Vec<(HeaderName, Bound)>,
}

impl<'a> Request<'a> {
    /// A page of at most `limit` bytes.
    pub(super) fn get(path: &'static str, limit: usize) -> Self {
        Self { method: Method::GET, path, json: None, limit, secrets: Vec::new() }
    }

    /// A change, as JSON, with a response of at most `limit` bytes.
    pub(super) fn post(path: &'static str, json: &'a str, limit: usize) -> Self {
        Self { method: Method::POST, path, json: Some(json), limit, secrets: Vec::new() }
    }

    /// With `secret` as the header `name` instead of what was there.
    pub(super) fn put(&mut self, name: HeaderName, secret: Bound) {
        self.secrets.retain(|(there, _)| *there != name);
        self.secrets.push((name, secret));
    }

    /// As it is sent to `host` by `agent`, on a connection to `far_end`: its secrets are for nobody else.
    pub(super) fn message(&self, host: &str, agent: &str, far_end: &FarEnd) -> Result<Message, Failure> {
        let body = self.json.map(|json| Bytes::copy_from_slice(json.as_bytes())).unwrap_or_default();
        let mut message = hyper::Request::builder()
            .method(&self.method)
            .uri(self.path)
            .header(HOST, host)
            .header(USER_AGENT, agent)
            .header(ACCEPT, "*/*")
            .body(Full::new(body))
            .map_err(|error| Failure::Setup(error.to_string()))?;
        if self.json.is_some() {
            message.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, secret) in &self.secrets {
            let secret = secret.reveal(far_end).ok_or(Failure::Unnamed)?;
            message.headers_mut().insert(name, header(name, secret)?);
        }
        Ok(message)
    }
}

fn header(name: &HeaderName, secret: &Secret) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_maybe_shared(secret.to_bytes()).map_err(|_text| {
        Failure::Setup(format!("the secret for the header {name} holds characters that cannot be sent"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A request as HTTP has it.
pub(super) type Message = hyper::Request<Full<Bytes>>;

/// Why no whole answer came.
#[derive(Debug)]
pub(super) enum Failure {
    /// None began to come.
    Cause(Cause),
    /// It had begun, and stopped.
    CutOff,
    /// It is longer than it may be.
    TooLarge,
    /// What came is not HTTP.
    NotHttp(String),
    /// The request cannot be put together.
    Setup(String),
    /// Nothing was sent: the connection shows something else than the peer that was asked for.
    OtherProof(Proof),
    /// Nothing was sent: the other end has not named itself as the peer.
    Unnamed,
}

impl Failure {
    /// The same where no connection was open yet.
    pub(super) fn before_connection(self) -> Self {
        match self {
            Self::Cause(cause) => Self::Cause(cause.before_connection()),
            other => other,
        }
    }
}

/// Sends `message` on `stream`; gives the answer, whose body has at most `limit` bytes, and the stream if it may be asked
/// again.
pub(super) async fn exchange(
    stream: Stream,
    message: Message,
    limit: usize,
) -> Result<(Answer, Option<Stream>), Failure> {
    let mut http = Builder::new();
    // Firmware 5 has been seen to send broken headers on its redirects.
    http.ignore_invalid_headers_in_responses(true);
    http.max_headers(MOST_HEADERS).max_header_size(HEAD_LIMIT).max_buf_size(HEAD_LIMIT);
    // HTTP itself sets no limit to interim responses, chunk extensions and trailers.
    let stream = Measured::new(stream, HEAD_LIMIT + limit * FRAMING);
    let (mut sender, mut connection) = http.handshake(TokioIo::new(stream)).await?;
    // The connection moves only while it is polled. How it ended is told to who asks.
    let mut ended = false;
    let answer = {
        let mut asking = pin!(ask(&mut sender, message, limit));
        poll_fn(|context| {
            ended = ended || connection.poll_without_shutdown(context).is_ready();
            asking.as_mut().poll(context)
        })
        .await?
    };
    // It may be asked again when the answer is read to its end, nothing came unasked, and nobody has closed it.
    let again = poll_fn(|context| {
        ended = ended || connection.poll_without_shutdown(context).is_ready();
        if ended { Poll::Ready(false) } else { sender.poll_ready(context).map(|ready| ready.is_ok()) }
    })
    .await;
    Ok((answer, again.then(|| connection.into_parts().io.into_inner().into_inner())))
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    message: Message,
    limit: usize,
) -> Result<Answer, Failure> {
    let beginning = async { Ok(sender.send_request(message).await?) };
    let response = in_time(SILENCE, beginning).await?;
    let (head, body) = response.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: whole(body, limit).await? })
}

/// Reads a body piece by piece, so that an endless one costs no memory.
async fn whole(mut body: Incoming, limit: usize) -> Result<Vec<u8>, Failure> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(Failure::TooLarge);
    }
    let mut whole = Vec::new();
    let mut next = async || {
        in_time(SILENCE, async { body.frame().await.transpose().map_err(|error| Failure::of_body(&error)) })
            .await
    };
    while let Some(frame) = next().await? {
        // Trailers tell nothing.
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len() + piece.len() > limit {
            return Err(Failure::TooLarge);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// What comes within `patience`.
pub(super) async fn in_time<T>(
    patience: Duration,
    coming: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(patience, coming).await.unwrap_or_else(|_elapsed| Err(Failure::Cause(Cause::timed_out(patience))))
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        if TooMuch::is_in(&error) {
            Self::TooLarge
        } else if error.is_parse() {
            Self::NotHttp(error.to_string())
        } else {
            Self::Cause(Cause::of_broken(&error))
        }
    }
}

impl Failure {
    /// Of a body that did not come to its end.
    fn of_body(error: &hyper::Error) -> Self {
        if TooMuch::is_in(error) { Self::TooLarge } else { Self::CutOff }
    }
}
