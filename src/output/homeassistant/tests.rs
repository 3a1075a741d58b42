//! Tests of the rules for Domoticz, with all messages of a full reading.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::base::message::Qos;
use crate::base::reading::{Condition, Serial};
use crate::base::test_readings;
use crate::base::units::{WattHours, Watts};

fn settings(details: bool) -> Discovery {
    Discovery {
        discovery_prefix: PREFIX.to_owned(),
        prefix: "enphased".to_owned(),
        expire_after: Duration::from_secs(300),
        inverters: true,
        details,
        several: false,
        configuration_url: None,
    }
}

/// A discovery message with its parsed payload.
#[derive(Clone)]
struct Seen {
    message: Message,
    config: Value,
}

impl Seen {
    fn text(&self, key: &str) -> &str {
        self.config[key].as_str().unwrap_or_default()
    }

    fn unit(&self) -> &str {
        self.text("unit_of_measurement")
    }

    fn object_id(&self) -> &str {
        self.message.topic.rsplit('/').nth(1).unwrap()
    }

    /// Returns whether Domoticz creates a device.
    fn in_domoticz(&self) -> bool {
        !self.object_id().ends_with(entities::IGNORED_BY_DOMOTICZ)
    }

    /// Returns `Device (Entity)`, as Domoticz shows it.
    fn full_name(&self) -> String {
        format!("{} ({})", self.config["device"]["name"].as_str().unwrap(), self.text("name"))
    }

    fn device(&self) -> &str {
        self.config["device"]["identifiers"][0].as_str().unwrap()
    }
}

fn all() -> Vec<Seen> {
    seen(&test_readings::full(), &settings(true))
}

/// Returns the messages that Domoticz does not ignore.
fn domoticz() -> Vec<Seen> {
    let all: Vec<Seen> = all().into_iter().filter(Seen::in_domoticz).collect();
    assert!(all.len() > 50, "every kind of entity is among {} messages", all.len());
    all
}

fn seen(reading: &Reading, settings: &Discovery) -> Vec<Seen> {
    let messages = discovery(reading, settings);
    let seen = |message: Message| Seen { config: serde_json::from_str(&message.payload).unwrap(), message };
    messages.into_iter().map(seen).collect()
}

fn document(reading: &Reading) -> Value {
    let message = super::document(reading, &settings(true), entities(reading, &settings(true)), &[]);
    serde_json::from_str(&message.payload).unwrap()
}

/// Resolves the path in a template, in both forms, as Domoticz does.
fn value_at<'a>(template: &str, document: &'a Value) -> Option<&'a Value> {
    let path = template.strip_prefix("{{ value_json")?.strip_suffix(" }}")?;
    let keys: Vec<&str> = match path.strip_prefix('.') {
        Some(dotted) => dotted.split('.').collect(),
        None => path.strip_prefix("['")?.strip_suffix("']")?.split("']['").collect(),
    };
    keys.into_iter().try_fold(document, |value, key| value.get(key))
}

