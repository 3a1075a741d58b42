//! `/api/v1/socket`: live values over a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::context::Context;
use super::live::{HEARTBEAT, Source, Woken, choice};
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
    Extension(open): Extension<Arc<OpenStream>>,
    Extension(slot): Extension<Slot>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    match choice(query.as_deref().unwrap_or_default()) {
        Ok(choice) => {
            let source = Source::new(context, open, choice, 0);
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
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {
                    heard = Instant::now();
                    continue;
                }
            },
            woken = source.next() => match woken {
                Woken::Ended => break,
                Woken::Updates(updates) => updates
                    .into_iter()
                    .map(|update| json!({"group": update.group, "data": update.data}).to_string())
                    .map(|text| Message::Text(text.into()))
                    .collect(),
                Woken::Heartbeat => source
                    .heartbeat()
                    .into_iter()
                    .map(|(group, data)| Message::Text(json!({"group": group, "data": data}).to_string().into()))
                    .chain([Message::Ping(Vec::new().into())])
                    .collect::<Vec<_>>(),
            },
        };
        for message in messages {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }
    // The consumer may take it or not.
    timeout(HEARTBEAT, socket.send(Message::Close(None))).await.ok();
}
