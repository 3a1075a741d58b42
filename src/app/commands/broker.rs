//! A connection to the MQTT broker for commands.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Context;
use super::failure::{Code, Failure};
use crate::app::config::Mqtt;
use crate::app::daemon::outputs;
use crate::io::mqtt::{self, BrokerEvent, Session};

/// The time limit for the broker to accept the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of events that may wait for the command.
const ROOM: usize = 16;

/// A connection that the broker has accepted.
pub(super) struct Connection {
    pub(super) session: Session,
    pub(super) events: mpsc::Receiver<BrokerEvent>,
}

/// Connects to the broker of `settings` and runs `work` over the connection. `burst` is the number of messages that the
/// broker may send at once.
pub(super) async fn with_connection<T>(
    context: &mut Context,
    settings: &Mqtt,
    burst: Option<u32>,
    work: impl AsyncFnOnce(Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let client_id = format!("enphased-check-{:08x}", context.rng.u32(..));
    // Without a last will, which would report the running daemon as offline.
    let mut options = mqtt::Options { will: None, ..outputs::broker(settings, &client_id) };
    if let Some(burst) = burst {
        options.burst = burst;
    }
    let address = options.address.clone();
    let (sender, mut events) = mpsc::channel(ROOM);
    let connection = mqtt::keep_connected(options, context.rng.fork(), sender);
    let talk = async {
        let late = |_| {
            let message = format!("the MQTT broker at {address} did not respond within {CONNECT_TIMEOUT:?}");
            Failure::new(Code::TryLater, message)
        };
        let session = timeout(CONNECT_TIMEOUT, connected(&mut events)).await.map_err(late)??;
        work(Connection { session, events }).await
    };
    tokio::select! {
        result = talk => result,
        () = connection => Err(ended()),
    }
}

async fn connected(events: &mut mpsc::Receiver<BrokerEvent>) -> Result<Session, Failure> {
    while let Some(event) = events.recv().await {
        match event {
            BrokerEvent::Connected(session) => return Ok(session),
            BrokerEvent::Lost(error) => return Err(Failure::new(Code::TryLater, error.to_string())),
            BrokerEvent::Incoming { .. } | BrokerEvent::Paused(..) | BrokerEvent::Resumed => {}
        }
    }
    Err(ended())
}

fn ended() -> Failure {
    Failure::new(Code::TryLater, "the connection to the MQTT broker ended")
}
