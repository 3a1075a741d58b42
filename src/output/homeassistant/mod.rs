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

use serde_json::{Map, Value};

use crate::base::message::Message;
use crate::base::reading::Reading;
use crate::output::topics;
pub use discovery::{Announcement, Discovery, PREFIX};
pub use entities::{Entity, entities, names_in_document};

/// Creates the discovery messages of all entities with a value in the reading.
pub fn discovery(reading: &Reading, settings: &Discovery) -> Vec<Message> {
    let known = entities(reading, settings).into_iter().filter(Entity::is_known);
    known.map(|entity| config::message(&entity, &reading.gateway, settings)).collect()
}

/// Creates the state document with the values of the [`entities()`] of a reading, and null for each name in `absent`: the
/// announced entities without a value.
pub fn document(
    reading: &Reading,
    settings: &Discovery,
    entities: Vec<Entity>,
    absent: &[String],
) -> Message {
    let mut values: Map<String, Value> = absent.iter().map(|name| (name.clone(), Value::Null)).collect();
    let known = entities.into_iter().filter(Entity::has_value);
    values.extend(known.map(|entity| (entity.name_in_document(), entity.value)));
    topics::document(&settings.prefix, reading, Some(&values))
}

#[cfg(test)]
mod tests;
