//! The topics of every gateway that exist at the broker, and the removal of those that are not needed any more.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::announced::AnnouncedTopics;
use super::options::Options;
use crate::base::message::Message;
use crate::base::reading::Serial;

/// The minimum time between two writes of a gateway's record, to spare the SD card.
const WRITE_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The announced topics of all gateways, and the topics whose removal the broker may not have received.
#[derive(Debug, Default)]
pub(super) struct Removals {
    gateways: BTreeMap<Serial, AnnouncedTopics>,
    /// The time of the last write of each record.
    written: BTreeMap<Serial, Instant>,
    emptied: Vec<(Serial, String)>,
}

impl Removals {
    /// Adds the stored record of a gateway.
    pub(super) fn remember(&mut self, serial: Serial, announced: AnnouncedTopics) {
        self.gateways.insert(serial, announced);
    }

    /// Returns the record of a gateway.
    pub(super) fn of(&mut self, serial: &Serial, options: &Options) -> &mut AnnouncedTopics {
        self.gateways.entry(serial.clone()).or_insert_with(|| AnnouncedTopics::new(&options.prefix))
    }

    /// Returns the records to write at `now`, or all changed ones if `now` is `None`. Marks them as written.
    pub(super) fn unwritten(
        &mut self,
        now: Option<Instant>,
    ) -> impl Iterator<Item = (&Serial, &AnnouncedTopics)> {
        let written = &mut self.written;
        self.gateways.iter_mut().filter_map(move |(serial, announced)| {
            let last = now.zip(written.get(serial).copied());
            let early = last.is_some_and(|(now, last)| now.saturating_duration_since(last) < WRITE_INTERVAL);
            if early || !announced.take_change() {
                return None;
            }
            written.extend(now.map(|now| (serial.clone(), now)));
            Some((serial, &*announced))
        })
    }

    /// Marks all records as lost, so that they are written again.
    pub(super) fn rewrite(&mut self) {
        self.written.clear();
        self.gateways.values_mut().for_each(AnnouncedTopics::mark_unsaved);
    }

    /// Returns whether a topic has to be removed.
    pub(super) fn is_owed(&self) -> bool {
        self.gateways.values().any(AnnouncedTopics::has_removals)
    }

    /// Returns the message that removes the next topic.
    pub(super) fn next(&mut self) -> Option<Message> {
        loop {
            let (serial, announced) =
                self.gateways.iter_mut().find(|(_, announced)| announced.has_removals())?;
            let (serial, topic) = (serial.clone(), announced.next_removal()?);
            // An inverter that was moved to another gateway is now announced by that one.
            let moved = self.gateways.iter().any(|(other, it)| *other != serial && it.has_entity(&topic));
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
            if let Some(announced) = self.gateways.get_mut(&serial) {
                announced.restore_removal(topic);
            }
        }
    }
}