#[test]
fn announced_entities() {
    let lines = |settings: &Discovery| {
        let messages = discovery(&test_readings::full(), settings);
        messages.into_iter().map(|message| message.topic).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!("without_details", lines(&settings(false)));
    insta::assert_snapshot!("with_details", lines(&settings(true)));
    let lean = Discovery { inverters: false, ..settings(false) };
    assert!(!lines(&lean).contains("4822"));
}

#[test]
fn a_payload_of_each_kind() {
    let kinds = [
        "122300000000/production_power",
        "122300000000/production_energy",
        "122300000000/grid_connection",
        "482200000001/energy",
        "492200000001/soc",
    ];
    let all = all();
    let payload = |kind: &str| {
        let seen = all.iter().find(|seen| seen.message.topic.contains(&format!("{kind}/config"))).unwrap();
        let payload = serde_json::to_string_pretty(&seen.config).unwrap();
        format!("{}\n{}", seen.message.topic, payload.replace(env!("CARGO_PKG_VERSION"), "VERSION"))
    };
    insta::assert_snapshot!("payloads", kinds.map(payload).join("\n\n"));
}

#[test]
fn each_entity_has_a_message_of_its_own_that_is_kept() {
    for seen in all() {
        let levels: Vec<&str> = seen.message.topic.split('/').collect();
        assert!(
            matches!(levels[..], ["homeassistant", "sensor" | "binary_sensor", _, _, "config"]),
            "{}",
            seen.message.topic
        );
        assert!(seen.message.retain && seen.message.qos == Qos::AtLeastOnce);
        assert!(seen.config.get("components").is_none() && seen.config.get("cmps").is_none());
        for key in ["name", "unique_id", "default_entity_id", "state_topic"] {
            assert!(!seen.text(key).is_empty(), "{key} of {}", seen.message.topic);
        }
    }
}

#[test]
fn units_are_those_that_domoticz_knows() {
    for seen in domoticz() {
        assert!(["W", "kWh", "V", "A", "Hz", "%", "°C", ""].contains(&seen.unit()), "{}", seen.message.topic);
    }
}

#[test]
fn every_energy_is_a_lifetime_counter() {
    // Domoticz would ignore the 0 of a new day, and count a discharging battery as a negative day.
    for seen in domoticz().iter().filter(|seen| seen.unit() == "kWh") {
        assert!(seen.object_id().ends_with("energy"), "{}", seen.message.topic);
    }
}

#[test]
fn each_direction_has_a_power_of_its_own() {
    let entities = &document(&test_readings::full())["entities"];
    let value = |name: &str| entities[name].as_i64().unwrap();
    assert_eq!(
        (value("grid_power"), value("grid_import_power"), value("grid_export_power")),
        (-2580, 0, 2580)
    );
    assert_eq!((value("storage_charge_power"), value("storage_discharge_power")), (350, 0));
    let energy = |name: &str| entities[name].as_f64().unwrap();
    assert_eq!((energy("grid_import_energy_kwh"), energy("grid_export_energy_kwh")), (6000.001, 671.606));
    assert_eq!(
        (energy("storage_charge_energy_kwh"), energy("storage_discharge_energy_kwh")),
        (1200.3, 1100.2)
    );
}

#[test]
fn powers_are_whole_watts_and_the_night_is_not_negative_but_the_document_is_exact() {
    let mut reading = test_readings::full();
    let power = reading.production.as_mut().unwrap();
    power.power_w = Watts::new(-8.812);
    reading.phases[0].production.as_mut().unwrap().power_w = Watts::new(-2.9);
    reading.grid.as_mut().unwrap().power_w = Watts::new(351.6);
    let document = document(&reading);
    let entities = &document["entities"];
    assert_eq!((&entities["production_power"], &entities["l1_production_power"]), (&0.into(), &0.into()));
    assert_eq!(entities["grid_power"], 352);
    assert_eq!(document["production"]["power_w"], -8.812);
    for seen in seen(&reading, &settings(true)).iter().filter(|seen| seen.unit() == "W") {
        let value = value_at(seen.text("value_template"), &document).unwrap();
        assert!(value.is_i64(), "{} is {value}", seen.object_id());
    }
}

#[test]
fn an_energy_in_kwh_is_exact_to_the_watt_hour() {
    for wh in [0, 1, 999, 13_431_337, 4_545_926, 999_999_999, 123_456_789_012_i64] {
        let mut reading = test_readings::full();
        #[expect(clippy::cast_precision_loss, reason = "far less than 53 bits")]
        let energy = WattHours::new(wh as f64);
        reading.production.as_mut().unwrap().energy_wh = energy;
        let document = document(&reading);
        let kwh = &document["entities"]["production_energy_kwh"];
        // Domoticz prints 17 digits, reads them, and multiplies.
        let read: f64 = format!("{:.17}", kwh.as_f64().unwrap()).parse().unwrap();
        assert_eq!(format!("{:.3}", read * 1000.0), format!("{wh}.000"));
        assert!(kwh.to_string().parse::<f64>().is_ok() && !kwh.to_string().contains('e'), "{kwh}");
    }
}

#[test]
fn a_power_is_announced_with_its_energy_even_while_it_is_unknown() {
    let mut reading = test_readings::full();
    reading.production.as_mut().unwrap().power_w = None;
    reading.consumption.as_mut().unwrap().power_w = None;
    reading.grid.as_mut().unwrap().power_w = None;
    reading.storage.as_mut().unwrap().power_w = None;
    reading.inverters.iter_mut().for_each(|inverter| inverter.power_w = None);
    let seen = seen(&reading, &settings(false));
    let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.text("unique_id")).collect();
    let energies: Vec<&&str> = ids
        .iter()
        .filter(|id| {
            id.ends_with("_energy") && !id.contains("_l1_") && !id.contains("_l2_") && !id.contains("_l3_")
        })
        .collect();
    assert_eq!(energies.len(), 6 + 2, "{energies:?}");
    for id in energies {
        let power = id.replace("energy", "power");
        assert!(ids.contains(power.as_str()), "{power}");
    }
    assert!(!ids.contains("122300000000_grid_power"), "it has no energy, and is unknown");
}

