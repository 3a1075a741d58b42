//! Reads every recorded gateway, and compares its reading with that of the reference library. The recordings are private data
//! outside the repository, in the folder `$ENPHASED_RECORDINGS`. The gateways in `fixtures/` are invented, and their readings
//! are snapshots.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enphased::base::reading::Reading;
use enphased::io::gateway::info::Info;
use enphased::io::gateway::{Endpoint, Error};
use enphased::rules::sources::{Cycle, Options, Sources};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

/// Returns the folder of recorded gateways, `$ENPHASED_RECORDINGS`. Without that variable the calling test is reported as
/// skipped: on stderr, and in the file `$ENPHASED_SKIPPED`, which `tests/run` prints at its end.
pub(crate) fn recordings() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("ENPHASED_RECORDINGS").map(PathBuf::from) else {
        report_skipped();
        return None;
    };
    assert!(folder.join("sets").is_dir(), "ENPHASED_RECORDINGS has no folder sets: {}", folder.display());
    Some(folder)
}

fn report_skipped() {
    // libtest names each test's thread after the test.
    let line = format!("{}\n", std::thread::current().name().unwrap_or("a test"));
    // The handle itself, because libtest captures the output of eprint!.
    std::io::stderr().write_all(format!("without recordings: {line}").as_bytes()).unwrap();
    if let Some(list) = std::env::var_os("ENPHASED_SKIPPED") {
        let mut list = fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        list.write_all(line.as_bytes()).unwrap();
    }
}

pub(crate) fn folders(under: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(under).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("info").is_file()).collect();
    folders.sort();
    folders
}

pub(crate) fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Returns the identity of a recorded gateway.
pub(crate) fn info(folder: &Path) -> Info {
    Info::parse(&fs::read(folder.join("info")).unwrap()).unwrap()
}

/// Returns the recorded response of a gateway.
pub(crate) fn answer(folder: &Path, endpoint: Endpoint) -> Result<Vec<u8>, Error> {
    let path = endpoint.path();
    let named = |path: &str| path.trim_start_matches('/').replace(['/', '?', '=', '&'], "_");
    // A page replaces its detailed version, and the reverse, if only one of them was recorded.
    let twin = path.split('?').next().unwrap().replace("inventory.json", "inventory");
    let file = [named(path), named(&twin)].into_iter().find(|name| folder.join(name).exists());
    let Some(file) = file else { return Err(Error::Missing { path }) };
    let log = fs::read(folder.join(format!("{file}_log.json"))).ok();
    let code = log.and_then(|log| serde_json::from_slice::<Value>(&log).ok()?.get("code")?.as_u64());
    match code.unwrap_or(200) {
        200 => fs::read(folder.join(file)).map_err(|_gone| Error::Missing { path }),
        404 => Err(Error::Missing { path }),
        401 | 403 => Err(Error::Forbidden { status: 401, path }),
        _ => Err(Error::Failing { status: 500, path }),
    }
}

/// Polls once; returns the requested pages and the reading.
fn poll(sources: &mut Sources, folder: &Path, now: Instant) -> (Vec<Endpoint>, Option<Reading>) {
    let mut asked = Vec::new();
    sources.begin_cycle(now);
    while let Some(endpoint) = sources.next(now) {
        assert!(!asked.contains(&endpoint), "{endpoint:?} is asked twice in one cycle");
        asked.push(endpoint);
        let answer = answer(folder, endpoint);
        sources.take(endpoint, answer.as_ref().map(Vec::as_slice), now);
    }
    let reading = match sources.cycle("2026-06-21T12:00:00Z".parse().unwrap()) {
        Cycle::Reading(reading) => Some(*reading),
        Cycle::NoProduction { rest, .. } => rest.map(|rest| *rest),
        Cycle::NotDue | Cycle::Nothing => None,
    };
    (asked, reading)
}

/// Polls twice, like a daemon; returns the result of the second poll.
pub(crate) fn read(folder: &Path) -> Option<Reading> {
    let start = Instant::now();
    let mut sources = Sources::new(info(folder), Options::default(), start);
    poll(&mut sources, folder, start).1
}

const SECONDS: &str =
    "the reference takes it from production.json, seconds to minutes apart; we from the meters";
const DEAD_PHASES: &[&str] = &["L2 power", "L2 voltage", "L3 power", "L3 voltage"];
const NO_MAINS: &str =
    "the reference shows phases of 6 V and 11 V, which are not connected; we leave them out";
const PUT_TOGETHER: &str = "production.json and the meters are of two different systems here; we follow the meters, as the reference's own `ctmeters` do";

