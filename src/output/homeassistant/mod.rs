//! MQTT discovery, with one set of messages for Home Assistant and Domoticz's "MQTT Auto Discovery".
//!
//! The following rules were found by testing Domoticz V2025.1 and Home Assistant 2024.2. Each has its test:
//!
//! - Each entity has its own message. Domoticz ignores messages that describe a whole device.
//! - The units are W and kWh: Domoticz misinterprets kilowatts and megawatt-hours. Energies that Domoticz sees are lifetime
//!   counters: it would count the charge of batteries and the energy of today wrongly, so those are hidden from it.
//! - Domoticz takes the power of a counter from the entity of the same device whose unique id shares the longest prefix
//!   with that of the counter. So each energy has a power with the same prefix (`…_grid_import_power` and
//!   `…_grid_import_energy`), which is announced even while it is unknown, and no unique id is a prefix of another.
//! - A template is only a path: Domoticz drops filters and arithmetic. Brackets, which keep all digits, are used for
//!   energies; dots for other values, which brackets would show with 17 digits.
//! - Every value is a member of the object `entities` in the state document, with a unique name. An index in the list of
//!   inverters would change when one is added. A path through a map of serial numbers has digits after a dot, or mixes
//!   dots and brackets, which one of the programs cannot parse. A path through a missing group is an error in Home
//!   Assistant's log at each poll. Unknown values are null, which Domoticz skips and Home Assistant shows as unknown.
//! - Powers in `entities` are whole watts, and production is not below 0. The rest of the document is exact.
//! - `Device (Entity)` fits into the 26 characters that Domoticz shows.
//! - An object id that ends with `_calibration` is ignored by Domoticz. Entities that it would misinterpret, or that would
//!   fill it with devices, have such a topic.

mod about;
pub mod config;
mod devices;
mod discovery;
mod entities;
mod entity_name;
pub mod gateway_name;
mod quantity;
mod site;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::base::message::Message;
use crate::base::reading::{GatewayFacts, Reading};
use crate::output::topics;
pub use discovery::{Announcement, Discovery, PREFIX};
pub use entities::{Entity, entities, name_in_document};

/// Creates the discovery messages of all entities with a value in the reading.
pub fn discovery(reading: &Reading, settings: &Discovery) -> Vec<Message> {
    let known = entities(reading, settings).into_iter().filter(Entity::is_known);
    known.map(|entity| config::message(&entity, &reading.gateway, settings)).collect()
}

/// The announced entities of one gateway. Stores the input of the messages, which are far longer.
#[derive(Debug, Default)]
pub struct Announced {
    /// The gateway's facts in the last messages.
    facts: Option<GatewayFacts>,
    /// The entities by their names in the document, without values.
    entities: BTreeMap<String, Entity>,
}

impl Announced {
    /// Returns the names of the entities that are new in this reading, or whose messages have changed (new firmware).
    pub fn news(&mut self, reading: &Reading, settings: &Discovery) -> Vec<String> {
        let before = self.facts.as_ref();
        let unchanged = before == Some(&reading.gateway);
        let mut news = Vec::new();
        for entity in entities(reading, settings) {
            let name = entity.name_in_document();
            let known = self.entities.get(&name);
            // A message depends only on the gateway's facts and the entity's name, so at most polls none is created.
            if !entity.is_known() || unchanged && known.is_some() {
                continue;
            }
            let message = config::message(&entity, &reading.gateway, settings);
            let last = known.zip(before).map(|(known, facts)| config::message(known, facts, settings));
            if last.as_ref() != Some(&message) {
                self.entities.insert(name.clone(), entity.without_value());
                news.push(name);
            }
        }
        if !unchanged {
            self.facts = Some(reading.gateway.clone());
        }
        news
    }

    /// Iterates over the names of the announced entities.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.entities.keys()
    }

    /// Creates the message that announces the entity `name`, if it still exists.
    pub fn message(&self, name: &str, settings: &Discovery) -> Option<Message> {
        let (entity, facts) = self.entities.get(name).zip(self.facts.as_ref())?;
        Some(config::message(entity, facts, settings))
    }

    /// Returns the topic of the entity `name`, with the mark to store for it.
    pub fn mark(&self, name: &str, settings: &Discovery) -> Option<(String, Announcement)> {
        let (entity, facts) = self.entities.get(name).zip(self.facts.as_ref())?;
        Some((config::topic(entity, facts, settings), entity.mark()))
    }

    /// Removes a device permanently, e.g. `inverters/482200000001`: its values are not even null any more.
    pub fn forget(&mut self, device: &str) {
        self.entities.retain(|_, entity| entity.device().as_deref() != Some(device));
    }

    /// Creates the state document with the values of the entities. Announced entities without a value are null.
    pub fn document(&self, reading: &Reading, settings: &Discovery) -> Message {
        let announced = self.entities.iter().filter(|(_, entity)| entity.is_in_document());
        let mut values: Map<String, Value> = announced.map(|(name, _)| (name.clone(), Value::Null)).collect();
        let known = entities(reading, settings).into_iter().filter(|entity| !entity.value.is_null());
        values.extend(known.map(|entity| (entity.name_in_document(), entity.value)));
        topics::document(&settings.prefix, reading, Some(&values))
    }
}

#[cfg(test)]
mod tests;
