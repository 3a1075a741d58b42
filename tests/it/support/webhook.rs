//! A webhook on loopback that receives alerts, and fails in every way.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What the webhook does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Accepts it.
    Good,
    /// Responds with this status and these headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// Never responds.
    Hangs,
    /// Accepts it with a response that never ends.
    Endless,
}

/// A message that the webhook received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) after: Duration,
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) priority: String,
    pub(crate) body: String,
    pub(crate) accepted: bool,
}

/// A webhook on loopback.
pub(crate) struct Webhook {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
    accepting: JoinHandle<()>,
}

struct Shared {
    start: Instant,
    mood: Mood,
    received: Vec<Received>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Webhook {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared =
            Arc::new(Mutex::new(Shared { start: Instant::now(), mood: Mood::Good, received: Vec::new() }));
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                let respond = service_fn(move |request| respond(Arc::clone(&shared), request));
                tokio::spawn(async move {
                    http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await.ok();
                });
            }
        });
        Self { port, shared, accepting }
    }

    pub(crate) fn table(&self) -> String {
        format!("[alerts]\nurl = \"http://127.0.0.1:{}/MARK-topic-7c1d\"\n", self.port)
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).mood = mood;
    }

    /// Returns every request so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).received.clone()
    }

    /// Returns the titles of the messages that were accepted.
    pub(crate) fn titles(&self) -> Vec<String> {
        self.requests().into_iter().filter(|it| it.accepted).map(|it| it.title).collect()
    }
}

async fn respond(
    shared: Arc<Mutex<Shared>>,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, Infallible> {
    let header = |name: &str| {
        request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let (path, title, priority) = (request.uri().path().to_owned(), header("title"), header("priority"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mood = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (after, mood) = (shared.start.elapsed(), shared.mood.clone());
        let accepted = matches!(mood, Mood::Good | Mood::Endless);
        let body = String::from_utf8(body.to_vec()).unwrap();
        shared.received.push(Received { after, path, title, priority, body, accepted });
        mood
    };
    let whole = |text: &'static str| Full::new(Bytes::from_static(text.as_bytes())).boxed();
    Ok(match mood {
        Mood::Good => Response::new(whole("{\"id\":\"MARK-response\"}")),
        Mood::Status(status, headers) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(whole("MARK-response")).unwrap()
        }
        Mood::Hangs => std::future::pending().await,
        Mood::Endless => Response::new(
            http_body_util::StreamBody::new(futures_util::stream::repeat_with(|| {
                Ok(hyper::body::Frame::data(Bytes::from_static(&[b'x'; 4096])))
            }))
            .boxed(),
        ),
    })
}