/// The known differences from the reference, each with its reason.
const KNOWN: &[(&str, &[&str], &str)] = &[
    (
        "4.2.33",
        &["inverter power"],
        "the reference shows what inverters reported years ago; we show no power that is more than a day old",
    ),
    ("7.3.466_with_cts_3phase", DEAD_PHASES, NO_MAINS),
    ("7.6.175_with_cts_3phase", DEAD_PHASES, NO_MAINS),
    ("4.10.35", &["house power", "house energy"], SECONDS),
    ("7.3.130_no_consumption", &["production power", "production energy"], SECONDS),
    (
        "7.3.466_with_cts_3phase",
        &["production power", "production energy", "house power", "house energy"],
        PUT_TOGETHER,
    ),
    ("7.6.175_with_cts", &["house power", "house energy"], SECONDS),
    (
        "7.6.175_with_cts_3phase",
        &["production power", "production energy", "house power", "house energy"],
        PUT_TOGETHER,
    ),
    (
        "7.3.517_legacy_savings_mode",
        &["tariff"],
        "the reference renames the mode as newer firmware would call it; we keep the gateway's word",
    ),
    (
        "7.6.185_with_cts_and_battery_3t",
        &["house power", "house energy"],
        "production.json leaves the battery out, and is seconds apart; we add what it gave and take off what it took",
    ),
    (
        "8.2.127_with_3cts_and_battery_split",
        &["house power", "house energy"],
        "production.json counts what charges the batteries (641 W, 697 kWh so far) as used by the house; we do not",
    ),
    ("8.2.4345_with_device_data", &["production power", "house power", "house energy"], SECONDS),
    (
        "8.3.5169_ACB_inventory",
        &["house power", "house energy"],
        "the gateway's own total is 0.5 % below produced + imported - exported of its own meters; we follow these",
    ),
    (
        "8.3.5169_with_generator",
        &["production power", "production energy", "house power", "house energy"],
        SECONDS,
    ),
    ("8.3.5433_tot_is_net_cons", &["production power", "house power", "house energy"], SECONDS),
];

/// A recording and its differences from the reference.
type Place = (String, String);

struct Comparison {
    set: String,
    differences: BTreeMap<Place, String>,
}

impl Comparison {
    /// `ours` as it is published.
    fn number(&mut self, what: &str, ours: Option<impl Serialize>, theirs: &Value) {
        let Some(theirs) = theirs.as_f64() else { return };
        let ours = ours.and_then(|ours| serde_json::to_value(ours).unwrap().as_f64());
        if ours.is_none_or(|ours| (ours - theirs).abs() > 1.0) {
            self.differs(what, &format!("{ours:?} instead of {theirs}"));
        }
    }

    fn differs(&mut self, what: &str, how: &str) {
        self.differences.insert((self.set.clone(), what.to_owned()), how.to_owned());
    }
}

fn compare(set: &str, reading: Option<&Reading>, oracle: &Value) -> BTreeMap<Place, String> {
    let mut it = Comparison { set: set.to_owned(), differences: BTreeMap::new() };
    let Some(reading) = reading else {
        it.differs("reading", "none");
        return it.differences;
    };
    let data = &oracle["data"];
    compare_production(&mut it, reading, data);
    compare_meters(&mut it, reading, data);
    compare_inverters(&mut it, reading, data);
    compare_batteries(&mut it, reading, data);
    it.differences
}

fn compare_production(it: &mut Comparison, reading: &Reading, data: &Value) {
    let production = reading.production.as_ref();
    let theirs = &data["system_production"];
    it.number("production power", production.and_then(|p| p.power_w), &theirs["watts_now"]);
    let energy = production.and_then(|p| p.energy_wh);
    it.number("production energy", energy, &theirs["watt_hours_lifetime"]);
    let theirs = &data["system_consumption"];
    let ours = reading.consumption.as_ref();
    it.number("house power", ours.and_then(|c| c.power_w), &theirs["watts_now"]);
    it.number("house energy", ours.and_then(|c| c.energy_wh), &theirs["watt_hours_lifetime"]);
}

