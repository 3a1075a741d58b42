//! Damages one page of each gateway at random: the gateway is still read, and the values of other pages do not change. Also
//! parses arbitrary data with each wire format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enphased::io::gateway::wire::{
    device_data, energy, ensemble, inventory, inverters, livedata, meters, production, production_html,
    production_json, readings, switches, tariff,
};
use enphased::io::gateway::{Endpoint, Error};
use enphased::rules::sources::{Cycle, Options, Sources};
use fastrand::Rng;
use proptest::prelude::*;
use serde_json::Value;
use tokio::time::Instant;

use super::recordings::{answer, folders, info, name, recordings};

/// The number of times that each page of each gateway is damaged.
const TIMES: u64 = 12;

type Answers = BTreeMap<Endpoint, Vec<u8>>;

/// Returns the document of the second poll, and the responses. `damaged` is a page and its replacement.
fn read(folder: &Path, damaged: Option<(Endpoint, Option<&[u8]>)>) -> (Option<Value>, Answers) {
    let start = Instant::now();
    let mut sources = Sources::new(info(folder), Options { live_data: true, ..Options::default() }, start);
    let mut answers = Answers::new();
    for now in [start, start + Duration::from_secs(300)] {
        sources.begin_cycle(now);
        while let Some(endpoint) = sources.next(now) {
            let body = match damaged {
                Some((page, body)) if page == endpoint => {
                    body.map(<[u8]>::to_vec).ok_or(Error::Failing { status: 500, path: page.path() })
                }
                _ => answer(folder, endpoint),
            };
            sources.take(endpoint, body.as_ref().map(Vec::as_slice), now);
            answers.extend(body.ok().map(|body| (endpoint, body)));
        }
    }
    let document = match sources.cycle("2026-06-21T12:00:00Z".parse().unwrap()) {
        Cycle::Reading(reading) => Some(serde_json::to_value(reading).unwrap()),
        Cycle::NoProduction { rest, .. } => rest.map(|rest| serde_json::to_value(rest).unwrap()),
        Cycle::NotDue | Cycle::Nothing => None,
    };
    (document, answers)
}

/// Returns the values that may change when `endpoint` is damaged. On a site with batteries the house depends on them.
fn groups(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::Meters
        | Endpoint::MeterReadings
        | Endpoint::Production
        | Endpoint::Energy
        | Endpoint::ProductionHtml => &["gateway", "production", "consumption", "grid", "storage", "phases"],
        // It is where AC batteries are seen first.
        Endpoint::ProductionJson => {
            &["gateway", "production", "consumption", "grid", "storage", "phases", "batteries"]
        }
        Endpoint::Inverters | Endpoint::DeviceData => {
            &["inverters", "batteries", "storage", "consumption", "grid", "phases"]
        }
        Endpoint::Inventory => &["batteries"],
        Endpoint::EnsembleInventory => &[
            "batteries",
            "storage",
            "consumption",
            "grid",
            "phases",
            "grid_connection",
            "dry_contacts",
            "generator",
        ],
        Endpoint::EnsemblePower | Endpoint::EnsembleSecctrl | Endpoint::LiveData => {
            &["batteries", "storage", "consumption", "grid"]
        }
        Endpoint::DryContacts | Endpoint::DryContactSettings => &["dry_contacts"],
        Endpoint::EnsembleGenerator => &["generator"],
        Endpoint::Tariff => &["tariff"],
    }
}

/// Returns the body with something removed, nulled, retyped, negated or cut.
fn damage(body: &[u8], rng: &mut Rng) -> Vec<u8> {
    let Ok(mut document) = serde_json::from_slice::<Value>(body) else { return cut(body, rng) };
    if rng.u8(0..6) == 0 {
        return cut(body, rng);
    }
    for _ in 0..rng.usize(1..6) {
        harm(&mut document, rng);
    }
    serde_json::to_vec(&document).unwrap()
}

fn cut(body: &[u8], rng: &mut Rng) -> Vec<u8> {
    body[..rng.usize(0..=body.len())].to_vec()
}

/// Damages the document at a random position.
fn harm(value: &mut Value, rng: &mut Rng) {
    let deeper = rng.u8(0..5) > 0;
    match value {
        Value::Array(rows) if deeper && !rows.is_empty() => {
            let index = rng.usize(0..rows.len());
            if rng.u8(0..8) == 0 {
                rows.remove(index);
            } else {
                harm(&mut rows[index], rng);
            }
        }
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let key = fields.keys().nth(rng.usize(0..fields.len())).unwrap().clone();
            if rng.u8(0..4) == 0 {
                fields.remove(&key);
            } else {
                harm(&mut fields[&key], rng);
            }
        }
        place => *place = other(place, rng),
    }
}

