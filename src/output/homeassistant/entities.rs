//! The entities of a reading, from which both the discovery messages and their values are made.

use std::hash::{Hash, Hasher};

use serde_json::Value;

use super::about::{About, Enabled, Row, State};
use super::devices::{BATTERY, INVERTER};
use super::discovery::{Announcement, Discovery, INVERTERS};
use super::quantity::Quantity;
use super::site::{CONTACT, MAIN, PHASE, STATE};
use crate::base::reading::{Inverter, Reading, Serial};
use crate::output::topics;

/// The end of an object id in a topic that Domoticz ignores (tested with V2025.1).
pub(super) const IGNORED_BY_DOMOTICZ: &str = "_calibration";

/// The device that an entity belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// The gateway.
    Gateway,
    /// An inverter.
    Inverter(Serial),
    /// A battery, with its kind.
    Battery(Serial, String),
}

/// A value with its description.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    pub(super) owner: Owner,
    pub(super) about: &'static About,
    /// The phase or the dry contact, e.g. `L1`.
    pub(super) part: Option<Part>,
    /// The published value; null if it is unknown or on another topic.
    pub(super) value: Value,
    /// The entity is announced: its value is known, or that of its energy.
    is_known: bool,
}

/// A part of the gateway's device with several entities of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Phase(String),
    Contact(String),
}

impl Part {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Phase(name) | Self::Contact(name) => name,
        }
    }
}

impl Entity {
    fn new<T>(owner: &Owner, part: Option<&Part>, row: &'static Row<T>, of: &T) -> Self {
        let value = (row.value)(of);
        let is_known = value.is_some() || (row.anyway)(of);
        let (owner, part) = (owner.clone(), part.cloned());
        Self { owner, about: &row.about, part, value: value.unwrap_or_default(), is_known }
    }

    /// Returns the end of the unique id, e.g. `production_power` or `l1_voltage`. It is unique within the owner.
    pub(super) fn id(&self) -> String {
        match &self.part {
            Some(part) => format!("{}_{}", topics::level(&part.name().to_lowercase()), self.about.id),
            None => self.about.id.to_owned(),
        }
    }

    /// Returns the object id in the topic.
    pub(super) fn object_id(&self) -> String {
        let suffix = if self.about.in_domoticz { "" } else { IGNORED_BY_DOMOTICZ };
        format!("{}{suffix}", self.id())
    }

    /// Returns the name in the document's `entities`. It begins with a letter, as required in a path with dots.
    pub fn name_in_document(&self) -> String {
        let name = document_name(&self.id(), self.about.quantity);
        match &self.owner {
            Owner::Gateway => name,
            Owner::Inverter(serial) | Owner::Battery(serial, _) => {
                format!("sn{}_{name}", topics::level(serial.as_str()))
            }
        }
    }

    /// Returns whether the state is in the document.
    pub fn is_in_document(&self) -> bool {
        self.about.state == State::Document
    }

    /// Returns whether the entity is enabled from the start.
    pub(super) fn is_enabled(&self, settings: &Discovery) -> bool {
        match self.about.enabled {
            Enabled::Always => true,
            Enabled::WithDetails => settings.details,
            Enabled::Never => false,
        }
    }

    /// Returns the entry in the document's lists that the entity belongs to.
    pub fn device(&self) -> Option<String> {
        let (list, name) = match (&self.owner, &self.part) {
            (Owner::Inverter(serial), _) => (INVERTERS, serial.as_str()),
            (Owner::Battery(serial, _), _) => ("batteries", serial.as_str()),
            (Owner::Gateway, Some(Part::Contact(id))) => ("dry_contacts", id.as_str()),
            (Owner::Gateway, _) => return None,
        };
        Some(format!("{list}/{}", topics::level(name)))
    }

    /// Returns whether the entity has to be announced.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Returns whether the document has a value for it.
    pub fn has_value(&self) -> bool {
        !self.value.is_null()
    }