fn compare_meters(it: &mut Comparison, reading: &Reading, data: &Value) {
    let meter = |kind: &str| Some(&data["ctmeters"][kind]).filter(|meter| meter["state"] == "enabled");
    if let Some(theirs) = meter("production") {
        let ours = reading.production.as_ref();
        it.number("meter power", ours.and_then(|p| p.power_w), &theirs["active_power"]);
        it.number("meter energy", ours.and_then(|p| p.energy_wh), &theirs["energy_delivered"]);
    }
    if let Some(theirs) = meter("net-consumption") {
        let ours = reading.grid.as_ref();
        it.number("grid power", ours.and_then(|g| g.power_w), &theirs["active_power"]);
        it.number("import", ours.and_then(|g| g.import_wh), &theirs["energy_delivered"]);
        it.number("export", ours.and_then(|g| g.export_wh), &theirs["energy_received"]);
    }
    if let Some(theirs) = meter("total-consumption") {
        let ours = reading.consumption.as_ref();
        it.number("house power", ours.and_then(|c| c.power_w), &theirs["active_power"]);
        it.number("house energy", ours.and_then(|c| c.energy_wh), &theirs["energy_delivered"]);
    }
    if let Some(theirs) = meter("storage") {
        let ours = reading.storage.as_ref();
        it.number("storage power", ours.and_then(|s| s.power_w), &theirs["active_power"]);
        it.number("discharged", ours.and_then(|s| s.discharged_wh), &theirs["energy_delivered"]);
        it.number("charged", ours.and_then(|s| s.charged_wh), &theirs["energy_received"]);
    }
    for (index, place) in ["L1", "L2", "L3"].iter().enumerate() {
        let theirs = &data["ctmeters_phases"]["production"][place];
        let ours = reading.phases.get(index).and_then(|phase| phase.production.as_ref());
        it.number(&format!("{place} power"), ours.and_then(|p| p.power_w), &theirs["active_power"]);
        it.number(&format!("{place} voltage"), ours.and_then(|p| p.voltage_v), &theirs["voltage"]);
    }
}

fn compare_inverters(it: &mut Comparison, reading: &Reading, data: &Value) {
    let Some(theirs) = data["inverters"].as_object() else { return };
    let ours: BTreeMap<&str, _> =
        reading.inverters.iter().map(|inverter| (inverter.serial.as_str(), inverter)).collect();
    let mut serials: Vec<&str> = theirs.keys().map(String::as_str).collect();
    serials.sort_unstable();
    if serials != ours.keys().copied().collect::<Vec<_>>() {
        it.differs("inverters", &format!("{} instead of {}", ours.len(), serials.len()));
    }
    for (serial, inverter) in ours {
        let theirs = &theirs[serial];
        it.number("inverter power", inverter.power_w, &theirs["last_report_watts"]);
        it.number("inverter maximum", inverter.max_power_w, &theirs["max_report_watts"]);
        it.number("inverter voltage", inverter.voltage_v, &theirs["ac_voltage"]);
        it.number("inverter temperature", inverter.temperature_c, &theirs["temperature"]);
        it.number("inverter energy", inverter.energy_wh, &theirs["lifetime_energy"]);
        let reported = inverter.reported_at.map(jiff::Timestamp::as_second);
        if reported != theirs["last_report_date"].as_i64().filter(|at| *at > 0) {
            it.differs("inverter report", &format!("{reported:?} instead of {}", theirs["last_report_date"]));
        }
    }
}

fn compare_ac_batteries(it: &mut Comparison, reading: &Reading, data: &Value) {
    let ours: Vec<_> = reading.batteries.iter().filter(|battery| battery.kind == "acb").collect();
    let theirs = data["acb_inventory"].as_object().map_or(0, serde_json::Map::len);
    if theirs != ours.len() {
        it.differs("AC batteries", &format!("{} instead of {theirs}", ours.len()));
    }
    for battery in ours {
        let theirs = &data["acb_inventory"][battery.serial.as_str()];
        it.number("AC battery charge", battery.soc_percent, &theirs["percent_full"]);
        it.number("AC battery temperature", battery.temperature_c, &theirs["max_cell_temp"]);
    }
    let (storage, theirs) = (reading.storage.as_ref(), &data["acb_power"]);
    it.number("AC battery power", storage.and_then(|s| s.power_w), &theirs["power"]);
    it.number("AC battery state of charge", storage.and_then(|s| s.soc_percent), &theirs["state_of_charge"]);
    it.number("AC battery energy", storage.and_then(|s| s.available_wh), &theirs["charge_wh"]);
}