#[test]
fn what_has_no_unit_is_a_word_and_never_looks_like_a_number() {
    let document = document(&test_readings::full());
    for seen in domoticz().iter().filter(|seen| seen.unit().is_empty()) {
        let word = value_at(seen.text("value_template"), &document).unwrap().as_str().unwrap_or_default();
        assert!(word.starts_with(|c: char| c.is_ascii_alphabetic()), "{word}");
    }
}

#[test]
fn no_word_in_ids_and_templates_changes_the_type() {
    for seen in domoticz() {
        let words = [seen.text("value_template"), seen.object_id(), seen.text("state_topic")].join(" ");
        for word in ["pressure", "humidity", "battery"] {
            assert!(!words.contains(word), "{word} in {words}");
        }
        assert!(!words.contains("temperature") || seen.unit() == "°C", "{words}");
        let icon = seen.text("icon");
        assert!(!["molecule", "water", "gas", "pulse"].iter().any(|word| icon.contains(word)), "{icon}");
    }
}

#[test]
fn no_object_id_is_among_those_that_domoticz_drops() {
    let names = [
        "last_seen",
        "restart",
        "linkquality",
        "connection_state",
        "log_level",
        "update_available",
        "update_state",
        "hardware_status",
        "battery",
        "battery_level",
        "battery_low",
    ];
    let parts = ["_alarm", "_address", "_ssid", "_sensitivity", "_calibration"];
    let starts = ["min_", "max_", "action", "click", "power_a", "power_b", "power_c"];
    for seen in domoticz() {
        let id = seen.object_id();
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{id}");
        assert!(!names.contains(&id), "{id}");
        assert!(!parts.iter().any(|part| id.contains(part)), "{id}");
        assert!(!starts.iter().any(|start| id.starts_with(start)), "{id}");
        assert!(!id.ends_with("_min") && !id.ends_with("_max"), "{id}");
    }
}

#[test]
fn no_unique_id_is_the_beginning_of_another() {
    let seen = all();
    let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.text("unique_id")).collect();
    assert_eq!(ids.len(), seen.len(), "they are unique");
    for one in &ids {
        let longer = ids.iter().find(|other| *other != one && other.starts_with(one));
        assert_eq!(longer, None, "{one}");
    }
    assert!(ids.contains("122300000000_production_power") && ids.contains("122300000000_production_energy"));
}

