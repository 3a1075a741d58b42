//! Decides from the retained plain topics whether a gateway measures the value of a device. They show the last known
//! reading, in messages that are far shorter than the document.

use std::collections::BTreeSet;

/// Returns the values on which the device `key` depends, as topics below that of the gateway; `*` stands for any level. All
/// of them are needed.
const fn paths(key: &str) -> &'static [&'static str] {
    match key.as_bytes() {
        b"production" => &["production/power_w", "production/energy_wh"],
        b"consumption" => &["consumption/power_w", "consumption/energy_wh"],
        b"grid" => &["grid/power_w", "grid/import_wh", "grid/export_wh"],
        b"grid_import" => &["grid/power_w", "grid/import_wh"],
        b"grid_export" => &["grid/power_w", "grid/export_wh"],
        b"storage_charge" => &["storage/power_w", "storage/charged_wh"],
        b"storage_discharge" => &["storage/power_w", "storage/discharged_wh"],
        b"production_power" => &["production/power_w"],
        b"consumption_power" => &["consumption/power_w"],
        b"grid_power" => &["grid/power_w"],
        b"storage_power" | b"battery_power" => &["storage/power_w"],
        b"soc" => &["storage/soc_percent"],
        b"reserve" => &["tariff/reserve_percent"],
        b"battery_temperature" => &["batteries/*/temperature_c"],
        b"voltage_l1" => &["phases/L1/*/voltage_v"],
        b"voltage_l2" => &["phases/L2/*/voltage_v"],
        b"voltage_l3" => &["phases/L3/*/voltage_v"],
        b"current_l1" => &["phases/L1/grid/current_a"],
        b"current_l2" => &["phases/L2/grid/current_a"],
        b"current_l3" => &["phases/L3/grid/current_a"],
        b"grid_power_l1" => &["phases/L1/grid/power_w"],
        b"grid_power_l2" => &["phases/L2/grid/power_w"],
        b"grid_power_l3" => &["phases/L3/grid/power_w"],
        b"frequency" => &["phases/*/*/frequency_hz"],
        b"inverters" => &["inverters/*/reported_at"],
        b"grid_connection" => &["grid_connection/state"],
        _ => &[],
    }
}

/// The topic that exists as soon as a reading was published.
const ANY: &str = "schema";

/// Returns the filters of the topics on which the device `key` depends.
pub fn filters(key: &str, prefix: &str) -> impl Iterator<Item = String> {
    let paths = std::iter::once(&ANY).chain(paths(key));
    paths.map(move |path| format!("{prefix}/+/{}", path.replace('*', "+")))
}

/// Returns whether the value of the device `key` is among the published `topics`; `None` if no reading was published.
pub fn is_measured(key: &str, prefix: &str, topics: &BTreeSet<String>) -> Option<bool> {
    let mut exist = filters(key, prefix).map(|filter| topics.iter().any(|topic| matches(&filter, topic)));
    exist.next()?.then(|| exist.all(|exists| exists))
}

fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (None, None) => return true,
            (Some(wanted), Some(level)) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::reading::Reading;
    use crate::base::test_readings;
    use crate::output::domoticz::devices::DEVICES;
    use crate::output::topics;

    fn published(reading: &Reading) -> BTreeSet<String> {
        topics::values("home/solar", reading, |_, _| true).into_iter().map(|message| message.topic).collect()
    }

    #[test]
    fn a_gateway_without_meters_measures_production_and_inverters() {
        let topics = published(&test_readings::bare());
        let measured = |key: &&str| is_measured(key, "home/solar", &topics) == Some(true);
        let keys = DEVICES.iter().map(|device| device.key).filter(measured);
        assert_eq!(keys.collect::<Vec<_>>(), ["production", "production_power", "inverters", "alert"]);
        assert_eq!(is_measured("production", "home/solar", &BTreeSet::new()), None);
        assert_eq!(is_measured("production", "solar", &topics), None);
    }

    proptest! {
        #[test]
        fn a_device_is_measured_if_it_has_a_value(reading in test_readings::any()) {
            let topics = published(&reading);
            for device in DEVICES.iter().filter(|device| device.key != "alert") {
                let has_value = (device.value)(&reading).is_some();
                // A P1 meter has no value while a counter is below zero, and a switch none in an unknown state.
                if has_value || !["grid", "grid_connection"].contains(&device.key) {
                    let measured = is_measured(device.key, "home/solar", &topics);
                    prop_assert_eq!(measured, Some(has_value), "{}", device.key);
                }
            }
        }
    }
}
