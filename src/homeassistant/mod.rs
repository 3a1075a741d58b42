//! MQTT discovery, for Home Assistant and for Domoticz's "MQTT Auto Discovery" from one set of messages.
//!
//! Domoticz V2025.1 was driven to find what it takes; the rules that follow, each with its test:
//!
//! - One message for each entity; the form that describes a whole device at once is ignored there.
//! - W and Wh only: kilowatts and megawatt-hours are mistaken. Energies are lifetime counters: what the
//!   batteries hold and what today has brought have plain topics, but there would be counted wrongly.
//! - A counter there takes its W from the entity of the same device whose unique id shares the longest
//!   beginning with its own, so each energy has a power of its own name (`…_grid_import_power` beside
//!   `…_grid_import_energy`), and no unique id is the beginning of another.
//! - A template is a path and nothing else: filters and arithmetic are dropped there. Brackets for energies,
//!   which keep all digits; dots for the rest, which brackets would show with 17.
//! - Every value is a member of the one object `entities` in the state document, under a name of its own. A
//!   place in the list of inverters would mean another inverter once one is added; a path through a map of
//!   serials has digits after a dot, or dots and brackets mixed, which one or the other program cannot read;
//!   a path through a group that is missing is an error in Home Assistant's log at each poll. What is not
//!   known is null there, which Domoticz skips and Home Assistant shows as unknown.

mod config;
mod entities;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::homeassistant::entities::{Entity, entities};
use crate::message::Message;
use crate::reading::Reading;
use crate::topics;

/// The topic under which Home Assistant and Domoticz look for discovery unless told otherwise.
pub const PREFIX: &str = "homeassistant";

/// What is announced, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where discovery messages go, usually [`PREFIX`].
    pub discovery_prefix: String,
    /// Where the state document and the availability are, e.g. `enphased`.
    pub prefix: String,
    /// After how much silence Home Assistant takes a value for unknown; well above the poll interval.
    pub expire_after: Duration,
    /// Whether each inverter is a device.
    pub inverters: bool,
    /// Whether phases and what serves diagnosis are there too.
    pub details: bool,
}

/// The messages for every entity whose value the reading knows: retained, level 1.
pub fn discovery(reading: &Reading, settings: &Discovery) -> Vec<Message> {
    let known = entities(reading, settings).into_iter().filter(|entity| !entity.value.is_null());
    known.map(|entity| config::message(&entity, reading, settings)).collect()
}

/// What has been announced of one gateway.
#[derive(Debug, Default)]
pub struct Announced {
    configs: BTreeMap<String, Message>,
    names: BTreeSet<String>,
}

impl Announced {
    /// The messages that are new with this reading or differ from what was announced before (a new firmware):
    /// all at first, none at most polls.
    pub fn news(&mut self, reading: &Reading, settings: &Discovery) -> Vec<Message> {
        let known = |entity: &Entity| !entity.value.is_null();
        let mut news = Vec::new();
        for entity in entities(reading, settings).into_iter().filter(known) {
            let message = config::message(&entity, reading, settings);
            if self.configs.get(&message.topic) != Some(&message) {
                self.configs.insert(message.topic.clone(), message.clone());
                self.names.insert(entity.name_in_document());
                news.push(message);
            }
        }
        news
    }

    /// Everything that was announced, for a new connection or a birth message.
    pub fn again(&self) -> impl Iterator<Item = &Message> {
        self.configs.values()
    }

    /// The state document with the values of the entities; those that were announced and are not known now
    /// are null.
    pub fn document(&self, reading: &Reading, settings: &Discovery) -> Message {
        let mut values: Map<String, Value> =
            self.names.iter().map(|name| (name.clone(), Value::Null)).collect();
        for entity in entities(reading, settings) {
            values.insert(entity.name_in_document(), entity.value);
        }
        topics::document(&settings.prefix, reading, Some(&values))
    }
}

#[cfg(test)]
mod tests;
