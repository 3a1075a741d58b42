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
mod discovery;
mod entities;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::base::message::Message;
use crate::base::reading::{GatewayFacts, Reading};
use crate::output::topics;
pub use discovery::{Discovery, Mark, PREFIX};
use entities::{Entity, entities};

/// The messages for every entity whose value the reading knows: retained, level 1.
pub fn discovery(reading: &Reading, settings: &Discovery) -> Vec<Message> {
    let known = entities(reading, settings).into_iter().filter(|entity| !entity.value.is_null());
    known.map(|entity| config::message(&entity, &reading.gateway, settings)).collect()
}

/// What has been announced of one gateway: from what it was made, because the messages themselves are far longer.
#[derive(Debug, Default)]
pub struct Announced {
    /// What the gateway said of itself in the last of them.
    facts: Option<GatewayFacts>,
    /// By their names in the document, without values.
    entities: BTreeMap<String, Entity>,
}

impl Announced {
    /// The names of the entities that are new with this reading, or whose messages differ from before (a new firmware):
    /// all at first, none at most polls.
    pub fn news(&mut self, reading: &Reading, settings: &Discovery) -> Vec<String> {
        let before = self.facts.as_ref();
        let unchanged = before == Some(&reading.gateway);
        let mut news = Vec::new();
        for entity in entities(reading, settings) {
            let name = entity.name_in_document();
            let known = self.entities.get(&name);
            // A message follows from the gateway's facts and from what the entity is, which its name tells. So at most
            // polls there is none to make.
            if entity.value.is_null() || unchanged && known.is_some() {
                continue;
            }
            let message = config::message(&entity, &reading.gateway, settings);
            let told = known.zip(before).map(|(known, facts)| config::message(known, facts, settings));
            if told.as_ref() != Some(&message) {
                self.entities.insert(name.clone(), Entity { value: Value::Null, ..entity });
                news.push(name);
            }
        }
        if !unchanged {
            self.facts = Some(reading.gateway.clone());
        }
        news
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.entities.keys()
    }

    /// The message that announces the entity `name`; none for one that is gone.
    pub fn message(&self, name: &str, settings: &Discovery) -> Option<Message> {
        let (entity, facts) = self.entities.get(name).zip(self.facts.as_ref())?;
        Some(config::message(entity, facts, settings))
    }

    /// The topic of the entity `name`, with what is to be remembered of it.
    pub fn mark(&self, name: &str, settings: &Discovery) -> Option<(String, Mark)> {
        let (entity, facts) = self.entities.get(name).zip(self.facts.as_ref())?;
        let mark = Mark { device: entity.device(), detail: entity.detail };
        Some((config::topic(entity, facts, settings), mark))
    }

    /// Forgets a device that is gone for good, e.g. `inverters/482200000001`: its values are not even null any more.
    pub fn forget(&mut self, device: &str) {
        self.entities.retain(|_, entity| entity.device().as_deref() != Some(device));
    }

    /// The state document with the values of the entities; those that were announced and are not known now
    /// are null.
    pub fn document(&self, reading: &Reading, settings: &Discovery) -> Message {
        let mut values: Map<String, Value> =
            self.entities.keys().map(|name| (name.clone(), Value::Null)).collect();
        for entity in entities(reading, settings) {
            values.insert(entity.name_in_document(), entity.value);
        }
        topics::document(&settings.prefix, reading, Some(&values))
    }
}

#[cfg(test)]
mod tests;
