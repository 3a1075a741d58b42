//! Patches the pages of the batteries.

use serde_json::Value;

use super::values::{put, rows, whole};
use crate::simulator::snapshot::Snapshot;

/// The `led_status` of a battery that charges, discharges, or is idle.
const CHARGING: i64 = 12;
const DISCHARGING: i64 = 13;
const IDLE: i64 = 17;

fn charge(world: &Snapshot) -> Option<i64> {
    world.soc.map(|soc| whole(soc.value()))
}

/// Patches `/ivp/ensemble/inventory`.
pub(super) fn inventory(page: &mut Value, world: &Snapshot) {
    let Some(charge) = charge(world) else { return };
    let watts = world.storage.value();
    let led = if watts < -1.0 {
        CHARGING
    } else if watts > 1.0 {
        DISCHARGING
    } else {
        IDLE
    };
    for group in rows(page, "") {
        let battery = group["type"] == "ENCHARGE";
        for device in rows(group, "/devices") {
            put(device, "/last_rpt_date", world.time.as_second());
            if battery {
                put(device, "/percentFull", charge);
                put(device, "/led_status", led);
            }
        }
    }
}

/// Patches `/ivp/ensemble/power`, whose key is `devices:` with the colon.
pub(super) fn power(page: &mut Value, world: &Snapshot) {
    let Some(charge) = charge(world) else { return };
    let batteries = u32::try_from(rows(page, "/devices:").count()).unwrap_or(1).max(1);
    let milliwatts = whole(world.storage.value() * 1000.0 / f64::from(batteries));
    for device in rows(page, "/devices:") {
        put(device, "/real_power_mw", milliwatts);
        put(device, "/apparent_power_mva", milliwatts);
        put(device, "/soc", charge);
    }
}

/// Patches `/ivp/ensemble/secctrl`.
pub(super) fn secctrl(page: &mut Value, world: &Snapshot) {
    let (Some(charge), Some(soc)) = (charge(world), world.soc) else { return };
    let capacity = page.pointer("/Max_energy").and_then(Value::as_f64).unwrap_or(0.0);
    put(page, "/agg_soc", charge);
    put(page, "/ENC_agg_soc", charge);
    put(page, "/ENC_agg_avail_energy", whole(capacity * soc.value() / 100.0));
}
