//! The discovery message of an entity.

use serde::Serialize;

use super::discovery::Discovery;
use super::gateway_name;
use crate::base::message::Message;
use crate::base::reading::{GatewayFacts, Serial};
use crate::output::homeassistant::entities::{Entity, Owner, Quantity};
use crate::output::json;
use crate::output::topics;

/// The payload. Domoticz uses the name, ids, topic, template, unit, device and the last availability topic, and ignores
/// the rest.
#[derive(Serialize)]
struct Config<'a> {
    name: String,
    unique_id: String,
    state_topic: String,
    value_template: String,
    #[serde(flatten)]
    nature: Nature,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_category: Option<&'static str>,
    expire_after: u64,
    availability: [Topic; 2],
    availability_mode: &'static str,
    device: Device<'a>,
    origin: Origin,
}

/// The fields that depend on the quantity.
#[derive(Serialize)]
struct Nature {
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_of_measurement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_display_precision: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<[&'static str; 2]>,
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
pub(super) fn topic(entity: &Entity, gateway: &GatewayFacts, settings: &Discovery) -> String {
    let identifier = identifier(&entity.owner, gateway);
    format!("{}/sensor/{identifier}/{}/config", settings.discovery_prefix, entity.id)
}

/// Creates the discovery message for `entity`.
pub(super) fn message(entity: &Entity, gateway: &GatewayFacts, settings: &Discovery) -> Message {
    let topic = topic(entity, gateway, settings);
    let device = device(&entity.owner, gateway, settings);
    let [identifier] = &device.identifiers;
    let config = Config {
        name: entity.name(),
        unique_id: format!("{identifier}_{}", entity.id),
        state_topic: topics::reading_topic(&settings.prefix, &gateway.serial),
        value_template: template(entity),
        nature: nature(entity.quantity),
        entity_category: entity.diagnostic.then_some("diagnostic"),
        expire_after: settings.expire_after.as_secs(),
        // Domoticz uses the last of the list.
        availability: [
            Topic { topic: topics::status_topic(&settings.prefix) },
            Topic { topic: topics::availability_topic(&settings.prefix, &gateway.serial) },
        ],
        availability_mode: "all",
        device,
        origin: Origin { name: "enphased", sw_version: env!("CARGO_PKG_VERSION") },
    };
    Message::announcement(topic, json::one_line(&config))
}

/// Returns the path to the entity's value.
///
/// With dots, Domoticz prints 6 to 9 digits, too few for a lifetime total. With brackets it prints 17, too many for a
/// voltage.
fn template(entity: &Entity) -> String {
    let name = entity.name_in_document();
    match entity.quantity {
        Quantity::Total | Quantity::Counter => {
            format!("{{{{ value_json['entities']['{name}'] }}}}")
        }
        _ => format!("{{{{ value_json.entities.{name} }}}}"),
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

fn nature(quantity: Quantity) -> Nature {
    let numeric = |unit, class, state_class, precision| Nature {
        unit_of_measurement: Some(unit),
        device_class: class,
        state_class: Some(state_class),
        suggested_display_precision: Some(precision),
        options: None,
    };
    let measured = |unit, class, precision| numeric(unit, class, "measurement", precision);
    let energy = |state_class| numeric("Wh", Some("energy"), state_class, 0);
    let word = |class, options| Nature {
        unit_of_measurement: None,
        device_class: class,
        state_class: None,
        suggested_display_precision: None,
        options,
    };
    match quantity {
        Quantity::Power => measured("W", Some("power"), 0),
        // Home Assistant interprets a decrease of `total_increasing` as a new meter that began at 0, so only guarded
        // counters may have this class.
        Quantity::Total => energy("total_increasing"),
        Quantity::Counter => energy("total"),
        Quantity::Charge => measured("%", Some("battery"), 0),
        Quantity::Share => measured("%", None, 0),
        Quantity::Voltage => measured("V", Some("voltage"), 1),
        Quantity::Current => measured("A", Some("current"), 2),
        Quantity::Frequency => measured("Hz", Some("frequency"), 2),
        Quantity::Temperature => measured("°C", Some("temperature"), 1),
        Quantity::Switch => word(Some("enum"), Some(["closed", "open"])),
        Quantity::Word => word(None, None),
    }
}
