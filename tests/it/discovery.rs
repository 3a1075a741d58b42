//! Compares every discovery message of every known gateway with the behaviour of Domoticz V2025.1, which was found by
//! experiment, and with what Home Assistant 2024.2 accepts: each rule is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use enphased::app::config::environment::Environment;
use enphased::base::message::{Message, Qos};
use enphased::base::reading::Reading;
use enphased::output::homeassistant::{Discovery, discovery, document, entities, gateway_name};
use serde_json::Value;

use crate::recordings::{folders, name, read, recordings};

/// A discovery message with its payload parsed.
struct Seen {
    topic: String,
    retained: bool,
    sure: bool,
    config: Value,
}

impl Seen {
    fn new(message: &Message) -> Self {
        Self {
            topic: message.topic.clone(),
            retained: message.retain,
            sure: message.qos == Qos::AtLeastOnce,
            config: serde_json::from_str(&message.payload).unwrap(),
        }
    }

    fn text(&self, key: &str) -> &str {
        self.config[key].as_str().unwrap_or_default()
    }

    fn unit(&self) -> &str {
        self.text("unit_of_measurement")
    }

    fn object_id(&self) -> &str {
        self.topic.rsplit('/').nth(1).unwrap()
    }

    fn device(&self) -> &str {
        self.config["device"]["identifiers"][0].as_str().unwrap()
    }
}

/// The messages of one gateway, and its state document.
struct Case {
    name: String,
    seen: Vec<Seen>,
    document: Value,
}

pub(crate) fn settings(details: bool) -> Discovery {
    Discovery {
        discovery_prefix: "homeassistant".to_owned(),
        prefix: "enphased".to_owned(),
        expire_after: Duration::from_secs(600),
        inverters: true,
        details,
        several: false,
        configuration_url: Some("http://solar.local:8480".to_owned()),
    }
}

fn case(name: &str, reading: &Reading, settings: &Discovery) -> Case {
    let seen = discovery(reading, settings).iter().map(Seen::new).collect();
    let document = document(reading, settings, entities(reading, settings), &[]).payload;
    Case {
        name: format!("{name}, details {}", settings.details),
        seen,
        document: serde_json::from_str(&document).unwrap(),
    }
}

/// Returns each gateway of `fixtures/` and each recorded one.
fn readings() -> Vec<(String, Reading)> {
    let ours = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"));
    let recorded = recordings().map(|folder| folders(&folder.join("sets"))).unwrap_or_default();
    let read = |folder: &std::path::PathBuf| Some((name(folder), read(folder)?));
    let readings: Vec<(String, Reading)> = ours.iter().chain(&recorded).filter_map(read).collect();
    assert!(readings.len() >= 6, "{} gateways were read", readings.len());
    readings
}

/// Returns the discovery messages of all gateways, with details.
pub(crate) fn messages() -> Vec<Message> {
    readings().iter().flat_map(|(_, reading)| discovery(reading, &settings(true))).collect()
}

/// Returns all gateways with and without details, and with longer names.
fn cases() -> Vec<Case> {
    let readings = readings();
    let cases = readings.iter().flat_map(|(name, reading)| {
        let mut named = reading.clone();
        named.gateway.name = Some("W".repeat(gateway_name::LONGEST));
        [
            case(name, reading, &settings(false)),
            case(name, reading, &settings(true)),
            case(&format!("{name} with the longest name"), &named, &settings(true)),
            case(&format!("{name} beside another"), reading, &Discovery { several: true, ..settings(true) }),
        ]
    });
    let cases: Vec<Case> = cases.collect();
    assert!(cases.iter().any(|case| case.seen.len() > 50));
    cases
}

/// Returns the value that Domoticz finds with a template: it supports a path with only dots or only brackets.
fn found<'a>(template: &str, document: &'a Value) -> Option<&'a Value> {
    let path = template.strip_prefix("{{ value_json")?.strip_suffix(" }}")?;
    let keys: Vec<&str> = match path.strip_prefix('.') {
        Some(dotted) => dotted.split('.').collect(),
        None => path.strip_prefix("['")?.strip_suffix("']")?.split("']['").collect(),
    };
    let plain = |key: &&str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    keys.iter().all(plain).then_some(())?;
    keys.into_iter().try_fold(document, |value, key| value.get(key))
}

