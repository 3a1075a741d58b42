//! The names of entities for people. Domoticz shows `Device (Entity)`, which has to fit into [`ROOM`] characters.

use super::entities::Entity;
use super::gateway_name::{ROOM, end};

/// The number of characters that Domoticz adds to the names of the device and the entity.
const BRACKETS: usize = " ()".len();
/// The longest name of a device beside which every full name fits, such as `Envoy`.
const SHORT_DEVICE: usize = 5;

/// Returns the name of `entity` on a device. All entities of a device have either their full or their short names.
pub(super) fn name(entity: &Entity, device: &str) -> String {
    let length = device.chars().count();
    let name = if length > SHORT_DEVICE { entity.about.short } else { entity.about.name };
    let Some(part) = &entity.part else { return name.to_owned() };
    // Only the name of an unknown kind of dry contact may be longer than the room for it.
    let room = ROOM.saturating_sub(length + BRACKETS + name.len() + " ".len());
    format!("{} {name}", end(part.name(), room))
}
