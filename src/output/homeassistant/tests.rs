//! Tests of the rules for Domoticz, with all messages of a full reading.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::base::message::Qos;
use crate::base::test_readings;

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

    fn device(&self) -> &str {
        self.config["device"]["identifiers"][0].as_str().unwrap()
    }
}

fn all() -> Vec<Seen> {
    let messages = discovery(&test_readings::full(), &settings(true));
    assert!(messages.len() > 50, "every kind of entity is among {} messages", messages.len());
    let seen = |message: Message| Seen { config: serde_json::from_str(&message.payload).unwrap(), message };
    messages.into_iter().map(seen).collect()
}

fn document(reading: &Reading) -> Value {
    let message = Announced::default().document(reading, &settings(true));
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
        assert!(matches!(levels[..], ["homeassistant", "sensor", _, _, "config"]), "{}", seen.message.topic);
        assert!(seen.message.retain && seen.message.qos == Qos::AtLeastOnce);
        assert!(seen.config.get("components").is_none() && seen.config.get("cmps").is_none());
        for key in ["name", "unique_id", "state_topic", "value_template"] {
            assert!(!seen.text(key).is_empty(), "{key} of {}", seen.message.topic);
        }
    }
}

#[test]
fn units_are_those_that_domoticz_knows() {
    for seen in all() {
        assert!(["W", "Wh", "V", "A", "Hz", "%", "°C", ""].contains(&seen.unit()), "{}", seen.message.topic);
    }
}

#[test]
fn every_energy_is_a_lifetime_counter() {
    // Domoticz would ignore the 0 of a new day, and count a discharging battery as a negative day.
    for seen in all().iter().filter(|seen| seen.unit() == "Wh") {
        assert!(seen.object_id().ends_with("energy"), "{}", seen.message.topic);
    }
}

#[test]
fn each_direction_has_a_power_of_its_own() {
    let entities = &document(&test_readings::full())["entities"];
    let value = |name: &str| entities[name].as_f64().unwrap();
    assert_eq!(
        (value("grid_power"), value("grid_import_power"), value("grid_export_power")),
        (-2580.0, 0.0, 2580.0)
    );
    assert_eq!((value("storage_charge_power"), value("storage_discharge_power")), (350.0, 0.0));
    assert_eq!(
        (entities["grid_import_energy"].as_i64(), entities["grid_export_energy"].as_i64()),
        (Some(6_000_001), Some(671_606))
    );
    assert_eq!(
        (entities["storage_charge_energy"].as_i64(), entities["storage_discharge_energy"].as_i64()),
        (Some(1_200_300), Some(1_100_200))
    );
}

#[test]
fn what_has_no_unit_is_a_word_and_never_looks_like_a_number() {
    let document = document(&test_readings::full());
    for seen in all().iter().filter(|seen| seen.unit().is_empty()) {
        let word = value_at(seen.text("value_template"), &document).unwrap().as_str().unwrap();
        assert!(word.starts_with(|c: char| c.is_ascii_alphabetic()), "{word}");
    }
}