/// A rule, which returns a description of the violation.
type Rule = fn(&Case, &Seen) -> Result<(), String>;

/// The rules about every message, each with its description.
const RULES: &[(&str, Rule)] = &[
    ("topic <prefix>/<component>/<node>/<object>/config, of a component that is known", |_, seen| {
        let levels: Vec<&str> = seen.topic.split('/').collect();
        ok(matches!(levels[..], ["homeassistant", "sensor" | "binary_sensor", _, _, "config"]), &seen.topic)
    }),
    ("device and entity fit into 26 characters", |_, seen| {
        let device = seen.config["device"]["name"].as_str().unwrap_or_default();
        let shown = format!("{device} ({})", seen.text("name"));
        ok(shown.chars().count() <= 26, &shown)
    }),
    ("names and entity ids on a device differ", |case, seen| {
        let same = |key: &str| {
            let equal = |other: &&Seen| other.device() == seen.device() && other.text(key) == seen.text(key);
            case.seen.iter().filter(equal).count()
        };
        ok(same("name") == 1 && same("default_entity_id") == 1, seen.text("name"))
    }),
    ("only one-way powers and details are disabled", |case, seen| {
        let one_way =
            ["grid_import_power", "grid_export_power", "storage_charge_power", "storage_discharge_power"];
        let disabled = seen.config.get("enabled_by_default") == Some(&Value::Bool(false));
        let fine = one_way.contains(&seen.object_id()) == disabled || case.name.ends_with("details false");
        ok(fine, seen.object_id())
    }),
    ("an icon where there is no class, and for enumerations", |_, seen| {
        let class = seen.text("device_class");
        let needed = seen.unit().is_empty() && ["", "enum"].contains(&class);
        ok(!needed || seen.text("icon").starts_with("mdi:"), seen.object_id())
    }),
    ("kept, with QoS 1", |_, seen| ok(seen.retained && seen.sure, &seen.topic)),
    ("no device-based discovery", |_, seen| {
        ok(seen.config.get("components").is_none() && seen.config.get("cmps").is_none(), "components")
    }),
    ("name, unique_id, state_topic, template, a device with one identifier and a name", |_, seen| {
        let there = ["name", "unique_id", "state_topic", "default_entity_id"]
            .iter()
            .all(|key| !seen.text(key).is_empty());
        let device = &seen.config["device"];
        let named = device["name"].as_str().is_some_and(|name| !name.is_empty());
        ok(there && named && device["identifiers"].as_array().is_some_and(|ids| ids.len() == 1), "incomplete")
    }),
    ("a name of its own, without markup, not the device's", |_, seen| {
        let (name, device) = (seen.text("name"), seen.config["device"]["name"].as_str().unwrap_or_default());
        ok(name != device && !name.contains(['<', '>']) && !device.contains(['<', '>']), name)
    }),
    ("names and ids within 300 characters", |_, seen| {
        ok(seen.text("name").len() <= 300 && seen.text("unique_id").len() <= 300, seen.text("name"))
    }),
    ("unique ids are unique, and none is the beginning of another", |case, seen| {
        let id = seen.text("unique_id");
        let clash = case.seen.iter().filter(|other| other.text("unique_id").starts_with(id)).count();
        ok(clash == 1, id)
    }),
];

