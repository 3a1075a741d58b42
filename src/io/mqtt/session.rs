//! What goes to and fro between the connection to the broker and those who use it.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Error, Flood};
use crate::base::message::Message;

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
    /// So much came in that nothing is subscribed to until then.
    Rests(Flood, Instant),
    /// What was subscribed to before a rest is subscribed to again; what came meanwhile was missed.
    Awake,
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
/// `keep_connected`.
#[derive(Debug)]
pub struct Session {
    orders: mpsc::Sender<Order>,
}

impl Session {
    /// One that `room` orders can wait for, and the orders.
    pub(super) fn new(room: usize) -> (Self, mpsc::Receiver<Order>) {
        let (orders, waiting) = mpsc::channel(room);
        (Self { orders }, waiting)
    }

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
