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
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::Error;
use super::answer::Answer;
use super::cause::Cause;
use super::stream::Stream;
use crate::secrets::Secret;

/// No page of a gateway is longer; the longest known one has 43 kB.
pub(super) const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// How long nothing may come. The slowest page measured took 11 s, and under load more.
const SILENCE: Duration = Duration::from_secs(45);

/// What is asked of a gateway.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) json: Option<&'a str>,
    headers: HeaderMap,
}

impl<'a> Request<'a> {
    /// A page.
    pub(super) fn get(path: &'static str) -> Self {
        Self { method: Method::GET, path, json: None, headers: HeaderMap::new() }
    }

    /// A change, as JSON.
    pub(super) fn post(path: &'static str, json: &'a str) -> Self {
        Self { method: Method::POST, path, json: Some(json), headers: HeaderMap::new() }
    }

    /// With `value` as the header `name` instead of what was there.
    pub(super) fn put(&mut self, name: HeaderName, value: &Secret) -> Result<(), Error> {
        let mut value = HeaderValue::from_maybe_shared(value.to_bytes()).map_err(|_text| Error::Setup {
            why: format!("the secret for the header {name} holds characters that cannot be sent"),
        })?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(())
    }

    /// As it is sent to `host` by `agent`.
    pub(super) fn message(&self, host: &str, agent: &str) -> Result<Message, Failure> {
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
        message.headers_mut().extend(self.headers.clone());
        Ok(message)
    }
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
    /// It is longer than [`BODY_LIMIT`].
    TooLarge,
    /// The request cannot be put together.
    Setup(String),
}

/// Sends `message` on `stream`; gives the answer, and the stream if it may be asked again.
pub(super) async fn exchange(stream: Stream, message: Message) -> Result<(Answer, Option<Stream>), Failure> {
    let mut http = Builder::new();
    // Firmware 5 has been seen to send broken headers on its redirects.
    http.ignore_invalid_headers_in_responses(true);
    let (mut sender, mut connection) = http.handshake(TokioIo::new(stream)).await?;
    // The connection moves only while it is polled. How it ended is told to who asks.
    let mut ended = false;
    let answer = {
        let mut asking = pin!(ask(&mut sender, message));
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
    Ok((answer, again.then(|| connection.into_parts().io.into_inner())))
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, message: Message) -> Result<Answer, Failure> {
    let beginning = async { Ok(sender.send_request(message).await?) };
    let response = in_time(SILENCE, beginning).await?;
    let (head, body) = response.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: whole(body).await? })
}

/// Reads a body piece by piece, so that an endless one costs no memory.
async fn whole(mut body: Incoming) -> Result<Vec<u8>, Failure> {
    let announced = body.size_hint().lower();
    if announced > BODY_LIMIT as u64 {
        return Err(Failure::TooLarge);
    }
    let mut whole = Vec::new();
    let mut next = async || {
        in_time(SILENCE, async { body.frame().await.transpose().map_err(|_broken| Failure::CutOff) }).await
    };
    while let Some(frame) = next().await? {
        // Trailers tell nothing.
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len() + piece.len() > BODY_LIMIT {
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
        Self::Cause(Cause::of_broken(&error))
    }
}
