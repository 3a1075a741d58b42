//! The pages of simulated gateways: those of `fixtures/`, with more or fewer inverters.

use std::error::Error;
use std::fs;
use std::path::Path;

use enphased::simulator::Pages;
use serde_json::{Value, json};

/// The number of inverters that `device_data` shows at most; the firmware leaves out the others.
const MOST_DEVICES: usize = 50;
/// The key of the first inverter in `device_data`, and the step to the next.
const FIRST_KEY: usize = 553_648_384;
const KEY_STEP: usize = 256;
/// The pages of totals, which the simulator would fill without inverters too.
const TOTALS: [&str; 2] = ["api_v1_production", "ivp_pdm_energy"];
/// The last report of an inverter that is silent: some days before the states.
const LONG_AGO: i64 = 1_782_100_000;

/// Returns the pages of the gateway `fixture` with this number of inverters; `meters` lists the measurement types that are
/// enabled, or `None` for those of the fixture. The pages are written to `directory`.
pub(crate) fn pages(
    fixture: &str,
    inverters: usize,
    meters: Option<&[&str]>,
    directory: &Path,
) -> Result<Pages, Box<dyn Error>> {
    fs::create_dir_all(directory)?;
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if inverters == 0 && TOTALS.iter().any(|page| entry.file_name() == **page) {
            continue;
        }
        let mut page = fs::read(entry.path())?;
        if let Ok(mut json) = serde_json::from_slice::<Value>(&page) {
            change(&entry.file_name().to_string_lossy(), &mut json, inverters, meters);
            page = serde_json::to_vec(&json)?;
        }
        fs::write(directory.join(entry.file_name()), page)?;
    }
    Ok(Pages::from_directory(directory)?)
}

fn change(name: &str, page: &mut Value, inverters: usize, meters: Option<&[&str]>) {
    match name {
        "api_v1_production_inverters" => *page = (0..inverters).map(row).collect(),
        "ivp_pdm_device_data" => devices(page, inverters),
        "production.json" | "production.json_details_1" => {
            put(page, "/production/0/activeCount", json!(inverters));
            if inverters == 0 {
                put(page, "/production", json!([]));
            }
        }
        "ivp_meters" => {
            let rows = page.as_array_mut().into_iter().flatten();
            for meter in rows.filter(|_| meters.is_some()) {
                let kind = meter["measurementType"].as_str().unwrap_or_default();
                let is_enabled = meters.is_some_and(|meters| meters.contains(&kind));
                put(meter, "/state", json!(if is_enabled { "enabled" } else { "disabled" }));
            }
        }
        _ => {}
    }
}

fn put(page: &mut Value, at: &str, value: Value) {
    if let Some(place) = page.pointer_mut(at) {
        *place = value;
    }
}

fn serial(inverter: usize) -> String {
    format!("{}", 122_310_000_307 + 173 * inverter)
}

fn row(inverter: usize) -> Value {
    json!({
        "serialNumber": serial(inverter), "lastReportDate": LONG_AGO, "devType": 1, "lastReportWatts": 2,
        "maxReportWatts": 340 + inverter * 7 % 40,
    })
}

/// Replaces the inverters in `device_data`, each like the first.
fn devices(page: &mut Value, inverters: usize) {
    let Some(devices) = page.as_object_mut() else { return };
    devices.insert("deviceCount".to_owned(), json!(inverters));
    devices.insert("deviceDataLimit".to_owned(), json!(MOST_DEVICES));
    let Some(first) = devices.values().find(|device| device["devName"] == "pcu").cloned() else { return };
    devices.retain(|_, device| device["devName"] != "pcu");
    for inverter in 0..inverters.min(MOST_DEVICES) {
        let mut device = first.clone();
        put(&mut device, "/sn", json!(serial(inverter)));
        put(&mut device, "/channels/0/created", json!(LONG_AGO));
        put(&mut device, "/channels/0/lastReading/endDate", json!(LONG_AGO));
        devices.insert((FIRST_KEY + KEY_STEP * inverter).to_string(), device);
    }
}
