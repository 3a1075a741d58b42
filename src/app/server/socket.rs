//! `/api/v1/socket`: live values over a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{self, CloseFrame, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};

use super::consumer::Consumer;
use super::context::Context;
use super::live::{Source, Woken, choice};
use super::problem::Problem;
use super::rendered::Message;
use crate::app::consumers::open_stream::OpenStream;
use crate::io::http::Slot;
use crate::rules::access::refusal::Refusal;

/// The path.
pub(super) const PATH: &str = "/api/v1/socket";
/// A consumer that shows no life for this long has gone.
const SILENCE: Duration = Duration::from_secs(120);
/// The maximum size of a message from a consumer, which has nothing to say.
const LONGEST: usize = 4 * 1024;

/// The time that a connection gets for the messages that close it.
const CLOSING: Duration = Duration::from_secs(5);

/// The reason that a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The consumer closes it.
    Closed,
    /// The connection is lost, or the consumer takes nothing.
    Lost,
    /// What the consumer sent is too long, or no message.
    Invalid,
    /// The consumer does not answer pings.
    Silent,
    /// The server stops.
    Stopped,
    /// The token was removed.
    Removed,
}

impl End {
    /// Returns what the consumer is told: a code (RFC 6455, section 7.4, or that of a refusal), and the reason in words.
    const fn message(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::Closed | Self::Lost => return None,
            Self::Invalid => (close_code::POLICY, "a message of at most 4 KB was expected, or none"),
            Self::Silent => (close_code::POLICY, "no ping was answered for two minutes"),
            Self::Stopped => (close_code::AWAY, "the server stops; connect again later"),
            Self::Removed => (Refusal::Removed.code(), Refusal::Removed.title()),
        })
    }
}

/// `GET /api/v1/socket?groups=production,inverters&serial=…`
pub(super) async fn socket(
    State(context): State<Arc<Context>>,
    Extension(Consumer(identity)): Extension<Consumer>,
    Extension(open): Extension<Arc<OpenStream>>,
    Extension(slot): Extension<Slot>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let choice = match choice(query.as_deref().unwrap_or_default()) {
        Ok(choice) => choice,
        Err(problem) => return problem.into_response(),
    };
    // The reason of the library is not that of the API.
    let Ok(upgrade) = upgrade else { return no_socket() };
    let source = Source::new(context, identity, open, choice, 0);
    let upgrade = upgrade.max_message_size(LONGEST).max_frame_size(LONGEST).write_buffer_size(0);
    upgrade.on_upgrade(|socket| async move {
        serve(socket, source).await;
        drop(slot);
    })
}

/// Answers a request that opens no WebSocket.
fn no_socket() -> Response {
    let detail =
        "this address is for a WebSocket of version 13; /api/v1/stream sends the same to other programs";
    let mut response = Problem::new(StatusCode::UPGRADE_REQUIRED, detail).into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

async fn serve(mut socket: WebSocket, mut source: Source) {
    let end = send_all(&mut socket, &mut source).await;
    drop(source);
    let close = async {
        if let Some((code, reason)) = end.message() {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            socket.send(ws::Message::Close(Some(frame))).await.ok()?;
        }
        // Reads the close of the consumer, or sends the answer to it.
        while let Some(Ok(_)) = socket.recv().await {}
        Some(())
    };
    if end != End::Lost {
        timeout(CLOSING, close).await.ok();
    }
}

/// Sends everything until the socket ends.
async fn send_all(socket: &mut WebSocket, source: &mut Source) -> End {
    let mut heard = Instant::now();
    while heard.elapsed() < SILENCE {
        let messages = tokio::select! {
            received = socket.recv() => match received {
                Some(Ok(ws::Message::Close(_))) => return End::Closed,
                Some(Err(_)) => return End::Invalid,
                None => return End::Lost,
                // A pong, or whatever else shows life.
                Some(Ok(_)) => {
                    heard = Instant::now();
                    continue;
                }
            },
            woken = source.next() => match woken {
                Woken::Ended => return ended(source),
                Woken::Updates(updates) => {
                    updates.iter().filter_map(|update| text(&update.message)).collect()
                }
                Woken::Heartbeat => {
                    let texts = source.heartbeat();
                    let texts = texts.iter().filter_map(|(_, message)| text(message));
                    texts.chain([ws::Message::Ping(Vec::new().into())]).collect::<Vec<_>>()
                }
            },
        };
        for message in messages {
            // A consumer that takes nothing does not keep a socket that has to end.
            let sent = tokio::select! {
                sent = socket.send(message) => sent.is_ok(),
                () = source.ended() => return ended(source),
            };
            if !sent {
                return End::Lost;
            }
        }
    }
    End::Silent
}

/// Returns the reason that the server ends a stream.
fn ended(source: &Source) -> End {
    if source.is_stopping() { End::Stopped } else { End::Removed }
}

/// Returns a message in the form that is sent.
fn text(message: &Message) -> Option<ws::Message> {
    // It is JSON, so it is UTF-8.
    Utf8Bytes::try_from(message.text()).ok().map(ws::Message::Text)
}
