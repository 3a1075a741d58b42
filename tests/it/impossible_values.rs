//! Checks that impossible values are absent: in every recording, in small cases made from public reports, and in pages with
//! arbitrary numbers.

use std::path::{Path, PathBuf};

use enphased::base::reading::Reading;
use enphased::io::gateway::wire::{
    Malformed, device_data, ensemble, inverters, production_json, readings, switches,
};
use enphased::io::gateway::{Endpoint, Error};
use enphased::rules::sources::{Cycle, Options, Sources};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::recordings::{answer, folders, info, name, recordings};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Reads the gateway in `folder`, with each page passed through `change`; returns the reading and the events.
fn read(
    folder: &Path,
    change: &mut dyn FnMut(Endpoint, Vec<u8>) -> Vec<u8>,
) -> (Option<Reading>, Vec<String>) {
    let now = Instant::now();
    let mut sources = Sources::new(info(folder), Options { live_data: true, ..Options::default() }, now);
    sources.begin_cycle(now);
    while let Some(endpoint) = sources.next(now) {
        let answer = answer(folder, endpoint).map(|body| change(endpoint, body));
        sources.take(endpoint, answer.as_ref().map(Vec::as_slice), now);
    }
    let reading = match sources.cycle("2026-06-21T12:00:00Z".parse().unwrap()) {
        Cycle::Reading(reading) => Some(*reading),
        Cycle::NoProduction { rest, .. } => rest.map(|rest| *rest),
        Cycle::NotDue | Cycle::Nothing => None,
    };
    (reading, sources.notices().into_iter().map(|notice| notice.message).collect())
}

/// Returns the document of one of the small cases, and the events.
fn case(name: &str) -> (Value, Vec<String>) {
    let (reading, said) = read(&fixtures().join("cases").join(name), &mut |_, body| body);
    (serde_json::to_value(reading.unwrap()).unwrap(), said)
}

/// Returns the possible range of a field, by the unit in its name.
fn range(field: &str) -> Option<(f64, f64)> {
    Some(match field {
        "power_factor" => (-1.0, 1.0),
        "max_power_w" => (-50.0, 10_000.0),
        _ if field.ends_with("_wh") => (0.0, 1e12),
        _ if field.ends_with("_w") => (-1e7, 1e7),
        _ if field.ends_with("_percent") => (0.0, 100.0),
        _ if field.ends_with("_v") => (0.0, 1e3),
        _ if field.ends_with("_a") => (-1e4, 1e4),
        _ if field.ends_with("_hz") => (40.0, 70.0),
        _ if field.ends_with("_c") => (-60.0, 120.0),
        _ => return None,
    })
}