#[test]
fn each_energy_finds_its_own_power() {
    let seen = domoticz();
    let common = |one: &str, other: &str| one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let energies = seen.iter().filter(|seen| seen.unit() == "kWh");
    let mut found = Vec::new();
    for energy in energies {
        let id = energy.text("unique_id");
        let powers = seen.iter().filter(|seen| seen.unit() == "W" && seen.device() == energy.device());
        let mut ranked: Vec<(usize, &str)> =
            powers.map(|power| (common(id, power.text("unique_id")), power.text("unique_id"))).collect();
        ranked.sort_unstable();
        let (best, power) = ranked.pop().unwrap();
        assert_eq!(power, id.replace("energy", "power"));
        assert!(ranked.last().is_none_or(|(second, _)| *second < best), "{id} has one nearest power");
        found.push(id.to_owned());
    }
    assert_eq!(found.len(), 6 + 2, "{found:?}");
}

#[test]
fn a_template_is_a_path_to_the_value_with_brackets_for_energies_and_dots_for_the_rest() {
    let document = document(&test_readings::full());
    for seen in domoticz() {
        let template = seen.text("value_template");
        let value = value_at(template, &document).unwrap_or_else(|| panic!("{template} leads nowhere"));
        assert!(!value.is_null(), "{template}");
        if seen.unit() == "kWh" {
            assert!(template.starts_with("{{ value_json['"), "{template}");
            assert!(value.is_f64(), "{template} gives {value}");
        } else {
            assert!(template.starts_with("{{ value_json.entities."), "{template}");
        }
    }
}

#[test]
fn nothing_at_the_root_of_the_document_has_a_meaning_for_domoticz() {
    let document = document(&test_readings::full());
    for taken in ["battery", "linkquality", "state", "value", "brightness", "color"] {
        assert!(document.get(taken).is_none(), "{taken}");
    }
}

#[test]
fn names_are_plain_and_not_those_of_the_device() {
    for seen in all() {
        let device = seen.config["device"]["name"].as_str().unwrap();
        assert!(!device.is_empty() && seen.text("name") != device);
        assert!(!seen.text("name").contains(['<', '>']) && !device.contains(['<', '>']));
    }
}

#[test]
fn availability_is_the_gateways_and_in_the_last_place() {
    for seen in domoticz() {
        let topics = &seen.config["availability"];
        assert_eq!(topics[0]["topic"], "enphased/status");
        assert_eq!(topics[1]["topic"], "enphased/122300000000/availability");
        assert_eq!(topics.as_array().unwrap().len(), 2);
        assert_eq!(seen.text("availability_mode"), "all");
    }
}

#[test]
fn what_is_known_about_a_gateway_that_is_away_stays_available() {
    for seen in all() {
        let on_reading = seen.text("state_topic").ends_with("/reading");
        assert_eq!(seen.config["availability"].as_array().unwrap().len(), if on_reading { 2 } else { 1 });
        assert_eq!(seen.config.get("expire_after").is_some(), on_reading, "{}", seen.object_id());
    }
}

#[test]
fn the_names_of_device_and_entity_fit_in_domoticz() {
    let mut longest = test_readings::full();
    longest.gateway.name = Some("W".repeat(gateway_name::LONGEST));
    longest.dry_contacts[0].id = "a very long contact".to_owned();
    longest.inverters[0].serial = Serial::parse("1234567890123456").unwrap();
    longest.batteries[0].serial = Serial::parse("1234567890123456").unwrap();
    let several = Discovery { several: true, ..settings(true) };
    for seen in [all(), seen(&longest, &settings(true)), seen(&test_readings::full(), &several)].concat() {
        assert!(seen.full_name().chars().count() <= gateway_name::ROOM, "{}", seen.full_name());
    }
}

