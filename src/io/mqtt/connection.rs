//! A connection to the broker that is re-established forever.
//!
//! Nothing is queued for a broker that is unreachable: each connection has a small channel of its own, and its content
//! is lost with the connection. The publisher is notified of a new connection, and sends the newest values.

use std::time::Duration;

use fastrand::Rng;
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Outgoing, Packet, StateError};
use tokio::sync::{mpsc, watch};
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep};

use super::flood_control::{FloodControl, Verdict};
use super::outgoing::forward;
use super::session::{BrokerEvent, Session};
use super::{Error, Flood, Options};
use crate::base::backoff;

/// The capacity of the channel of a connection.
const CHANNEL_CAPACITY: usize = 8;
/// The timeout in seconds for connecting, and later for writing a message.
const TIMEOUT: u64 = 10;
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// The longest retry delay, so that the connection returns within ten seconds after a restart of the broker.
const MAX_DELAY: Duration = Duration::from_secs(8);
/// The longest retry delay if a person has to change something. More attempts would only fill the broker's log.
const MAX_DELAY_FOR_A_PERSON: Duration = Duration::from_secs(60);
/// A connection that lasted this long resets the retry delay.
const STEADY: Duration = Duration::from_secs(60);

/// Keeps a connection to the broker and sends its events to `events`, until the [`Session`] or the receiver is dropped.
/// If this future is dropped, the connection breaks and the broker publishes the last will.
pub async fn keep_connected(options: Options, mut rng: Rng, events: mpsc::Sender<BrokerEvent>) {
    let mut failures = 0;
    let mut flood_control = FloodControl::new(options.burst, Instant::now());
    loop {
        let started = Instant::now();
        let Err(error) = one_connection(&options, &events, &mut flood_control).await else { return };
        failures = if started.elapsed() > STEADY { 1 } else { failures + 1 };
        let max_delay = if error.needs_a_person() { MAX_DELAY_FOR_A_PERSON } else { MAX_DELAY };
        let delay = backoff::with_jitter(backoff::doubling(FIRST_DELAY, max_delay, failures), &mut rng);
        if events.send(BrokerEvent::Lost(error)).await.is_err() {
            return;
        }
        sleep(delay).await;
    }
}

/// Connects, and runs the connection until it ends. Returns `Ok` if this side has ended it.
async fn one_connection(
    options: &Options,
    events: &mpsc::Sender<BrokerEvent>,
    flood_control: &mut FloodControl,
) -> Result<(), Error> {
    let (client, mut event_loop) =
        AsyncClient::builder(options.settings()?).capacity(CHANNEL_CAPACITY).build();
    event_loop.network_options.set_connection_timeout(TIMEOUT);
    event_loop.network_options.set_tcp_nodelay(true);
    // The first event of a new event loop is the acknowledgment of the connection.
    let acknowledged = event_loop.poll().await;
    acknowledged.map_err(|error| Error::at_connect(&options.address, options.user.as_deref(), &error))?;

    let (session, commands) = Session::new(CHANNEL_CAPACITY);
    if events.send(BrokerEvent::Connected(session)).await.is_err() {
        return Ok(());
    }
    let (pause_sender, pause) = watch::channel(flood_control.paused_until(Instant::now()));
    let ended = tokio::select! {
        ended = receive(&mut event_loop, events, flood_control, &pause_sender) => ended,
        () = forward(client, commands, pause, events) => return Ok(()),
    };
    match ended {
        Ok(()) => Ok(()),
        Err(End::Flood) => Err(Error::Flood { broker: options.address.clone() }),
        Err(End::Connection(error)) => {
            let now = Instant::now();
            if is_too_long(&error) && flood_control.too_long(now) {
                report_pause(events, Flood::TooLong, flood_control, now).await;
            }
            Err(Error::after_connect(&options.address, &error))
        }
    }
}

/// Why an established connection ended.
enum End {
    Connection(ConnectionError),
    /// The broker keeps sending messages without a subscription.
    Flood,
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

/// Returns whether the broker sent a message beyond the size limit.
fn is_too_long(error: &ConnectionError) -> bool {
    use rumqttc::Error::PayloadSizeLimitExceeded;
    matches!(error, ConnectionError::MqttState(StateError::Deserialization(PayloadSizeLimitExceeded(_))))
}

/// Drives the connection and delivers incoming messages, until the connection is closed in order. A time sent to
/// `pause` suspends the subscriptions until then.
async fn receive(
    event_loop: &mut EventLoop,
    events: &mpsc::Sender<BrokerEvent>,
    flood_control: &mut FloodControl,
    pause: &watch::Sender<Option<Instant>>,
) -> Result<(), End> {
    loop {
        let packet = match event_loop.poll().await? {
            Event::Incoming(packet) => packet,
            Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
            Event::Outgoing(_) => continue,
        };
        // A single read can yield many packets; other tasks must run in between.
        consume_budget().await;
        let bytes = match &packet {
            // The acknowledgment of a published message. An unexpected one ends the connection.
            Packet::PubAck(_) => continue,
            Packet::Publish(message) => message.topic.len() + message.payload.len(),
            _ => 0,
        };
        let now = Instant::now();
        match flood_control.received(bytes, now) {
            Verdict::Deliver => deliver(packet, events).await,
            Verdict::Drop => {}
            Verdict::Pause => {
                pause.send_replace(flood_control.paused_until(now));
                report_pause(events, Flood::TooMany, flood_control, now).await;
            }
            Verdict::Disconnect => return Err(End::Flood),
        }
    }
}

async fn deliver(packet: Packet, events: &mpsc::Sender<BrokerEvent>) {
    let Packet::Publish(message) = packet else { return };
    let incoming = BrokerEvent::Incoming {
        topic: String::from_utf8_lossy(&message.topic).into_owned(),
        payload: message.payload.to_vec(),
        retained: message.retain,
    };
    if events.send(incoming).await.is_err() {
        tracing::debug!("the receiver of broker events has been dropped");
    }
}

async fn report_pause(
    events: &mpsc::Sender<BrokerEvent>,
    flood: Flood,
    flood_control: &FloodControl,
    now: Instant,
) {
    let Some(until) = flood_control.paused_until(now) else { return };
    if events.send(BrokerEvent::Paused(flood, until)).await.is_err() {
        tracing::debug!("the receiver of broker events has been dropped");
    }
}
