//! A connection that is made again for ever.
//!
//! Nothing is kept for a broker that is away: each connection has a narrow channel of its own, and what was
//! in it dies with it. Whoever publishes learns of a new connection and sends what is newest then.

use std::future::pending;
use std::time::Duration;

use fastrand::Rng;
use rumqttc::{AsyncClient, Event, EventLoop, Outgoing, Packet, PublishOptions, QoS};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{Error, Options};
use crate::message::{Message, Qos};
use crate::retry;

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

/// What happens between us and the broker.
#[derive(Debug)]
pub enum Happened {
    /// There is a connection; it lasts until the next `Lost`.
    Connected(Session),
    /// A message on a topic that was subscribed to.
    Incoming {
        /// Its topic.
        topic: String,
        /// Its text, whatever it is.
        payload: Vec<u8>,
        /// Whether it is an old one that the broker had kept.
        retained: bool,
    },
    /// There is no connection, or none any more. It is tried again after a while.
    Lost(Error),
}

/// Something for the broker.
#[derive(Debug)]
pub enum Order {
    /// To be told what is published on the topics of this filter.
    Subscribe(String),
    /// To publish this.
    Publish(Message),
}

/// One connection. Dropping it ends the connection in an orderly way, after what was sent before, and with it
/// [`keep_connected`].
#[derive(Debug)]
pub struct Session {
    orders: mpsc::Sender<Order>,
}

impl Session {
    /// Waits until the connection can take another order, which a slow broker may delay for long; `false`
    /// when it is gone. May be given up at any time.
    pub async fn ready(&self) -> bool {
        self.orders.reserve().await.is_ok()
    }

    /// Gives an order to a connection that is [ready](Self::ready); to another one it is lost.
    pub fn send(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::debug!("the connection to the broker did not take a message");
        }
    }
}

/// Keeps a connection to the broker and tells `happened` about it, until the [`Session`] or the receiver is
/// dropped. Dropped itself, it breaks the connection off and the broker publishes the last will.
pub async fn keep_connected(options: Options, mut rng: Rng, happened: mpsc::Sender<Happened>) {
    let mut failures = 0;
    loop {
        let started = Instant::now();
        let Err(error) = one_connection(&options, &happened).await else { return };
        failures = if started.elapsed() > STEADY { 1 } else { failures + 1 };
        let longest = if error.needs_a_person() { LONGEST_DELAY_FOR_A_PERSON } else { LONGEST_DELAY };
        let delay = retry::with_jitter(retry::doubling(FIRST_DELAY, longest, failures), &mut rng);
        if happened.send(Happened::Lost(error)).await.is_err() {
            return;
        }
        sleep(delay).await;
    }
}

/// Connects and stays so; `Ok` when our side has ended it.
async fn one_connection(options: &Options, happened: &mpsc::Sender<Happened>) -> Result<(), Error> {
    let (client, mut events) = AsyncClient::builder(options.settings()?).capacity(ROOM).build();
    events.network_options.set_connection_timeout(PATIENCE);
    events.network_options.set_tcp_nodelay(true);
    // The first event of a new event loop is the broker's consent.
    let consent = events.poll().await;
    consent.map_err(|error| Error::at_connect(&options.address, options.user.as_deref(), &error))?;

    let (orders, waiting) = mpsc::channel(ROOM);
    if happened.send(Happened::Connected(Session { orders })).await.is_err() {
        return Ok(());
    }
    let ended = tokio::select! {
        ended = listen(&mut events, happened) => ended,
        () = hand_on(client, waiting) => Ok(()),
    };
    ended.map_err(|error| Error::later(&options.address, &error))
}

/// Drives the connection and hands on what comes in, until the farewell is sent.
async fn listen(
    events: &mut EventLoop,
    happened: &mpsc::Sender<Happened>,
) -> Result<(), rumqttc::ConnectionError> {
    loop {
        match events.poll().await? {
            Event::Incoming(Packet::Publish(message)) => {
                let incoming = Happened::Incoming {
                    topic: String::from_utf8_lossy(&message.topic).into_owned(),
                    payload: message.payload.to_vec(),
                    retained: message.retain,
                };
                if happened.send(incoming).await.is_err() {
                    tracing::debug!("nobody listens to the broker any more");
                }
            }
            Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
            _ => {}
        }
    }
}

/// Gives the orders to the connection in their order, and at their end the farewell.
async fn hand_on(client: AsyncClient, mut orders: mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        let taken = match order {
            Order::Subscribe(filter) => client.subscribe(filter, QoS::AtMostOnce).await,
            Order::Publish(message) => {
                let qos = match message.qos {
                    Qos::AtMostOnce => QoS::AtMostOnce,
                    Qos::AtLeastOnce => QoS::AtLeastOnce,
                };
                let how = PublishOptions::new(qos).retain(message.retain);
                client.publish(message.topic, message.payload, how).await
            }
        };
        if let Err(error) = taken {
            tracing::debug!(%error, "the connection did not take a message");
        }
    }
    if let Err(error) = client.disconnect().await {
        tracing::debug!(%error, "the connection ended before the farewell");
    }
    // The event loop still has to send all that; it ends this future when it has.
    pending::<()>().await;
}