/// Returns every impossible value of a document, by its path.
fn impossible(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(format!("{path} is null")),
        Value::Array(rows) => {
            for (index, row) in rows.iter().enumerate() {
                impossible(row, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                impossible(value, &format!("{path}.{field}"), found);
                if let Some((least, most)) = range(field)
                    && !value.as_f64().is_some_and(|number| (least..=most).contains(&number))
                {
                    found.push(format!("{path}.{field} is {value}"));
                }
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks combinations of values that are impossible even if each is in its range.
fn contradictions(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    impossible(document, "", &mut found);
    for phase in document["phases"].as_array().into_iter().flatten() {
        for group in ["production", "grid", "storage"] {
            if phase[group]["voltage_v"].as_f64().is_some_and(|voltage| voltage < 50.0) {
                found.push(format!("{}: {group} without mains", phase["phase"]));
            }
        }
        if phase["consumption"]["power_w"].as_f64().is_some_and(|power| power < -50.0) {
            found.push(format!("{}: a house that gives power", phase["phase"]));
        }
    }
    if document["consumption"]["power_w"].as_f64().is_some_and(|power| power < -50.0) {
        found.push("a house that gives power".to_owned());
    }
    let storage = &document["storage"];
    if let (Some(available), Some(capacity)) =
        (storage["available_wh"].as_f64(), storage["capacity_wh"].as_f64())
        && available > capacity * 1.06
    {
        found.push(format!("{available} Wh in {capacity} Wh"));
    }
    for inverter in document["inverters"].as_array().into_iter().flatten() {
        if inverter["power_w"].as_f64().is_some_and(|power| !(-50.0..=4_000.0).contains(&power)) {
            found.push(format!("inverter of {}", inverter["power_w"]));
        }
    }
    for list in ["inverters", "batteries"] {
        let rows = document[list].as_array().cloned().unwrap_or_default();
        let mut serials: Vec<&str> = rows.iter().map(|row| row["serial"].as_str().unwrap()).collect();
        serials.dedup();
        if serials.len() != rows.len() || serials.iter().any(|serial| serial.len() > 16) {
            found.push(format!("{list}: {serials:?}"));
        }
    }
    found
}

fn gateways() -> Vec<PathBuf> {
    let mut gateways = folders(&fixtures());
    gateways.extend(folders(&fixtures().join("cases")));
    gateways.extend(recordings().into_iter().flat_map(|folder| folders(&folder.join("sets"))));
    gateways
}

#[test]
fn no_gateway_shows_an_impossible_value() {
    for folder in gateways() {
        let (reading, _) = read(&folder, &mut |_, body| body);
        let document = serde_json::to_value(reading.unwrap()).unwrap();
        assert_eq!(contradictions(&document), [""; 0], "{}", name(&folder));
    }
}

/// Numbers that no gateway should send. The last ones are not JSON.
const ODD: [&str; 16] = [
    "1e308",
    "-1e308",
    "1.8e19",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "4294967292",
    "-1",
    "255",
    "65535",
    "-500",
    "0",
    "1e999",
    "nan",
    "-inf",
    "Infinity",
];

/// Returns the page with some of its numbers replaced.
fn distorted(body: &[u8], rng: &mut Rng) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let mut distorted = String::new();
    let mut rest = text.as_ref();
    // Numbers stand behind a colon, a blank or a bracket.
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit() || c == '-') {
        let (before, from) = rest.split_at(at);
        let length = from.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(from.len());
        let (number, after) = from.split_at(length);
        let is_value = before.ends_with([':', ' ', '[', ',']);
        distorted.push_str(before);
        distorted.push_str(if is_value && rng.u8(0..4) == 0 { ODD[rng.usize(0..ODD.len())] } else { number });
        rest = after;
    }
    distorted.push_str(rest);
    distorted.into_bytes()
}

#[test]
fn whatever_the_numbers_what_is_shown_is_possible() {
    let mut odd = 0;
    for folder in gateways() {
        for seed in 0..20 {
            let mut rng = Rng::with_seed(seed);
            let (reading, _) = read(&folder, &mut |_, body| distorted(&body, &mut rng));
            let Some(reading) = reading else { continue };
            let document = serde_json::to_value(reading).unwrap();
            assert_eq!(contradictions(&document), [""; 0], "{}, seed {seed}", name(&folder));
            odd += 1;
        }
    }
    assert!(odd > 200, "{odd} readings");
}

/// Returns a page of about `size` bytes that repeats the same few bytes.
fn filled(head: &str, unit: &str, tail: &str, size: usize) -> Vec<u8> {
    let units = unit.repeat(size / unit.len());
    format!("{head}{}{tail}", units.trim_end_matches(',')).into_bytes()
}

/// Checks the memory of huge pages: a row takes a hundred times the memory of its bytes.
#[test]
fn a_page_of_very_many_small_values_is_refused() {
    type Parser = fn(&[u8]) -> Result<(), Malformed>;
    let parsers: [(&str, &str, Parser); 6] = [
        ("[", "]", |body| inverters::Inverters::parse(body).map(drop)),
        ("[", "]", |body| readings::Readings::parse(body).map(drop)),
        (r#"[{"channels":["#, "]}]", |body| readings::Readings::parse(body).map(drop)),
        (r#"[{"type":"ENCHARGE","devices":["#, "]}]", |body| ensemble::Inventory::parse(body).map(drop)),
        (r#"{"production":[{"lines":["#, "]}]}", |body| {
            production_json::ProductionJson::parse(body).map(drop)
        }),
        (r#"{"devices:":["#, "]}", |body| ensemble::Power::parse(body).map(drop)),
    ];
    for (head, tail, parse) in parsers {
        for unit in ["0,", "{},", "null,", r#""","#] {
            for size in [10_000, 900_000, 4_000_000] {
                let page = filled(head, unit, tail, size);
                let refused = matches!(parse(&page), Err(Malformed::TooLong | Malformed::OtherForm));
                assert!(refused, "{head}{unit}.. of {size} bytes");
            }
        }
        assert_eq!(parse(&filled(head, "{},", tail, 20)), Ok(()), "{head}");
    }
    let device = r#""1":{"devName":"pcu","sn":"1","active":true},"#;
    let devices = |size| device_data::DeviceData::parse(&filled("{", device, "}", size)).map(drop);
    assert_eq!((devices(20_000), devices(60_000)), (Ok(()), Err(Malformed::OtherForm)));
}

/// Checks hostile serial numbers, which are used in topics, file names and messages.
#[test]
fn a_text_that_is_far_too_long_is_none() {
    let long = "7".repeat(70_000);
    let page = format!(
        r#"[{{"serialNumber":"{long}","lastReportDate":1782036000,"lastReportWatts":5}},
        {{"serialNumber":"122310000101","lastReportDate":1782036000,"lastReportWatts":5}}]"#
    );
    let rows = inverters::Inverters::parse(page.as_bytes()).unwrap().0;
    assert_eq!((rows.len(), &rows[0].serial), (2, &None));
    let page = format!(r#"{{"dry_contacts":[{{"id":"NC1","status":"open","load_name":"{long}"}}]}}"#);
    assert_eq!(switches::DryContacts::parse(page.as_bytes()).unwrap().contacts[0].load_name, None);
}

#[test]
fn inverters_that_never_reported_here_are_the_neighbours() {
    let (document, _) = case("neighbours_inverters");
    let powers: Vec<&Value> =
        document["inverters"].as_array().unwrap().iter().map(|row| &row["power_w"]).collect();
    assert_eq!(powers, [102.0, 103.0, 104.0, 105.0]);
}

#[test]
fn a_house_that_a_second_pv_system_feeds_is_absent_and_said_once() {
    let (document, said) = case("second_pv_behind_the_meter");
    assert_eq!(document["consumption"], Value::Null);
    assert_eq!(
        (&document["phases"][0]["consumption"], &document["phases"][1]["consumption"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(document["grid"]["power_w"], -5600.0);
    assert_eq!(document["production"]["energy_wh"], 7_000_000);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("is negative"), "{said:?}");
}

#[test]
fn phases_that_are_not_connected_are_absent() {
    let (document, _) = case("one_phase_of_three");
    let phases = document["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 1, "{phases:?}");
    assert_eq!((&phases[0]["phase"], &phases[0]["production"]["voltage_v"]), (&json!("L1"), &json!(234.9)));
}

#[test]
fn an_inverter_shows_its_newest_report_and_none_of_years_ago() {
    let (document, _) = case("inverters_of_all_ages");
    let powers: Vec<&Value> =
        document["inverters"].as_array().unwrap().iter().map(|row| &row["power_w"]).collect();
    assert_eq!(powers, [&json!(150.0), &json!(155.0), &Value::Null, &json!(160.0)]);
    assert_eq!(document["inverters"][2]["max_power_w"], 131.0);
}

#[test]
fn a_live_page_that_was_never_updated_takes_no_value_away() {
    let (document, _) = case("live_values_before_the_first");
    assert_eq!(
        (&document["storage"]["soc_percent"], &document["storage"]["power_w"]),
        (&json!(65.0), &json!(450.0))
    );
    assert_eq!(document["consumption"]["power_w"], 2160.0);
}

#[test]
fn storage_is_of_all_batteries() {
    let (document, _) = case("batteries_of_two_kinds");
    let storage = &document["storage"];
    assert_eq!((&storage["available_wh"], &storage["capacity_wh"]), (&json!(2820), &json!(6000)));
    assert_eq!((&storage["soc_percent"], &storage["power_w"]), (&json!(47.0), &json!(-420.0)));
    assert_eq!(document["consumption"]["power_w"], 330.0);
    assert_eq!(document["batteries"].as_array().unwrap().len(), 3);
}

#[test]
fn the_capacity_of_one_kind_is_not_shown_as_that_of_both() {
    let folder = fixtures().join("cases/batteries_of_two_kinds");
    for capacity in ["3500", "412", "\"n/a\""] {
        let (reading, _) = read(&folder, &mut |_, body| {
            let page = String::from_utf8(body).unwrap();
            page.replace(r#""Max_energy": 6000"#, &format!(r#""Max_energy": {capacity}"#)).into_bytes()
        });
        let storage = reading.unwrap().storage.unwrap();
        assert_eq!(storage.capacity_wh, None, "{capacity}");
        assert_eq!(storage.available_wh.unwrap().whole(), 2820);
    }
}

/// Returns the storage of a gateway with two batteries, with one page changed.
fn storage_with(changed: Endpoint, change: impl Fn(String) -> String) -> Value {
    let (reading, _) = read(&fixtures().join("cases/live_values_before_the_first"), &mut |endpoint, body| {
        if endpoint == changed { change(String::from_utf8(body).unwrap()).into_bytes() } else { body }
    });
    serde_json::to_value(reading.unwrap()).unwrap()
}

#[test]
fn the_power_of_one_battery_is_not_that_of_both() {
    let one = |page: String| page.replace("122320001502", "122320009999");
    assert_eq!(storage_with(Endpoint::EnsemblePower, |page| page)["storage"]["power_w"], 450.0);
    let document = storage_with(Endpoint::EnsemblePower, one);
    assert_eq!(document["storage"]["power_w"], Value::Null);
    assert_eq!(document["consumption"]["power_w"], Value::Null, "it lacks what a battery gives");
    let odd = |page: String| page.replace("220000", "\"n/a\"");
    assert_eq!(storage_with(Endpoint::EnsemblePower, odd)["storage"]["power_w"], Value::Null);
}

#[test]
fn a_battery_listed_twice_is_one_and_one_that_never_reported_is_none() {
    let twice = |page: String| page.replace("122320001502", "122320001501").replace("66", "64");
    let document = storage_with(Endpoint::EnsembleInventory, twice);
    assert_eq!(document["batteries"].as_array().unwrap().len(), 1);
    let never = |page: String| {
        let (first, second) = page.split_once("122320001502").unwrap();
        format!("{first}122320001502{}", second.replacen("1782036860", "0", 1))
    };
    let document = storage_with(Endpoint::EnsembleInventory, never);
    assert_eq!(document["batteries"].as_array().unwrap().len(), 1, "{}", document["batteries"]);
}

#[test]
fn a_page_that_has_not_heard_of_the_batteries_says_nothing_of_them() {
    let zeros = |page: String| page.replace("65", "0").replace("10000", "0").replace("6500", "0");
    let document = storage_with(Endpoint::EnsembleSecctrl, zeros);
    let storage = &document["storage"];
    assert_eq!((&storage["soc_percent"], &storage["available_wh"]), (&json!(65.0), &Value::Null));
    assert_eq!(storage["capacity_wh"], 10_000, "by each of them");
}

#[test]
fn the_house_uses_what_a_third_party_makes() {
    let (document, _) = case("third_party_pv");
    let house = &document["consumption"];
    assert_eq!((&house["power_w"], &house["energy_wh"]), (&json!(4000.0), &json!(7_500_000)));
    let phases = document["phases"].as_array().unwrap();
    let on_phases: Vec<&Value> = phases.iter().map(|phase| &phase["consumption"]["power_w"]).collect();
    assert_eq!(on_phases, [2000.0, 2000.0]);
    assert_eq!(document["production"]["power_w"], 2000.0, "the gateway's own production");
}

#[test]
fn a_source_of_the_house_that_is_not_read_leaves_the_house_out() {
    let folder = fixtures().join("cases/third_party_pv");
    let (reading, _) = read(&folder, &mut |endpoint, body| match endpoint {
        Endpoint::MeterReadings => {
            String::from_utf8(body).unwrap().replace("704645120", "1023410688").into_bytes()
        }
        _ => body,
    });
    let reading = reading.unwrap();
    assert_eq!(reading.consumption, None);
    assert!(reading.production.is_some() && reading.grid.is_some());
}

/// Checks the gateway's own sum of the house, which combines its production meter and the grid meter.
#[test]
fn production_json_does_not_stand_in_for_a_source_that_it_lacks() {
    const ROWS: &str = r#"{"production":[{"type":"eim","activeCount":1,"measurementType":"production",
        "readingTime":1782036899,"wNow":2000.0,"whLifetime":4000000.0,"lines":[{"wNow":1000,"rmsVoltage":120},
        {"wNow":1000,"rmsVoltage":120}]}],"consumption":[{"type":"eim","activeCount":1,"measurementType":
        "total-consumption","readingTime":1782036899,"wNow":2000.0,"whLifetime":4500000.0,"lines":[{"wNow":1000,
        "rmsVoltage":120},{"wNow":1000,"rmsVoltage":120}]},{"type":"eim","activeCount":1,"measurementType":
        "net-consumption","readingTime":1782036899,"wNow":0.0,"whLifetime":500000.0}]}"#;
    let folder = fixtures().join("cases/third_party_pv");
    for kind in ["pv3p", "storage"] {
        let now = Instant::now();
        let mut sources = Sources::new(info(&folder), Options::default(), now);
        let mut reading = None;
        // The list of meters is read once and fails later.
        for minute in [0, 1, 2, 300, 301] {
            let now = now + std::time::Duration::from_secs(60 * minute);
            sources.begin_cycle(now);
            while let Some(endpoint) = sources.next(now) {
                let page = match endpoint {
                    Endpoint::Meters if minute == 0 => answer(&folder, endpoint)
                        .map(|body| String::from_utf8(body).unwrap().replace("pv3p", kind).into_bytes()),
                    Endpoint::Meters | Endpoint::MeterReadings => {
                        Err(Error::Failing { status: 500, path: endpoint.path() })
                    }
                    Endpoint::ProductionJson => Ok(ROWS.as_bytes().to_vec()),
                    _ => answer(&folder, endpoint),
                };
                sources.take(endpoint, page.as_ref().map(Vec::as_slice), now);
            }
            if let Cycle::Reading(newest) = sources.cycle("2026-06-21T12:00:00Z".parse().unwrap()) {
                assert_eq!(newest.consumption, None, "{kind}, minute {minute}");
                assert!(
                    newest.phases.iter().all(|phase| phase.consumption.is_none()),
                    "{kind}, minute {minute}"
                );
                reading = Some(newest);
            }
        }
        assert!(reading.unwrap().production.is_some(), "{kind}: the page was read");
    }
}

#[test]
fn an_inverter_with_two_panels_is_the_sum_of_both() {
    let (document, _) = case("inverter_with_two_panels");
    let both = &document["inverters"][0];
    assert_eq!((&both["power_w"], &both["max_power_w"]), (&json!(380.0), &json!(615.0)));
    assert_eq!((&both["energy_wh"], &both["dc_voltage_v"]), (&json!(3_944_444), &Value::Null));
    assert_eq!(document["inverters"][1]["dc_voltage_v"], 32.5);
}