fn compare_batteries(it: &mut Comparison, reading: &Reading, data: &Value) {
    let theirs = data["encharge_inventory"].as_object();
    let ours = reading.batteries.iter().filter(|battery| battery.kind == "encharge").count();
    if theirs.map_or(0, serde_json::Map::len) != ours {
        it.differs("batteries", &format!("{ours} instead of {}", theirs.map_or(0, serde_json::Map::len)));
    }
    compare_ac_batteries(it, reading, data);
    for battery in reading.batteries.iter().filter(|battery| battery.kind == "encharge") {
        let theirs = &data["encharge_inventory"][battery.serial.as_str()];
        it.number("battery charge", battery.soc_percent, &theirs["percent_full"]);
        it.number("battery temperature", battery.temperature_c, &theirs["temperature"]);
        let power = data["encharge_power"][battery.serial.as_str()]["real_power_mw"].as_f64();
        it.number("battery power", battery.power_w, &power.map(|mw| mw / 1000.0).into());
    }
    let storage = reading.storage.as_ref();
    let theirs = &data["encharge_aggregate"];
    if ours > 0 {
        it.number("charge", storage.and_then(|s| s.soc_percent), &theirs["state_of_charge"]);
        it.number("available", storage.and_then(|s| s.available_wh), &theirs["available_energy"]);
        it.number("capacity", storage.and_then(|s| s.capacity_wh), &theirs["max_available_capacity"]);
    }
    let controller = &data["enpower"];
    if controller.is_object() {
        let ours = reading.grid_connection.as_ref();
        let state = ours.and_then(|connection| connection.state.as_deref());
        if state != controller["mains_oper_state"].as_str() {
            it.differs(
                "grid connection",
                &format!("{state:?} instead of {}", controller["mains_oper_state"]),
            );
        }
        let celsius = controller["temperature"].as_f64().map(|f| (f - 32.0) / 1.8);
        it.number("controller temperature", ours.and_then(|c| c.temperature_c), &celsius.into());
    }
    let contacts = data["dry_contact_status"].as_object().map_or(0, serde_json::Map::len);
    if contacts != reading.dry_contacts.len() {
        it.differs("dry contacts", &format!("{} instead of {contacts}", reading.dry_contacts.len()));
    }
    if data["generator"].is_object() != reading.generator.is_some() {
        it.differs("generator", &format!("{}", reading.generator.is_some()));
    }
    let mode = data["tariff"]["storage_settings"]["mode"].as_str();
    let ours = reading.tariff.as_ref().and_then(|tariff| tariff.mode.as_deref());
    if ours != mode {
        it.differs("tariff", &format!("{ours:?} instead of {mode:?}"));
    }
}

#[test]
fn every_recording_is_read_as_the_reference_reads_it_but_for_what_is_listed() {
    let Some(recordings) = recordings() else { return };
    let mut differences = BTreeMap::new();
    for folder in folders(&recordings.join("sets")) {
        let set = name(&folder);
        let oracle = fs::read(recordings.join("oracle").join(format!("{set}.json"))).unwrap();
        let oracle: Value = serde_json::from_slice(&oracle).unwrap();
        differences.append(&mut compare(&set, read(&folder).as_ref(), &oracle));
    }
    let listed = |(set, what, _): &(&str, &[&str], &str)| -> Vec<Place> {
        what.iter().map(|what| ((*set).to_owned(), (*what).to_owned())).collect()
    };
    let mut gone: Vec<Place> = KNOWN.iter().flat_map(listed).collect();
    gone.retain(|place| differences.remove(place).is_none());
    assert!(differences.is_empty(), "not listed: {differences:#?}");
    assert!(gone.is_empty(), "listed, and no longer so: {gone:#?}");
}

/// The reference does not support these HTML pages.
#[test]
fn a_gateway_of_firmware_3_7_is_read_from_its_page_for_people() {
    let Some(recordings) = recordings() else { return };
    let production = read(&recordings.join("sets/3.7.0")).unwrap().production.unwrap();
    let whole = |energy: Option<enphased::base::units::WattHours>| energy.unwrap().whole();
    assert_eq!(production.power_w, enphased::base::units::Watts::new(6630.0));
    assert_eq!((whole(production.energy_wh), whole(production.today_wh)), (133_000_000, 53_600));
}

#[test]
fn our_own_gateways_read_as_before() {
    for folder in folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")) {
        let document = serde_json::to_string_pretty(&read(&folder).unwrap()).unwrap();
        insta::assert_snapshot!(name(&folder), document);
    }
}

/// Polls every 30 seconds for thirty minutes.
#[test]
fn most_polls_of_a_metered_gateway_take_at_most_three_requests() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for gateway in ["8.3.5289_metered", "8.3.5289_battery", "8.3.5289_non_metered"] {
        let folder = fixtures.join(gateway);
        let start = Instant::now();
        let mut sources = Sources::new(info(&folder), Options::default(), start);
        let polls = (0..60).map(|tick| poll(&mut sources, &folder, start + Duration::from_secs(30 * tick)));
        let requests: Vec<usize> =
            polls.map(|(asked, reading)| asked.len() * usize::from(reading.is_some())).collect();
        assert!(requests.iter().all(|asked| *asked > 0), "{gateway}: {requests:?}");
        assert!(requests.iter().filter(|asked| **asked > 3).count() <= 6, "{gateway}: {requests:?}");
    }
}
