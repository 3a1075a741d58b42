//! What is not published, and why.

use crate::base::message::Message;
use crate::base::reading::Serial;
use crate::io::mqtt::LARGEST;

/// How long a topic may be. MQTT allows 65,535 bytes; those of a house have fewer than a hundred.
const LONGEST_TOPIC: usize = 256;
/// What a message has beside its topic and its payload.
const FRAME: usize = 16;
/// How many complaints wait to be heard.
const MOST: usize = 16;

/// Something that is not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// A message is longer than brokers take.
    TooLong {
        /// The beginning of its topic.
        topic: String,
        /// How long it is.
        bytes: usize,
    },
    /// A gateway names more devices than any has.
    TooMany {
        /// Which gateway.
        serial: Serial,
        /// How many of its devices are left out.
        left_out: usize,
    },
}

/// The complaints that nobody has heard yet.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<Complaint>);

impl Complaints {
    /// Whether brokers take a message. One that is too long would end the connection, and again on the next one.
    pub(super) fn fits(&mut self, message: &Message) -> bool {
        let bytes = message.topic.len() + message.payload.len() + FRAME;
        let fits = bytes <= LARGEST && message.topic.len() <= LONGEST_TOPIC;
        if !fits {
            let topic = message.topic.chars().take(LONGEST_TOPIC).collect();
            self.add(Complaint::TooLong { topic, bytes });
        }
        fits
    }

    /// Adds one, unless many wait already.
    pub(super) fn add(&mut self, complaint: Complaint) {
        if self.0.len() < MOST {
            self.0.push(complaint);
        }
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> Vec<Complaint> {
        std::mem::take(&mut self.0)
    }
}
