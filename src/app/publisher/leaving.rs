//! What every gateway has left at the broker, and the topics of it that are emptied one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::content::Options;
use super::memory::Memory;
use crate::base::message::Message;
use crate::base::reading::Serial;

/// How often at most the memory of a gateway is written down: an SD card is underneath.
const WRITTEN: Duration = Duration::from_secs(15 * 60);

/// The memories of all gateways, with what was emptied since the last rest.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    memories: BTreeMap<Serial, Memory>,
    /// When each was written down last.
    written: BTreeMap<Serial, Instant>,
    emptied: Vec<(Serial, String)>,
}

impl Leaving {
    /// Takes up what a gateway had left when the daemon ended.
    pub(super) fn remember(&mut self, serial: Serial, memory: Memory) {
        self.memories.insert(serial, memory);
    }

    /// What is remembered of a gateway.
    pub(super) fn of(&mut self, serial: &Serial, options: &Options) -> &mut Memory {
        self.memories.entry(serial.clone()).or_insert_with(|| Memory::new(&options.prefix))
    }

    /// What has to be written down at `now`, or before the end if there is none; it counts as written then.
    pub(super) fn unwritten(&mut self, now: Option<Instant>) -> impl Iterator<Item = (&Serial, &Memory)> {
        let written = &mut self.written;
        self.memories.iter_mut().filter_map(move |(serial, memory)| {
            let last = now.zip(written.get(serial).copied());
            let early = last.is_some_and(|(now, last)| now.saturating_duration_since(last) < WRITTEN);
            if early || !memory.take_change() {
                return None;
            }
            written.extend(now.map(|now| (serial.clone(), now)));
            Some((serial, &*memory))
        })
    }

    /// What was written down is lost, and due again.
    pub(super) fn rewrite(&mut self) {
        self.written.clear();
        self.memories.values_mut().for_each(Memory::lost);
    }

    /// Whether a topic is to be emptied.
    pub(super) fn is_owed(&self) -> bool {
        self.memories.values().any(Memory::leaves)
    }

    /// Empties the next topic.
    pub(super) fn next(&mut self) -> Option<Message> {
        loop {
            let (serial, memory) = self.memories.iter_mut().find(|(_, memory)| memory.leaves())?;
            let (serial, topic) = (serial.clone(), memory.next_to_leave()?);
            // An inverter that was moved to another gateway is announced by that one.
            let moved = self.memories.iter().any(|(other, it)| *other != serial && it.holds(&topic));
            if !moved {
                self.emptied.push((serial, topic.clone()));
                return Some(Message::announcement(topic, String::new()));
            }
        }
    }

    /// The connection has taken everything.
    pub(super) fn rest(&mut self) {
        if !self.is_owed() {
            self.emptied.clear();
        }
    }

    /// The connection is gone, and perhaps what was emptied last was not.
    pub(super) fn lost(&mut self) {
        for (serial, topic) in self.emptied.drain(..) {
            if let Some(memory) = self.memories.get_mut(&serial) {
                memory.keep_leaving(topic);
            }
        }
    }
}