    /// Returns the entity without its value.
    #[must_use]
    pub fn without_value(&self) -> Self {
        Self { value: Value::Null, ..self.clone() }
    }

    /// Adds what distinguishes it from other entities to `hasher`.
    pub fn hash_identity(&self, hasher: &mut impl Hasher) {
        (&self.owner, &self.part, self.about.id).hash(hasher);
    }

    /// Returns the properties to store for its announcement.
    pub fn mark(&self) -> Announcement {
        Announcement { device: self.device() }
    }
}

/// Returns all possible entities of this reading, with null for unknown values, in the order in which a person wants to see
/// them: the gateway with its main values, the batteries, the inverters.
pub fn entities(reading: &Reading, settings: &Discovery) -> Vec<Entity> {
    let gateway = &Owner::Gateway;
    let site = |row| Entity::new(gateway, None, row, reading);
    let mut all: Vec<Entity> = MAIN.iter().chain(&STATE).map(site).collect();
    for contact in &reading.dry_contacts {
        let part = Part::Contact(contact.id.clone());
        all.extend(CONTACT.iter().map(|row| Entity::new(gateway, Some(&part), row, contact)));
    }
    for phase in &reading.phases {
        let part = Part::Phase(phase.phase.clone());
        all.extend(PHASE.iter().map(|row| Entity::new(gateway, Some(&part), row, phase)));
    }
    for row in &BATTERY {
        all.extend(reading.batteries.iter().map(|battery| {
            let owner = Owner::Battery(battery.serial.clone(), battery.kind.clone());
            Entity::new(&owner, None, row, battery)
        }));
    }
    if settings.inverters {
        all.extend(INVERTER.iter().flat_map(|row| {
            let of = |inverter: &Inverter| Owner::Inverter(inverter.serial.clone());
            reading.inverters.iter().map(move |inverter| Entity::new(&of(inverter), None, row, inverter))
        }));
    }
    all
}

/// Returns the names in the document of the entity of `gateway` or of one of its devices that was announced under `topic`:
/// the present one, and the one of version 0.1.0 if it was different. Returns none if the topic is not one of discovery, or
/// the state is on another topic.
pub fn names_in_document(topic: &str, gateway: &Serial) -> Vec<String> {
    let mut levels = topic.rsplit('/');
    let (Some("config"), Some(id), Some(device)) = (levels.next(), levels.next(), levels.next()) else {
        return Vec::new();
    };
    let id = id.strip_suffix(IGNORED_BY_DOMOTICZ).unwrap_or(id);
    let about = about(id);
    if about.is_some_and(|about| about.state != State::Document) {
        return Vec::new();
    }
    let mut names = vec![id.to_owned()];
    names.extend(about.map(|about| document_name(id, about.quantity)).filter(|name| name != id));
    if device != topics::level(gateway.as_str()) {
        for name in &mut names {
            *name = format!("sn{device}_{name}");
        }
    }
    names
}

/// Returns the description of the entity with this `id`.
fn about(id: &str) -> Option<&'static About> {
    let site = MAIN.iter().chain(&STATE).map(|row| &row.about);
    let devices = INVERTER.iter().map(|row| &row.about).chain(BATTERY.iter().map(|row| &row.about));
    let whole = site.chain(devices).find(|about| about.id == id);
    let parts = PHASE.iter().map(|row| &row.about).chain(CONTACT.iter().map(|row| &row.about));
    let of_part = |about: &&About| id.strip_suffix(about.id).is_some_and(|part| part.ends_with('_'));
    whole.or_else(|| parts.into_iter().find(of_part))
}

/// Returns the name of a value in the document. Energies have their unit in the name: version 0.1.0 published them in Wh,
/// and a consumer that still has its document must not show a thousand times the total.
fn document_name(id: &str, quantity: Quantity) -> String {
    format!("{id}{}", if quantity.is_energy() { "_kwh" } else { "" })
}