#[test]
fn no_word_in_ids_and_templates_changes_the_type() {
    for seen in all() {
        let words = [seen.text("value_template"), seen.object_id(), seen.text("state_topic")].join(" ");
        for word in ["pressure", "humidity", "battery"] {
            assert!(!words.contains(word), "{word} in {words}");
        }
        assert!(!words.contains("temperature") || seen.unit() == "°C", "{words}");
        assert!(seen.config.get("icon").is_none());
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
    for seen in all() {
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
    let seen = all();
    let common = |one: &str, other: &str| one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let energies = seen.iter().filter(|seen| seen.object_id().ends_with("energy"));
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
    for seen in all() {
        let template = seen.text("value_template");
        let value = value_at(template, &document).unwrap_or_else(|| panic!("{template} leads nowhere"));
        assert!(!value.is_null(), "{template}");
        if seen.unit() == "Wh" {
            assert!(template.starts_with("{{ value_json['"), "{template}");
            assert!(value.is_i64(), "{template} gives {value}");
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
    for seen in all() {
        let topics = &seen.config["availability"];
        assert_eq!(topics[0]["topic"], "enphased/status");
        assert_eq!(topics[1]["topic"], "enphased/122300000000/availability");
        assert_eq!(topics.as_array().unwrap().len(), 2);
        assert_eq!(seen.text("availability_mode"), "all");
    }
}

#[test]
fn inverters_and_batteries_are_devices_behind_the_gateway() {
    for seen in all() {
        let via = seen.config["device"]["via_device"].as_str();
        assert_eq!(via, (seen.device() != "122300000000").then_some("122300000000"));
    }
    let devices: BTreeSet<String> = all().iter().map(|seen| seen.device().to_owned()).collect();
    assert_eq!(devices.len(), 5, "{devices:?}");
}

#[test]
fn only_guarded_totals_are_said_to_increase() {
    for seen in all() {
        let increasing = seen.text("state_class") == "total_increasing";
        let guarded = seen.device() == "122300000000" && seen.object_id().ends_with("_energy");
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
            (&"energy".into(), &"Wh".into())
        );
    }
}

#[test]
fn what_is_not_measured_is_not_announced_and_null_in_the_document() {
    let topics: Vec<String> =
        discovery(&test_readings::bare(), &settings(true)).into_iter().map(|message| message.topic).collect();
    assert!(topics.iter().all(|topic| !topic.contains("grid") && !topic.contains("storage")), "{topics:?}");
    let document = document(&test_readings::bare());
    assert_eq!(document["entities"].get("grid_power"), Some(&Value::Null));
    assert_eq!(document["entities"]["sn482200000001_power"], 245.0);
}

#[test]
fn an_entity_is_announced_once_and_again_when_asked() {
    let (reading, settings) = (test_readings::full(), settings(false));
    let mut announced = Announced::default();
    let messages = |announced: &Announced, names: Vec<String>| -> Vec<Message> {
        names.iter().map(|name| announced.message(name, &settings).unwrap()).collect()
    };
    let first = announced.news(&reading, &settings);
    let first = messages(&announced, first);
    assert_eq!(first, discovery(&reading, &settings));
    assert_eq!(announced.news(&reading, &settings), [""; 0]);
    let by_topic = |messages: Vec<Message>| -> BTreeMap<String, Message> {
        messages.into_iter().map(|message| (message.topic.clone(), message)).collect()
    };
    let again = |announced: &Announced| {
        let names: Vec<String> = announced.names().cloned().collect();
        assert!(names.iter().all(|name| announced.mark(name, &settings).is_some()));
        messages(announced, names)
    };
    // An inverter that is missing in the newest reading is announced too.
    let mut updated = reading;
    updated.inverters.clear();
    announced.news(&updated, &settings);
    assert_eq!(by_topic(again(&announced)), by_topic(first.clone()));
    let topics: BTreeSet<String> =
        announced.names().map(|name| announced.mark(name, &settings).unwrap().0).collect();
    assert_eq!(topics, by_topic(first.clone()).into_keys().collect());

    updated.gateway.firmware = "9.0.1".to_owned();
    let news = announced.news(&updated, &settings);
    let news = messages(&announced, news);
    let all = by_topic([first, news.clone()].concat());
    assert_eq!(by_topic(again(&announced)), all);
    assert!(news.iter().all(|message| message.topic.contains("/122300000000/")) && !news.is_empty());
}

#[test]
fn an_inverter_that_is_gone_is_unknown_and_not_missing() {
    let settings = settings(false);
    let mut announced = Announced::default();
    announced.news(&test_readings::full(), &settings);
    let mut reading = test_readings::full();
    reading.inverters.clear();
    let message = announced.document(&reading, &settings);
    let document: Value = serde_json::from_str(&message.payload).unwrap();
    assert_eq!(document["entities"].get("sn482200000001_power"), Some(&Value::Null));
}
