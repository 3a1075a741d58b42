//! `/api/v1/socket`: live values over a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{self, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};

use super::consumer::Consumer;
use super::context::Context;
use super::live::{HEARTBEAT, Source, Woken, choice};
use super::rendered::Message;
use crate::app::consumers::registry::OpenStream;
use crate::io::http::Slot;

/// The path.
pub(super) const PATH: &str = "/api/v1/socket";
/// A consumer that shows no life for this long has gone.
const SILENCE: Duration = Duration::from_secs(120);
/// The maximum size of a message from a consumer, which has nothing to say.
const LONGEST: usize = 4 * 1024;

/// `GET /api/v1/socket?groups=production,inverters&serial=…`
pub(super) async fn socket(
    State(context): State<Arc<Context>>,
    Extension(Consumer(identity)): Extension<Consumer>,
    Extension(open): Extension<Arc<OpenStream>>,
    Extension(slot): Extension<Slot>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    match choice(query.as_deref().unwrap_or_default()) {
        Ok(choice) => {
            let source = Source::new(context, identity, open, choice, 0);
            upgrade.max_message_size(LONGEST).max_frame_size(LONGEST).write_buffer_size(0).on_upgrade(
                |socket| async move {
                    serve(socket, source).await;
                    drop(slot);
                },
            )
        }
        Err(problem) => problem.into_response(),
    }
}

async fn serve(mut socket: WebSocket, mut source: Source) {
    let mut heard = Instant::now();
    while heard.elapsed() < SILENCE {
        let messages = tokio::select! {
            received = socket.recv() => match received {
                // A pong, or whatever else shows life.
                Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {
                    heard = Instant::now();
                    continue;
                }
            },
            woken = source.next() => match woken {
                Woken::Ended => break,
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
                () = source.ended() => false,
            };
            if !sent {
                return;
            }
        }
    }
    // The consumer may take it or not.
    timeout(HEARTBEAT, socket.send(ws::Message::Close(None))).await.ok();
}

/// Returns a message in the form that is sent.
fn text(message: &Message) -> Option<ws::Message> {
    // It is JSON, so it is UTF-8.
    Utf8Bytes::try_from(message.text()).ok().map(ws::Message::Text)
}