/// The rules about the messages that Domoticz does not ignore.
const DOMOTICZ: &[(&str, Rule)] = &[
    ("of several availability topics the last counts, and it is the gateway's", |_, seen| {
        let last = seen.config["availability"].as_array().and_then(|list| list.last()).map(|it| &it["topic"]);
        ok(last.and_then(Value::as_str).is_some_and(|it| it.ends_with("/availability")), &format!("{last:?}"))
    }),
    ("the unit decides the type: none that is mistaken", |_, seen| {
        ok(["W", "kWh", "V", "A", "Hz", "%", "°C", ""].contains(&seen.unit()), seen.unit())
    }),
    ("no unit: a word that never looks like a number", |case, seen| {
        let value = found(seen.text("value_template"), &case.document);
        let word = value.and_then(Value::as_str).unwrap_or_default();
        let fine = !seen.unit().is_empty() || word.starts_with(|c: char| c.is_ascii_alphabetic());
        ok(fine && !["unknown", "None"].contains(&word), word)
    }),
    ("no word changes the type", |_, seen| {
        let words = [seen.text("value_template"), seen.object_id(), seen.text("state_topic")].join(" ");
        let pressure = words.contains("pressure") || words.contains("humidity");
        ok(!pressure && (!words.contains("temperature") || seen.unit() == "°C"), &words)
    }),
    ("no icon that changes the type", |_, seen| {
        let icon = seen.text("icon");
        ok(!["molecule", "water", "gas", "pulse"].iter().any(|word| icon.contains(word)), icon)
    }),
    ("one temperature and no humidity on a device, which would be merged", |case, seen| {
        let same = |other: &&Seen| other.device() == seen.device() && other.unit() == "°C";
        ok(case.seen.iter().filter(same).count() <= 1, seen.device())
    }),
    ("no object id is left without its power", |_, seen| {
        ok(
            !["power_a", "power_b", "power_c"].iter().any(|part| seen.object_id().starts_with(part)),
            seen.object_id(),
        )
    }),
    ("each energy finds the power of its own name by the longest common beginning", |case, seen| {
        if seen.unit() != "kWh" {
            return Ok(());
        }
        let id = seen.text("unique_id");
        let common = |other: &str| id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let mine = |other: &&Seen| {
            other.unit() == "W" && other.device() == seen.device() && !is_ignored(other.object_id())
        };
        let mut powers: Vec<(usize, &str)> = case
            .seen
            .iter()
            .filter(mine)
            .map(|it| (common(it.text("unique_id")), it.text("unique_id")))
            .collect();
        powers.sort_unstable();
        let best = powers.pop();
        let alone = powers.last().is_none_or(|second| Some(second.0) < best.map(|best| best.0));
        ok(
            alone && best.is_some_and(|best| best.1 == id.replace("energy", "power")),
            &format!("{id}: {best:?}"),
        )
    }),
    ("an energy is a lifetime counter, not one that is 0 at midnight", |_, seen| {
        ok(
            seen.unit() != "kWh"
                || (seen.object_id().ends_with("energy") && !seen.object_id().contains("today")),
            seen.object_id(),
        )
    }),
    ("the state is one JSON document", |_, seen| {
        ok(seen.text("state_topic").ends_with("/reading"), seen.text("state_topic"))
    }),
    (
        "a template is a path to a value: no filter, no arithmetic, no condition, nothing mixed",
        |case, seen| {
            // Only a power is announced without a value, with its energy.
            let value = found(seen.text("value_template"), &case.document);
            let known = value.is_some_and(|value| !value.is_null());
            let plain = seen.text("value_template").starts_with("{{ value_json.entities.");
            ok(known || seen.unit() == "W" && plain, seen.text("value_template"))
        },
    ),
    ("brackets for energies, dots for what has decimals", |_, seen| {
        let bracket = seen.text("value_template").contains('[');
        ok(bracket == (seen.unit() == "kWh"), seen.text("value_template"))
    }),
    ("energies are exact to the Wh in every number of digits from 12", |case, seen| {
        let value = found(seen.text("value_template"), &case.document).and_then(Value::as_f64);
        let exact = value.is_some_and(|kwh| (kwh * 1000.0 - (kwh * 1000.0).round()).abs() < 1e-3);
        ok(seen.unit() != "kWh" || exact, &format!("{value:?}"))
    }),
    ("powers are whole watts, and production is not below 0", |case, seen| {
        let value = found(seen.text("value_template"), &case.document);
        let whole = value.is_none_or(|value| value.is_null() || value.is_i64());
        let sun = seen.object_id().ends_with("production_power");
        let night = sun && value.and_then(Value::as_i64).is_some_and(|watts| watts < 0);
        ok(seen.unit() != "W" || whole && !night, &format!("{value:?}"))
    }),
    ("a value behind dots is exact in six digits, or in nine where six are too few", |case, seen| {
        let Some(number) = found(seen.text("value_template"), &case.document).and_then(Value::as_f64) else {
            return Ok(());
        };
        let digits = format!("{number}").chars().filter(char::is_ascii_digit).count();
        let fine = seen.unit() == "kWh" || number.fract() == 0.0 && number.abs() < 1e6 || digits <= 9;
        ok(fine, &format!("{} is {number}", seen.object_id()))
    }),
    ("a number is a number: no NaN, no word", |case, seen| {
        let value = found(seen.text("value_template"), &case.document);
        let number = value.is_none_or(|value| value.is_number() || value.is_null());
        ok(seen.unit().is_empty() || number, &format!("{value:?}"))
    }),
];

