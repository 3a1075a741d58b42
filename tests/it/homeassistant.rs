//! Compares every discovery message of every known gateway with what Home Assistant 2024.2 accepts, the oldest version that
//! is supported. It refuses a message with an unknown key of the device, and ignores other unknown keys.
//!
//! The facts in `tests/homeassistant/2024.2.json` are printed by `facts.py` beside them, from the package
//! `homeassistant==2024.2.0`. `tests/homeassistant/run` validates the same messages with that package itself.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::discovery::messages;

/// Keys that 2024.2 ignores: `options` is of 2024.11, `default_entity_id` of 2025.10.
const NEWER: [&str; 2] = ["options", "default_entity_id"];

fn facts() -> Value {
    serde_json::from_str(include_str!("../homeassistant/2024.2.json")).unwrap()
}

/// Returns the texts of a list.
fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Returns the keys of an object.
fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Returns what 2024.2 would not accept in a message.
fn complaints(topic: &str, config: &Value, facts: &Value) -> Vec<String> {
    let component = topic.split('/').nth(1).unwrap();
    let mut complaints = Vec::new();
    let mut unknown = |what: &str, found: BTreeSet<&str>, known: BTreeSet<&str>| {
        complaints.extend(found.difference(&known).map(|key| format!("{what} {key}")));
    };
    let known = texts(&facts["components"][component]);
    unknown("key", keys(config), known.union(&NEWER.into()).copied().collect());
    unknown("key of the device", keys(&config["device"]), texts(&facts["device"]));
    unknown("key of the origin", keys(&config["origin"]), texts(&facts["origin"]));
    for place in config["availability"].as_array().unwrap() {
        unknown("key of the availability", keys(place), texts(&facts["availability"]));
    }
    let text = |key: &str| config[key].as_str().map(|text| BTreeSet::from([text])).unwrap_or_default();
    unknown("mode", text("availability_mode"), texts(&facts["availability_modes"]));
    unknown("category", text("entity_category"), texts(&facts["entity_categories"]));
    // An abbreviation would be taken for another key.
    let abbreviations = texts(&facts["abbreviations"]);
    let taken = keys(config).union(&keys(&config["device"])).copied().collect::<BTreeSet<_>>();
    complaints.extend(taken.intersection(&abbreviations).map(|key| format!("abbreviation {key}")));
    complaints.extend(class_complaints(component, config, facts));
    complaints
}

/// Returns what 2024.2 would complain about a class, a unit or a state class.
fn class_complaints(component: &str, config: &Value, facts: &Value) -> Vec<String> {
    let text = |key: &str| config[key].as_str().unwrap_or_default();
    let (class, unit, state_class) = (text("device_class"), text("unit_of_measurement"), text("state_class"));
    let mut complaints = Vec::new();
    if component == "binary_sensor" {
        let known = class.is_empty() || texts(&facts["binary_sensors"]).contains(class);
        complaints.extend((!known).then(|| format!("class {class}")));
        return complaints;
    }
    if class.is_empty() {
        let known = state_class.is_empty() || state_class == "measurement";
        complaints.extend((!known).then(|| format!("state class {state_class}")));
        return complaints;
    }
    let Some(known) = facts["sensors"].get(class) else { return vec![format!("class {class}")] };
    if !texts(&known["units"]).contains(unit) {
        complaints.push(format!("unit {unit} of {class}"));
    }
    if !state_class.is_empty() && !texts(&known["state_classes"]).contains(state_class) {
        complaints.push(format!("state class {state_class} of {class}"));
    }
    complaints
}

#[test]
fn home_assistant_2024_2_accepts_every_message() {
    let facts = facts();
    let mut found = BTreeSet::new();
    for message in messages() {
        let config: Value = serde_json::from_str(&message.payload).unwrap();
        let complaints = complaints(&message.topic, &config, &facts);
        found.extend(complaints.into_iter().map(|complaint| format!("{complaint} in {}", message.topic)));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_it_does_not_accept_is_found() {
    let facts = facts();
    let topic = "homeassistant/sensor/1223/production_power/config";
    let message =
        messages().into_iter().find(|message| message.topic.ends_with("/production_power/config")).unwrap();
    let whole: Value = serde_json::from_str(&message.payload).unwrap();
    assert_eq!(complaints(topic, &whole, &facts), [""; 0]);
    let complained = |change: fn(&mut Value)| {
        let mut config = whole.clone();
        change(&mut config);
        complaints(topic, &config, &facts)
    };
    assert_eq!(
        complained(|config| config["device"]["model_id"] = "800-00555-r03".into()),
        ["key of the device model_id"]
    );
    assert_eq!(complained(|config| config["unit_of_measurement"] = "Wh".into()), ["unit Wh of power"]);
    assert_eq!(complained(|config| config["state_class"] = "total".into()), ["state class total of power"]);
    assert_eq!(complained(|config| config["device_class"] = "sunshine".into()), ["class sunshine"]);
    assert_eq!(complained(|config| config["entity_category"] = "sun".into()), ["category sun"]);
    assert_eq!(complained(|config| config["uniq_id"] = "1".into()), ["key uniq_id", "abbreviation uniq_id"]);
}