#[test]
fn names_and_entity_ids() {
    let named = |reading: &Reading, settings: &Discovery| {
        let line = |seen: &Seen| {
            let enabled = seen.config.get("enabled_by_default").map_or("", |_| ", disabled");
            let hidden = if seen.in_domoticz() { "" } else { ", not in Domoticz" };
            format!("{}: {}{enabled}{hidden}", seen.full_name(), seen.text("default_entity_id"))
        };
        seen(reading, settings).iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let mut reading = test_readings::full();
    reading.phases.truncate(1);
    reading.inverters.truncate(1);
    reading.inverters[0].condition = Some(Condition::Good);
    reading.batteries.truncate(1);
    insta::assert_snapshot!("names", named(&reading, &settings(false)));
    reading.gateway.name = Some("Süd-Dach 1".to_owned());
    insta::assert_snapshot!("names_of_a_gateway_with_a_longer_name", named(&reading, &settings(true)));
}

#[test]
fn all_names_on_a_device_differ() {
    let several = Discovery { several: true, ..settings(true) };
    for seen in [all(), seen(&test_readings::full(), &several)] {
        let names: BTreeSet<String> = seen.iter().map(Seen::full_name).collect();
        assert_eq!(names.len(), seen.len());
        let ids: BTreeSet<&str> = seen.iter().map(|seen| seen.text("default_entity_id")).collect();
        assert_eq!(ids.len(), seen.len());
    }
}

#[test]
fn the_gateway_comes_first_then_the_batteries_and_the_inverters() {
    let order: Vec<String> = all().iter().map(|seen| seen.text("unique_id").to_owned()).collect();
    assert_eq!(order[..2], ["122300000000_production_power", "122300000000_production_energy"]);
    let place = |id: &str| order.iter().position(|other| other == id).unwrap_or_else(|| panic!("{id}"));
    for ids in [
        ["122300000000_grid_export_energy", "122300000000_firmware"],
        ["122300000000_firmware", "122300000000_l1_voltage"],
        ["122300000000_l3_storage_discharge_energy", "492200000001_power"],
        ["492200000002_reported_at", "482200000001_power"],
        ["482200000002_power", "482200000001_energy"],
        ["482200000002_energy", "482200000001_voltage"],
    ] {
        assert!(place(ids[0]) < place(ids[1]), "{ids:?}");
    }
}

#[test]
fn the_one_way_powers_are_disabled_and_details_only_enable() {
    let topics = |seen: &[Seen]| seen.iter().map(|seen| seen.message.topic.clone()).collect::<Vec<_>>();
    let (lean, full) = (seen(&test_readings::full(), &settings(false)), all());
    assert_eq!(topics(&lean), topics(&full));
    let disabled = |seen: &[Seen]| -> Vec<String> {
        let disabled =
            seen.iter().filter(|seen| seen.config.get("enabled_by_default") == Some(&false.into()));
        disabled.map(|seen| seen.object_id().to_owned()).collect()
    };
    assert_eq!(
        disabled(&full),
        ["grid_import_power", "grid_export_power", "storage_charge_power", "storage_discharge_power"]
    );
    assert!(disabled(&lean).len() > 50);
}

#[test]
fn a_house_without_a_battery_has_no_entities_of_storage() {
    let mut reading = test_readings::full();
    reading.batteries.clear();
    reading.storage = None;
    let ids = seen(&reading, &settings(true));
    let storage = |seen: &&Seen| {
        ["storage", "charge", "battery"].iter().any(|word| seen.object_id().contains(word))
            && !seen.object_id().starts_with('l')
    };
    let storage: Vec<&str> = ids.iter().filter(storage).map(Seen::object_id).collect();
    assert_eq!(storage, [""; 0]);
}

#[test]
fn only_a_gateway_with_tokens_has_entities_of_its_token() {
    let tokens = |firmware: &str| {
        let mut reading = test_readings::bare();
        reading.gateway.firmware = firmware.to_owned();
        seen(&reading, &settings(false)).iter().filter(|seen| seen.object_id().starts_with("token_")).count()
    };
    assert_eq!((tokens("7.6.175"), tokens("5.0.55")), (3, 0));
}

#[test]
fn the_names_in_the_document_follow_from_the_topic() {
    let gateway = Serial::parse("122300000000").unwrap();
    for entity in entities(&test_readings::full(), &settings(true)) {
        let topic = config::topic(&entity, &test_readings::full().gateway, &settings(true));
        let names = names_in_document(&topic, &gateway);
        assert_eq!(names.contains(&entity.name_in_document()), entity.is_in_document(), "{topic}: {names:?}");
        assert_eq!(names.is_empty(), !entity.is_in_document(), "{topic}: {names:?}");
    }
    let names = |topic: &str| names_in_document(topic, &gateway);
    assert_eq!(names("homeassistant/status"), [""; 0]);
    let unknown = "homeassistant/sensor/122300000000/of_another_version/config";
    assert_eq!(names(unknown), ["of_another_version"]);
    let energy = "homeassistant/sensor/482200000001/energy/config";
    assert_eq!(names(energy), ["sn482200000001_energy", "sn482200000001_energy_kwh"], "with that of 0.1.0");
}

#[test]
fn inverters_and_batteries_are_devices_behind_the_gateway() {
    for seen in all() {
        let via = seen.config["device"]["via_device"].as_str();
        assert_eq!(via, (seen.device() != "122300000000").then_some("122300000000"));
    }
    let linked = Discovery { configuration_url: Some("http://pi:8480".to_owned()), ..settings(false) };
    for seen in seen(&test_readings::full(), &linked) {
        let url = seen.config["device"]["configuration_url"].as_str();
        assert_eq!(url, (seen.device() == "122300000000").then_some("http://pi:8480"));
    }
    let devices: BTreeSet<String> = all().iter().map(|seen| seen.device().to_owned()).collect();
    assert_eq!(devices.len(), 5, "{devices:?}");
}

#[test]
fn only_guarded_totals_are_said_to_increase() {
    for seen in all() {
        let increasing = seen.text("state_class") == "total_increasing";
        let guarded = seen.unit() == "kWh"
            && !seen.text("unique_id").contains("storage_available")
            && !seen.text("unique_id").contains("storage_capacity");
        assert_eq!(increasing, guarded, "{}", seen.message.topic);
    }
}

#[test]
fn what_the_energy_dashboard_needs_is_there_without_details() {
    let messages = discovery(&test_readings::full(), &settings(false));
    for id in ["production", "grid_import", "grid_export", "storage_charge", "storage_discharge"] {
        let topic = format!("homeassistant/sensor/122300000000/{id}_energy/config");
        let message = messages.iter().find(|message| message.topic == topic).unwrap();
        let config: Value = serde_json::from_str(&message.payload).unwrap();
        assert_eq!(
            (&config["device_class"], &config["unit_of_measurement"]),
            (&"energy".into(), &"kWh".into())
        );
    }
}

#[test]
fn what_is_not_measured_is_not_announced_and_not_in_the_document() {
    let topics: Vec<String> =
        discovery(&test_readings::bare(), &settings(true)).into_iter().map(|message| message.topic).collect();
    assert!(topics.iter().all(|topic| !topic.contains("grid") && !topic.contains("storage")), "{topics:?}");
    let document = document(&test_readings::bare());
    assert_eq!(document["entities"].get("grid_power"), None);
    assert_eq!(document["entities"]["sn482200000001_power"], 245);
}

#[test]
fn an_announced_entity_without_a_value_is_unknown_and_not_missing() {
    let (reading, settings) = (test_readings::full(), settings(false));
    let absent = ["sn482200000009_power".to_owned()];
    let message = super::document(&reading, &settings, entities(&reading, &settings), &absent);
    let document: Value = serde_json::from_str(&message.payload).unwrap();
    assert_eq!(document["entities"].get("sn482200000009_power"), Some(&Value::Null));
    assert_eq!(document["entities"]["sn482200000001_power"], 245);
}
