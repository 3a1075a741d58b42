//! Patches the numbers of a simulated house into the recorded pages. Fields that a page lacks are not added.

mod ensemble;
mod meters;
mod production;
mod values;

use serde_json::Value;

use super::pages::Pages;
use super::snapshot::Snapshot;

/// Returns the recorded page `name` with the numbers of `world`, or `None` if the page has none of them.
pub(super) fn patched(pages: &Pages, name: &str, json: &Value, world: &Snapshot) -> Option<Value> {
    let patch: fn(&Pages, &mut Value, &Snapshot) = match name {
        "api_v1_production" => |_, page, world| production::totals(page, world),
        "api_v1_production_inverters" => |_, page, world| production::inverters(page, world),
        "ivp_pdm_energy" => |_, page, world| production::energy(page, world),
        "ivp_pdm_device_data" => |_, page, world| production::device_data(page, world),
        "production" | "production.json" | "production.json_details_1" => production::overview,
        "ivp_meters_readings" => meters::readings,
        "ivp_meters_reports" => meters::reports,
        "ivp_ensemble_inventory" => |_, page, world| ensemble::inventory(page, world),
        "ivp_ensemble_power" => |_, page, world| ensemble::power(page, world),
        "ivp_ensemble_secctrl" => |_, page, world| ensemble::secctrl(page, world),
        // `/ivp/livedata/status` stays unchanged: its values are frozen unless the stream is enabled.
        _ => return None,
    };
    let mut page = json.clone();
    patch(pages, &mut page, world);
    Some(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::units::{WattHours, Watts};
    use crate::simulator::snapshot::{Battery, WorldOptions};
    use crate::simulator::world::World;

    fn noon(inverters: usize, battery: bool) -> Snapshot {
        let clock = Clock::simulated("2026-06-21T12:00:00Z".parse().unwrap());
        let cells =
            Battery { capacity: WattHours::new(10_000.0).unwrap(), power: Watts::new(3_840.0).unwrap() };
        let options =
            WorldOptions { inverters, battery: battery.then_some(cells), ..WorldOptions::default() };
        World::new(&clock, options).now()
    }

    fn page(pages: &Pages, target: &str, world: &Snapshot) -> Value {
        let (name, page) = pages.find(target).unwrap();
        patched(pages, name, page.json.as_ref().unwrap(), world).unwrap()
    }

    fn near(value: &Value, expected: f64) -> bool {
        (value.as_f64().unwrap() - expected).abs() < 1.0
    }

    #[tokio::test]
    async fn the_meters_show_the_world() {
        let (pages, world) = (Pages::metered(), noon(12, false));
        let readings = page(&pages, "/ivp/meters/readings", &world);
        assert!(near(&readings[0]["activePower"], world.production.value()));
        assert!(near(&readings[0]["actEnergyDlvd"], world.energies.production.value()));
        assert!(near(&readings[1]["activePower"], world.grid.value()));
        assert!(near(&readings[1]["actEnergyDlvd"], world.energies.import.value()));
        assert!(near(&readings[1]["actEnergyRcvd"], world.energies.export.value()));
        assert_eq!(readings[1]["timestamp"], world.time.as_second());
        let phases = readings[0]["channels"].as_array().unwrap();
        let sum: f64 = phases.iter().map(|phase| phase["activePower"].as_f64().unwrap()).sum();
        assert!((sum - world.production.value()).abs() < 0.01);
    }

    #[tokio::test]
    async fn a_disabled_or_unlisted_meter_keeps_its_values_at_the_current_time() {
        let (pages, world) = (Pages::metered(), noon(12, false));
        let readings = page(&pages, "/ivp/meters/readings", &world);
        assert_eq!(readings[2]["activePower"], 0.0);
        let recorded = &pages.json("/ivp/meters/readings").unwrap()[7];
        assert_ne!(recorded["timestamp"], world.time.as_second());
        let mut expected = recorded.clone();
        expected["timestamp"] = world.time.as_second().into();
        for channel in expected["channels"].as_array_mut().unwrap() {
            channel["timestamp"] = world.time.as_second().into();
        }
        assert_eq!(readings[7], expected);
        assert_eq!(readings[3]["timestamp"], 0);
    }

    #[tokio::test]
    async fn the_pages_agree_with_each_other() {
        let (pages, world) = (Pages::metered(), noon(12, false));
        let production = page(&pages, "/api/v1/production", &world);
        let overview = page(&pages, "/production.json?details=1", &world);
        let reports = page(&pages, "/ivp/meters/reports", &world);
        let energy = page(&pages, "/ivp/pdm/energy", &world);
        assert!(near(&production["wattHoursLifetime"], world.energies.production.value()));
        assert!(near(&overview["production"][1]["whLifetime"], world.energies.production.value()));
        assert!(near(&overview["consumption"][0]["wNow"], world.consumption.value()));
        assert!(near(&overview["consumption"][1]["wNow"], world.grid.value()));
        assert!(near(&reports[2]["cumulative"]["whDlvdCum"], world.energies.consumption.value()));
        assert!(near(&energy["production"]["eim"]["wattsNow"], world.production.value()));
    }

    #[tokio::test]
    async fn each_inverter_has_its_own_report() {
        let (pages, world) = (Pages::non_metered(), noon(10, false));
        let rows = page(&pages, "/api/v1/production/inverters", &world);
        let devices = page(&pages, "/ivp/pdm/device_data", &world);
        for (row, report) in rows.as_array().unwrap().iter().zip(&world.inverters) {
            assert_eq!(row["lastReportDate"], report.reported_at.as_second());
            let device =
                devices.as_object().unwrap().values().find(|device| device["sn"] == row["serialNumber"]);
            assert_eq!(device.unwrap()["channels"][0]["watts"]["now"], row["lastReportWatts"]);
        }
    }

    #[tokio::test]
    async fn the_batteries_share_the_load() {
        let (pages, world) = (Pages::battery(), noon(14, true));
        assert!(world.storage < Watts::ZERO);
        let power = page(&pages, "/ivp/ensemble/power", &world);
        let sum: f64 = power["devices:"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["real_power_mw"].as_f64().unwrap())
            .sum();
        assert!((sum / 1000.0 - world.storage.value()).abs() < 1.0);
        let inventory = page(&pages, "/ivp/ensemble/inventory", &world);
        assert_eq!(inventory[0]["devices"][0]["percentFull"], power["devices:"][0]["soc"]);
        assert_eq!(inventory[0]["devices"][0]["led_status"], 12);
        let readings = page(&pages, "/ivp/meters/readings", &world);
        assert!(near(&readings[2]["activePower"], world.storage.value()));
        assert!(near(&page(&pages, "/ivp/ensemble/secctrl", &world)["agg_soc"], world.soc.unwrap().value()));
    }
}
