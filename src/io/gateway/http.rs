//! An HTTP request and its response.
//!
//! Between two polls a gateway's connection is idle for half a minute. HTTP's buffers for both directions (30 kB) would
//! be unused for each gateway. So HTTP is attached to the connection for one exchange and detached again; the
//! connection itself, with its TLS, stays.

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

use super::failure::Failure;
use super::io_error::IoError;
use super::peer::{BoundSecret, RemoteEnd};
use super::read_limit::ReadLimited;
use super::response::Response;
use super::socket::Socket;
use crate::base::secrets::Secret;

/// The size limit in bytes of the status line and the headers of a response; a gateway sends about 300.
const HEAD_LIMIT: usize = 16 << 10;
/// The maximum number of headers of a response; a gateway sends about 10.
const MAX_HEADERS: usize = 100;
/// The number of bytes that may be received for each byte of a body: the frames of a chunked body may be small.
const FRAMING_FACTOR: usize = 4;
/// The read timeout. The slowest page measured took 11 s, and under load more.
const READ_TIMEOUT: Duration = Duration::from_secs(45);

/// A request to a gateway.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) json: Option<&'a str>,
    /// The size limit of the response in bytes.
    pub(super) limit: usize,
    secrets: Vec<(HeaderName, BoundSecret)>,
}

impl<'a> Request<'a> {
    /// Creates a GET request for a page of at most `limit` bytes.
    pub(super) fn get(path: &'static str, limit: usize) -> Self {
        Self { method: Method::GET, path, json: None, limit, secrets: Vec::new() }
    }

    /// Creates a POST request with a JSON body, for a response of at most `limit` bytes.
    pub(super) fn post(path: &'static str, json: &'a str, limit: usize) -> Self {
        Self { method: Method::POST, path, json: Some(json), limit, secrets: Vec::new() }
    }

    /// Sets the header `name` to `secret`.
    pub(super) fn put(&mut self, name: HeaderName, secret: BoundSecret) {
        self.secrets.retain(|(other, _)| *other != name);
        self.secrets.push((name, secret));
    }

    /// Builds the HTTP message for `host`. Fails if one of the secrets is not for `remote`.
    pub(super) fn message(&self, host: &str, agent: &str, remote: &RemoteEnd) -> Result<Message, Failure> {
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
            let secret = secret.reveal(remote).ok_or(Failure::Unidentified)?;
            message.headers_mut().insert(name, header(name, secret)?);
        }
        Ok(message)
    }
}

fn header(name: &HeaderName, secret: &Secret) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_maybe_shared(secret.to_bytes()).map_err(|_text| {
        Failure::Setup(format!("the secret for the header {name} contains characters that cannot be sent"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A request in the form that hyper sends.
pub(super) type Message = hyper::Request<Full<Bytes>>;

/// Sends `message` on `socket`; returns the response, whose body has at most `limit` bytes, and the socket if it can be
/// used again.
pub(super) async fn exchange(
    socket: Socket,
    message: Message,
    limit: usize,
) -> Result<(Response, Option<Socket>), Failure> {
    let mut http = Builder::new();
    // Firmware 5 has been seen to send broken headers on its redirects.
    http.ignore_invalid_headers_in_responses(true);
    http.max_headers(MAX_HEADERS).max_header_size(HEAD_LIMIT).max_buf_size(HEAD_LIMIT);
    // HTTP itself does not limit interim responses, chunk extensions and trailers.
    let socket = ReadLimited::new(socket, HEAD_LIMIT + limit * FRAMING_FACTOR);
    let (mut sender, mut connection) = http.handshake(TokioIo::new(socket)).await?;
    // The connection makes progress only while it is polled. How it ended is returned by the request.
    let mut ended = false;
    let response = {
        let mut request = pin!(request(&mut sender, message, limit));
        poll_fn(|context| {
            ended = ended || connection.poll_without_shutdown(context).is_ready();
            request.as_mut().poll(context)
        })
        .await?
    };
    // The socket can be used again if the response was read to its end, no other bytes arrived, and it is still open.
    let reusable = poll_fn(|context| {
        ended = ended || connection.poll_without_shutdown(context).is_ready();
        if ended { Poll::Ready(false) } else { sender.poll_ready(context).map(|ready| ready.is_ok()) }
    })
    .await;
    Ok((response, reusable.then(|| connection.into_parts().io.into_inner().into_inner())))
}

async fn request(
    sender: &mut SendRequest<Full<Bytes>>,
    message: Message,
    limit: usize,
) -> Result<Response, Failure> {
    let head = async { Ok(sender.send_request(message).await?) };
    let response = in_time(READ_TIMEOUT, head).await?;
    let (head, body) = response.into_parts();
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body: read_body(body, limit).await? })
}

/// Reads a body in pieces, so that an endless one costs no memory.
async fn read_body(mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(Failure::TooLarge);
    }
    let mut whole = Vec::new();
    let mut next = async || {
        in_time(READ_TIMEOUT, async {
            body.frame().await.transpose().map_err(|error| Failure::of_body(&error))
        })
        .await
    };
    while let Some(frame) = next().await? {
        // Trailers are of no use.
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len() + piece.len() > limit {
            return Err(Failure::TooLarge);
        }
        whole.extend_from_slice(&piece);
    }
    // Without the spare room of a growing vector, because the proxy keeps bodies.
    Ok(whole.into_boxed_slice().into())
}

/// Awaits `future` for at most `limit`.
pub(super) async fn in_time<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, future).await.unwrap_or_else(|_elapsed| Err(Failure::Io(IoError::timed_out(limit))))
}