/// Returns whether Domoticz ignores an object id (tested with V2025.1).
fn is_ignored(id: &str) -> bool {
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
    names.contains(&id)
        || parts.iter().any(|part| id.contains(part))
        || ["min_", "max_", "action", "click"].iter().any(|part| id.starts_with(part))
        || ["_min", "_max"].iter().any(|part| id.ends_with(part))
}

fn ok(holds: bool, words: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(words.to_owned()) }
}

#[test]
fn every_message_of_every_gateway_keeps_every_rule() {
    let mut broken = BTreeSet::new();
    for case in cases() {
        for seen in &case.seen {
            let visible = !is_ignored(seen.object_id());
            for (rule, holds) in RULES.iter().chain(DOMOTICZ.iter().filter(|_| visible)) {
                if let Err(words) = holds(&case, seen) {
                    broken.insert(format!("{rule}: {words} ({} of {})", seen.topic, case.name));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// `tests/homeassistant/run` validates them with Home Assistant itself.
#[test]
fn every_message_is_written_to_a_file() {
    let line = |message: &Message| {
        serde_json::json!({ "topic": message.topic, "payload": message.payload }).to_string() + "\n"
    };
    let lines: String = messages().iter().map(line).collect();
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("discovery.jsonl"), lines).unwrap();
}

#[test]
fn no_root_key_of_any_document_has_a_meaning_for_domoticz() {
    for case in cases() {
        for taken in ["battery", "linkquality", "state", "value", "brightness", "color"] {
            assert!(case.document.get(taken).is_none(), "{taken} in {}", case.name);
        }
    }
}

#[test]
fn what_domoticz_would_misinterpret_is_hidden_from_it() {
    for case in cases() {
        for seen in &case.seen {
            let id = seen.text("unique_id");
            let misinterpreted =
                ["_today", "_capacity", "_available", "_at", "firmware", "max_power", "reachable"];
            let hidden = is_ignored(seen.object_id());
            assert!(hidden || !misinterpreted.iter().any(|end| id.ends_with(end)), "{} of {}", id, case.name);
            assert!(hidden || seen.topic.starts_with("homeassistant/sensor/"), "{}", seen.topic);
        }
    }
}

#[test]
fn a_house_without_a_battery_has_no_entities_of_storage() {
    let mut houses = 0;
    for case in cases() {
        let root = case.document.as_object().unwrap();
        if root.contains_key("storage") || root.contains_key("batteries") {
            continue;
        }
        houses += 1;
        let storage =
            |seen: &&Seen| seen.object_id().contains("storage") || seen.object_id().contains("charge");
        let ids: Vec<&str> = case.seen.iter().filter(storage).map(Seen::object_id).collect();
        assert!(ids.is_empty(), "{ids:?} in {}", case.name);
    }
    assert!(houses > 0);
}

#[test]
fn details_only_decide_what_is_enabled() {
    let mut by_name: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for case in cases() {
        let name = case.name.split_once(',').unwrap().0.to_owned();
        let enabled = case.seen.iter().filter(|seen| seen.config.get("enabled_by_default").is_none()).count();
        by_name.entry(name).or_default().push((case.seen.len(), enabled));
    }
    let both = || by_name.values().filter_map(|counts| Some((counts.first()?, counts.get(1)?)));
    assert!(both().count() >= 6 && both().all(|(lean, full)| lean.0 == full.0 && lean.1 <= full.1));
    assert!(both().any(|(lean, full)| lean.1 < full.1));
    let config =
        enphased::app::config::complete("[mqtt]\nhomeassistant = true", None, &Environment::default())
            .unwrap();
    assert!(!config.mqtt.unwrap().details);
}
