//! The messages and devices that cannot be published, with the reason.

use crate::base::message::Message;
use crate::base::reading::Serial;
use crate::io::mqtt::MAX_MESSAGE;

/// The maximum length of a topic. MQTT allows 65,535 bytes; the topics of a house have fewer than a hundred.
const LONGEST_TOPIC: usize = 256;
/// The number of bytes in a message besides its topic and payload.
const FRAME: usize = 16;
/// The maximum number of entries until the next report.
const MAX_ENTRIES: usize = 16;

/// Something that cannot be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unpublished {
    /// A message is longer than brokers accept.
    TooLong {
        /// The beginning of its topic.
        topic: String,
        /// The length of the message.
        bytes: usize,
    },
    /// A gateway lists more devices than a real one has.
    TooMany {
        /// The gateway.
        serial: Serial,
        /// The number of devices that are left out.
        left_out: usize,
    },
}

/// The entries since the last report.
#[derive(Debug, Default)]
pub(super) struct UnpublishedList(Vec<Unpublished>);

impl UnpublishedList {
    /// Returns whether brokers accept a message. A message that is too long would end each connection again.
    pub(super) fn fits(&mut self, message: &Message) -> bool {
        let bytes = message.topic.len() + message.payload.len() + FRAME;
        let fits = bytes <= MAX_MESSAGE && message.topic.len() <= LONGEST_TOPIC;
        if !fits {
            let topic = message.topic.chars().take(LONGEST_TOPIC).collect();
            self.add(Unpublished::TooLong { topic, bytes });
        }
        fits
    }

    /// Adds an entry, unless there are too many already.
    pub(super) fn add(&mut self, unpublished: Unpublished) {
        if self.0.len() < MAX_ENTRIES {
            self.0.push(unpublished);
        }
    }

    /// Removes and returns all entries.
    pub(super) fn take(&mut self) -> Vec<Unpublished> {
        self.0.drain(..).collect()
    }
}
