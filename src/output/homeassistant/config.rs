//! The discovery message of an entity.

use serde::Serialize;

use super::about::State;
use super::discovery::Discovery;
use super::entities::{Entity, Owner};
use super::quantity::Nature;
use super::{entity_name, gateway_name};
use crate::base::message::Message;
use crate::base::reading::{GatewayFacts, Serial};
use crate::output::json;
use crate::output::topics;

/// The payload. Domoticz uses the name, ids, topic, template, unit, device and the last availability topic, and ignores
/// the rest.
#[derive(Serialize)]
struct Config<'a> {
    name: String,
    unique_id: String,
    /// The entity id in Home Assistant up to 2026.3.
    object_id: String,
    /// The entity id in Home Assistant since 2025.10.
    default_entity_id: String,
    state_topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_template: Option<String>,
    /// The topic with an object whose fields become attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    json_attributes_topic: Option<String>,
    #[serde(flatten)]
    nature: Nature,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled_by_default: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_after: Option<u64>,
    availability: Vec<Topic>,
    availability_mode: &'static str,
    device: Device<'a>,
    origin: Origin,
}

#[derive(Serialize)]
struct Topic {
    topic: String,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "Home Assistant's name for it")]
struct Device<'a> {
    identifiers: [String; 1],
    name: String,
    manufacturer: &'static str,
    model: &'static str,
    /// Home Assistant before 2024.9 refuses a message with `model_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    hw_version: Option<&'a str>,
    serial_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sw_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via_device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_url: Option<&'a str>,
}

#[derive(Serialize)]
struct Origin {
    name: &'static str,
    sw_version: &'static str,
}

/// The number of digits of a serial number. Of a longer one, the last ones are in the name.
const SERIAL_DIGITS: usize = 12;

/// Returns the topic of the discovery message for `entity`.
pub fn topic(entity: &Entity, gateway: &GatewayFacts, settings: &Discovery) -> String {
    let (component, identifier) = (entity.about.quantity.component(), identifier(&entity.owner, gateway));
    format!("{}/{component}/{identifier}/{}/config", settings.discovery_prefix, entity.object_id())
}

/// Creates the discovery message for `entity`.
pub fn message(entity: &Entity, gateway: &GatewayFacts, settings: &Discovery) -> Message {
    let topic = topic(entity, gateway, settings);
    let about = entity.about;
    let device = device(&entity.owner, gateway, settings);
    let [identifier] = &device.identifiers;
    let object_id = object_id(entity, &device.name, identifier);
    let config = Config {
        name: entity_name::name(entity, &device.name),
        unique_id: format!("{identifier}_{}", entity.id()),
        default_entity_id: format!("{}.{object_id}", about.quantity.component()),
        object_id,
        state_topic: state_topic(about.state, &gateway.serial, settings),
        value_template: template(entity),
        json_attributes_topic: (about.state == State::Problems)
            .then(|| state_topic(about.state, &gateway.serial, settings)),
        nature: about.quantity.nature(),
        entity_category: about.is_diagnostic.then_some("diagnostic"),
        enabled_by_default: (!entity.is_enabled(settings)).then_some(false),
        icon: about.icon,
        // The other topics are published only when they change.
        expire_after: entity.is_in_document().then_some(settings.expire_after.as_secs()),
        availability: availability(about.state, &gateway.serial, settings),
        availability_mode: "all",
        device,
        origin: Origin { name: "enphased", sw_version: env!("CARGO_PKG_VERSION") },
    };
    Message::announcement(topic, json::one_line(&config))
}

fn state_topic(state: State, gateway: &Serial, settings: &Discovery) -> String {
    match state {
        State::Document => topics::reading_topic(&settings.prefix, gateway),
        State::Token => topics::token_topic(&settings.prefix, gateway),
        State::Availability => topics::availability_topic(&settings.prefix, gateway),
        State::Problems => topics::problems_topic(&settings.prefix, gateway),
    }
}

/// Returns the topics on which the availability depends. What is known about a gateway that is away stays available.
fn availability(state: State, gateway: &Serial, settings: &Discovery) -> Vec<Topic> {
    let daemon = Topic { topic: topics::status_topic(&settings.prefix) };
    let gateway = Topic { topic: topics::availability_topic(&settings.prefix, gateway) };
    match state {
        // Domoticz uses the last of the list.
        State::Document => vec![daemon, gateway],
        State::Token | State::Availability | State::Problems => vec![daemon],
    }
}

/// Returns the entity id for Home Assistant without its domain. Home Assistant replaces special letters.
fn object_id(entity: &Entity, device: &str, identifier: &str) -> String {
    let device = match entity.owner {
        Owner::Gateway => device.to_lowercase(),
        Owner::Inverter(_) => format!("inverter_{}", identifier.to_lowercase()),
        Owner::Battery(..) => format!("battery_{}", identifier.to_lowercase()),
    };
    let id = entity.id().replace("soc", "state_of_charge");
    format!("{device}_{id}").replace(|c: char| !c.is_alphanumeric(), "_")
}

/// Returns the path to the entity's value.
///
/// With dots, Domoticz prints 6 to 9 digits, too few for a lifetime total. With brackets it prints 17, too many for a
/// voltage.
fn template(entity: &Entity) -> Option<String> {
    let name = entity.name_in_document();
    match entity.about.state {
        State::Document if entity.about.quantity.is_energy() => {
            Some(format!("{{{{ value_json['entities']['{name}'] }}}}"))
        }
        State::Document => Some(format!("{{{{ value_json.entities.{name} }}}}")),
        State::Token => {
            Some(format!("{{{{ value_json.{} }}}}", entity.about.id.trim_start_matches("token_")))
        }
        State::Availability => None,
        State::Problems => Some("{{ 'ON' if value_json.count > 0 else 'OFF' }}".to_owned()),
    }
}

/// Returns the serial number of the device, as it appears in topics and unique ids.
fn identifier(owner: &Owner, gateway: &GatewayFacts) -> String {
    topics::level(serial(owner, gateway).as_str())
}

fn serial<'a>(owner: &'a Owner, gateway: &'a GatewayFacts) -> &'a Serial {
    match owner {
        Owner::Gateway => &gateway.serial,
        Owner::Inverter(serial) | Owner::Battery(serial, _) => serial,
    }
}

fn device<'a>(owner: &'a Owner, gateway: &'a GatewayFacts, settings: &'a Discovery) -> Device<'a> {
    let parent = topics::level(gateway.serial.as_str());
    let serial = serial(owner, gateway);
    let short = gateway_name::end(serial.as_str(), SERIAL_DIGITS);
    let (name, model) = match owner {
        Owner::Gateway => (gateway_name::name(gateway, settings.several), "Gateway"),
        Owner::Inverter(_) => (format!("Inv {short}"), "Microinverter"),
        Owner::Battery(_, kind) if kind == "acb" => (format!("Bat {short}"), "AC Battery"),
        Owner::Battery(..) => (format!("Bat {short}"), "IQ Battery"),
    };
    let is_gateway = *owner == Owner::Gateway;
    Device {
        identifiers: [identifier(owner, gateway)],
        name,
        manufacturer: "Enphase",
        model,
        hw_version: if is_gateway { gateway.part_number.as_deref() } else { None },
        serial_number: serial.as_str(),
        sw_version: is_gateway.then_some(gateway.firmware.as_str()),
        via_device: (!is_gateway).then_some(parent),
        configuration_url: if is_gateway { settings.configuration_url.as_deref() } else { None },
    }
}