fn other(value: &Value, rng: &mut Rng) -> Value {
    match (rng.u8(0..8), value.as_f64()) {
        (0, _) => Value::Null,
        (1, _) => Value::Bool(rng.bool()),
        (2, _) => Value::Array(vec![value.clone()]),
        (3, _) => serde_json::json!({ "odd": value }),
        (4, _) => Value::String(value.to_string()),
        (5, Some(number)) => (-number).into(),
        (6, Some(_)) => 1e300.into(),
        _ => Value::String("n/a".to_owned()),
    }
}

fn gateways() -> Vec<PathBuf> {
    let mut gateways = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"));
    gateways.extend(recordings().into_iter().flat_map(|folder| folders(&folder.join("sets"))));
    gateways
}

/// Reads `folder` with `endpoint` damaged, and compares the document with the `whole` one.
fn compare(folder: &Path, whole: &Value, endpoint: Endpoint, body: Option<&[u8]>, how: &str) {
    let (document, answers) = read(folder, Some((endpoint, body)));
    let told = || format!("{}, {endpoint:?}, {how}", name(folder));
    let Some(document) = document else {
        let others = answers.keys().filter(|other| **other != endpoint).count();
        assert_eq!(others, 0, "a lost poll: {}", told());
        return;
    };
    for (group, before) in whole.as_object().unwrap() {
        let may_change = groups(endpoint).contains(&group.as_str());
        assert!(may_change || document.get(group) == Some(before), "{group}: {}", told());
    }
}

#[test]
fn a_damaged_page_costs_no_poll_and_no_other_group() {
    for folder in gateways() {
        let (whole, answers) = read(&folder, None);
        for (endpoint, body) in answers {
            for seed in 0..TIMES {
                let body = damage(&body, &mut Rng::with_seed(seed));
                compare(&folder, whole.as_ref().unwrap(), endpoint, Some(&body), &format!("seed {seed}"));
            }
            compare(&folder, whole.as_ref().unwrap(), endpoint, None, "status 500");
        }
    }
}

/// Passes `body` to every parser. None may panic; the results do not matter.
fn parse_as_everything(body: &[u8]) {
    let parsers: [fn(&[u8]) -> bool; 17] = [
        |body| device_data::DeviceData::parse(body).is_ok(),
        |body| energy::Energy::parse(body).is_ok(),
        |body| ensemble::Inventory::parse(body).is_ok(),
        |body| ensemble::Power::parse(body).is_ok(),
        |body| ensemble::Secctrl::parse(body).is_ok(),
        |body| inventory::AcBatteries::parse(body).is_ok(),
        |body| inverters::Inverters::parse(body).is_ok(),
        |body| livedata::LiveData::parse(body).is_ok(),
        |body| meters::Meters::parse(body).is_ok(),
        |body| production::Production::parse(body).is_ok(),
        |body| production_html::ProductionHtml::parse(body).is_ok(),
        |body| production_json::ProductionJson::parse(body).is_ok(),
        |body| readings::Readings::parse(body).is_ok(),
        |body| switches::DryContacts::parse(body).is_ok(),
        |body| switches::Generator::parse(body).is_ok(),
        |body| tariff::Tariff::parse(body).is_ok(),
        |body| enphased::io::gateway::info::Info::parse(body).is_ok(),
    ];
    for parse in parsers {
        parse(body);
    }
}

/// Generates JSON of any shape, with names of the pages among its keys.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("devices:".to_owned()),
        Just("channels".to_owned()),
        Just("production".to_owned()),
        Just("lastReading".to_owned()),
        Just("measurementType".to_owned()),
        Just("timestamp".to_owned()),
        Just("devName".to_owned()),
        Just("type".to_owned()),
        Just("meters".to_owned()),
        Just("tariff".to_owned()),
        "[a-zA-Z_]{1,8}",
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_parser_is_upset_by_any_bytes(body in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_as_everything(&body);
    }

    #[test]
    fn no_parser_is_upset_by_any_json(document in anything()) {
        parse_as_everything(&serde_json::to_vec(&document).unwrap());
    }
}
