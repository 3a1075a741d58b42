//! A connection that is made again for ever.
//!
//! Nothing is kept for a broker that is away: each connection has a narrow channel of its own, and what was
//! in it dies with it. Whoever publishes learns of a new connection and sends what is newest then.

use std::time::Duration;

use fastrand::Rng;
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, Outgoing, Packet, StateError};
use tokio::sync::{mpsc, watch};
use tokio::task::consume_budget;
use tokio::time::{Instant, sleep};

use super::inflow::{Inflow, Verdict};
use super::outgoing::hand_on;
use super::session::{Happened, Session};
use super::{Error, Flood, Options};
use crate::base::backoff;

/// How many messages may be on their way into the socket.
const ROOM: usize = 8;
/// Seconds that connecting, and later pushing a message into the socket, may take.
const PATIENCE: u64 = 10;
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// A broker that restarts is found again within ten seconds.
const LONGEST_DELAY: Duration = Duration::from_secs(8);
/// Where a person has to change something, more often is only noise in the broker's log.
const LONGEST_DELAY_FOR_A_PERSON: Duration = Duration::from_secs(60);
/// A connection that lasted this long was a good one; the next failure begins a new row.
const STEADY: Duration = Duration::from_secs(60);

/// Keeps a connection to the broker and tells `happened` about it, until the [`Session`] or the receiver is
/// dropped. Dropped itself, it breaks the connection off and the broker publishes the last will.
pub async fn keep_connected(options: Options, mut rng: Rng, happened: mpsc::Sender<Happened>) {
    let mut failures = 0;
    let mut inflow = Inflow::new(options.burst, Instant::now());
    loop {
        let started = Instant::now();
        let Err(error) = one_connection(&options, &happened, &mut inflow).await else { return };
        failures = if started.elapsed() > STEADY { 1 } else { failures + 1 };
        let longest = if error.needs_a_person() { LONGEST_DELAY_FOR_A_PERSON } else { LONGEST_DELAY };
        let delay = backoff::with_jitter(backoff::doubling(FIRST_DELAY, longest, failures), &mut rng);
        if happened.send(Happened::Lost(error)).await.is_err() {
            return;
        }
        sleep(delay).await;
    }
}

/// Connects and stays so; `Ok` when our side has ended it.
async fn one_connection(
    options: &Options,
    happened: &mpsc::Sender<Happened>,
    inflow: &mut Inflow,
) -> Result<(), Error> {
    let (client, mut events) = AsyncClient::builder(options.settings()?).capacity(ROOM).build();
    events.network_options.set_connection_timeout(PATIENCE);
    events.network_options.set_tcp_nodelay(true);
    // The first event of a new event loop is the broker's consent.
    let consent = events.poll().await;
    consent.map_err(|error| Error::at_connect(&options.address, options.user.as_deref(), &error))?;

    let (session, waiting) = Session::new(ROOM);
    if happened.send(Happened::Connected(session)).await.is_err() {
        return Ok(());
    }
    let (rest, rests) = watch::channel(inflow.rests_until(Instant::now()));
    let ended = tokio::select! {
        ended = listen(&mut events, happened, inflow, &rest) => ended,
        () = hand_on(client, waiting, rests, happened) => return Ok(()),
    };
    match ended {
        Ok(()) => Ok(()),
        Err(End::Flood) => Err(Error::Flood { broker: options.address.clone() }),
        Err(End::Connection(error)) => {
            let now = Instant::now();
            if is_too_long(&error) && inflow.too_long(now) {
                say_rests(happened, Flood::TooLong, inflow, now).await;
            }
            Err(Error::later(&options.address, &error))
        }
    }
}

/// How a connection that stood has ended.
enum End {
    Connection(ConnectionError),
    /// The broker sends what is not subscribed to, without end.
    Flood,
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

/// Whether the broker sent a message that is longer than any that is listened to.
fn is_too_long(error: &ConnectionError) -> bool {
    use rumqttc::Error::PayloadSizeLimitExceeded;
    matches!(error, ConnectionError::MqttState(StateError::Deserialization(PayloadSizeLimitExceeded(_))))
}

/// Drives the connection and hands on what comes in, until the farewell is sent. Where `rest` is told a time, nothing is
/// to be subscribed to until then.
async fn listen(
    events: &mut EventLoop,
    happened: &mpsc::Sender<Happened>,
    inflow: &mut Inflow,
    rest: &watch::Sender<Option<Instant>>,
) -> Result<(), End> {
    loop {
        let packet = match events.poll().await? {
            Event::Incoming(packet) => packet,
            Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
            Event::Outgoing(_) => continue,
        };
        // Several packets come with one read; the other loops have their turn all the same.
        consume_budget().await;
        let bytes = match &packet {
            // The answer to a message of ours; another ends the connection.
            Packet::PubAck(_) => continue,
            Packet::Publish(message) => message.topic.len() + message.payload.len(),
            _ => 0,
        };
        let now = Instant::now();
        match inflow.arrived(bytes, now) {
            Verdict::Take => hand_up(packet, happened).await,
            Verdict::Drop => {}
            Verdict::Rest => {
                rest.send_replace(inflow.rests_until(now));
                say_rests(happened, Flood::TooMany, inflow, now).await;
            }
            Verdict::End => return Err(End::Flood),
        }
    }
}

async fn hand_up(packet: Packet, happened: &mpsc::Sender<Happened>) {
    let Packet::Publish(message) = packet else { return };
    let incoming = Happened::Incoming {
        topic: String::from_utf8_lossy(&message.topic).into_owned(),
        payload: message.payload.to_vec(),
        retained: message.retain,
    };
    if happened.send(incoming).await.is_err() {
        tracing::debug!("nobody listens to the broker any more");
    }
}

async fn say_rests(happened: &mpsc::Sender<Happened>, flood: Flood, inflow: &Inflow, now: Instant) {
    let Some(until) = inflow.rests_until(now) else { return };
    if happened.send(Happened::Rests(flood, until)).await.is_err() {
        tracing::debug!("nobody listens to the broker any more");
    }
}
