//! The pages of a large gateway: 240 inverters.

use std::fs;
use std::path::Path;

use enphased::simulator::Pages;
use serde_json::{Map, Value, json};

const INVERTERS: usize = 240;
/// Firmware 8.3.5289 shows no more in `device_data`.
const IN_DEVICE_DATA: usize = 50;

/// Writes the pages to `folder`, and reads them as those of a gateway. The rows have the length of recorded ones.
pub(crate) fn pages(folder: &Path) -> Pages {
    let metered = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/8.3.5289_metered");
    for entry in fs::read_dir(&metered).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, folder.join(from.file_name().unwrap())).unwrap();
    }
    let write = |name: &str, page: &Value| {
        fs::write(folder.join(name), serde_json::to_string_pretty(page).unwrap()).unwrap();
    };
    let read =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(metered.join(name)).unwrap()).unwrap() };
    let serials = || (0..INVERTERS).map(|number| format!("1224000{number:05}"));

    let row = read("api_v1_production_inverters").get(0).unwrap().clone();
    let rows = serials().map(|serial| with(row.clone(), "serialNumber", &serial)).collect();
    write("api_v1_production_inverters", &Value::Array(rows));

    let device_data = read("ivp_pdm_device_data");
    let device = device_data.as_object().unwrap().values().next().unwrap().clone();
    let devices = serials().take(IN_DEVICE_DATA).zip(553_648_384_usize..);
    let devices = devices.map(|(serial, eid)| (eid.to_string(), with(device.clone(), "sn", &serial)));
    write("ivp_pdm_device_data", &Value::Object(devices.collect::<Map<_, _>>()));

    let devices: Vec<Value> = serials().map(|serial| listed(&serial)).collect();
    let kinds = json!([{"type": "PCU", "devices": devices}, {"type": "ACB", "devices": []}]);
    fs::write(folder.join("inventory"), kinds.to_string()).unwrap();
    fs::write(folder.join("inv"), Value::Array(devices).to_string()).unwrap();
    let values: Vec<Value> =
        serials().map(|serial| json!([serial, 1, true, true, 1_782_036_870, 27, 31_000, 241_000])).collect();
    fs::write(folder.join("ivp_peb_devstatus"), json!({"pcu": {"values": values}}).to_string()).unwrap();
    let levels = serials().map(|serial| (serial, json!(5))).collect();
    write("installer_pcu_comm_check", &Value::Object(levels));
    Pages::from_directory(folder).unwrap()
}

fn with(mut row: Value, key: &str, serial: &str) -> Value {
    row.as_object_mut().unwrap().insert(key.to_owned(), json!(serial));
    row
}

/// An inverter in `/inventory`.
fn listed(serial: &str) -> Value {
    json!({
        "part_num": "800-01736-r02", "installed": "1713455555", "serial_num": serial,
        "device_status": ["envoy.global.ok"], "last_rpt_date": "1714749724", "admin_state": 1, "dev_type": 1,
        "created_date": "1713455555", "img_load_date": "1713455555",
        "img_pnum_running": "520-00082-r01-v04.30.32", "ptpn": "540-00169-r01-v04.30.32",
        "chaneid": 1_627_390_225, "device_control": [{"gficlearset": false}],
        "producing": true, "communicating": true, "provisioned": true, "operating": true, "phase": "ph-a",
    })
}
