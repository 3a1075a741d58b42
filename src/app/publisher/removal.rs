//! The topics of every gateway that exist at the broker, and the removal of those that are not needed any more.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::announced::AnnouncedTopics;
use super::options::Options;
use crate::base::message::Message;
use crate::base::reading::Serial;

/// The minimum time between two writes of a gateway's memory, to spare the SD card.
const WRITE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The memories of all gateways, and the topics whose removal the broker may not have received.
#[derive(Debug, Default)]
pub(super) struct Removals {
    memories: BTreeMap<Serial, AnnouncedTopics>,
    /// The time of the last write of each memory.
    written: BTreeMap<Serial, Instant>,
    emptied: Vec<(Serial, String)>,
}

impl Removals {
    /// Adds the stored memory of a gateway.
    pub(super) fn remember(&mut self, serial: Serial, memory: AnnouncedTopics) {
        self.memories.insert(serial, memory);
    }

    /// Returns the memory of a gateway.
    pub(super) fn of(&mut self, serial: &Serial, options: &Options) -> &mut AnnouncedTopics {
        self.memories.entry(serial.clone()).or_insert_with(|| AnnouncedTopics::new(&options.prefix))
    }

    /// Returns the memories to write at `now`, or all changed ones if `now` is `None`; records them as written.
    pub(super) fn unwritten(
        &mut self,
        now: Option<Instant>,
    ) -> impl Iterator<Item = (&Serial, &AnnouncedTopics)> {
        let written = &mut self.written;
        self.memories.iter_mut().filter_map(move |(serial, memory)| {
            let last = now.zip(written.get(serial).copied());
            let early = last.is_some_and(|(now, last)| now.saturating_duration_since(last) < WRITE_INTERVAL);
            if early || !memory.take_change() {
                return None;
            }
            written.extend(now.map(|now| (serial.clone(), now)));
            Some((serial, &*memory))
        })
    }

    /// Records that the stored memories were lost, so that all are written again.
    pub(super) fn rewrite(&mut self) {
        self.written.clear();
        self.memories.values_mut().for_each(AnnouncedTopics::lost);
    }

    /// Returns whether a topic has to be removed.
    pub(super) fn is_owed(&self) -> bool {
        self.memories.values().any(AnnouncedTopics::leaves)
    }

    /// Returns the message that removes the next topic.
    pub(super) fn next(&mut self) -> Option<Message> {
        loop {
            let (serial, memory) = self.memories.iter_mut().find(|(_, memory)| memory.leaves())?;
            let (serial, topic) = (serial.clone(), memory.next_to_leave()?);
            // An inverter that was moved to another gateway is now announced by that one.
            let moved = self.memories.iter().any(|(other, it)| *other != serial && it.holds(&topic));
            if !moved {
                self.emptied.push((serial, topic.clone()));
                return Some(Message::announcement(topic, String::new()));
            }
        }
    }

    /// Records that the connection has accepted all messages.
    pub(super) fn rest(&mut self) {
        if !self.is_owed() {
            self.emptied.clear();
        }
    }

    /// Records that the connection was lost. The last removals are repeated, because the broker may not have received them.
    pub(super) fn lost(&mut self) {
        for (serial, topic) in self.emptied.drain(..) {
            if let Some(memory) = self.memories.get_mut(&serial) {
                memory.keep_leaving(topic);
            }
        }
    }
}
