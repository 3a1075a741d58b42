//! The interface of a connection to the broker: its events, and the commands to it.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Error, Flood};
use crate::base::message::Message;

/// An event of the connection to the broker.
#[derive(Debug)]
pub enum BrokerEvent {
    /// A connection was established. It lasts until the next `Lost`.
    Connected(Session),
    /// A message arrived on a subscribed topic.
    Incoming {
        /// The topic.
        topic: String,
        /// The payload, which need not be text.
        payload: Vec<u8>,
        /// `true` if the message is an old one that the broker retained.
        retained: bool,
    },
    /// The subscriptions are suspended until this time because of a flood.
    Paused(Flood, Instant),
    /// The subscriptions were resumed. Messages in between were missed.
    Resumed,
    /// Connecting failed, or the connection ended. It is retried after a while.
    Lost(Error),
}

/// A command to the connection.
#[derive(Debug)]
pub enum Command {
    /// Subscribe to the topics of this filter.
    Subscribe(String),
    /// Publish this message.
    Publish(Message),
}

/// A connection. Dropping it closes the connection in order after all sent commands, and ends `keep_connected`.
#[derive(Debug)]
pub struct Session {
    commands: mpsc::Sender<Command>,
}

impl Session {
    /// Creates a session with room for `capacity` commands, and the receiver of the commands.
    pub(super) fn new(capacity: usize) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(capacity);
        (Self { commands }, receiver)
    }

    /// Waits until the connection can accept another command, which a slow broker may delay for long. Returns `false`
    /// if the connection has ended. Can be cancelled at any time.
    pub async fn ready(&self) -> bool {
        self.commands.reserve().await.is_ok()
    }

    /// Sends a command to a connection that is [ready](Self::ready). Otherwise the command is lost.
    pub fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::debug!("the connection to the broker did not accept a message");
        }
    }
}
