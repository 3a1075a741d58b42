//! AC batteries, from `device_data`.
//!
//! If that page lacks them, their sums are in `production.json` and the individual batteries in `inventory.json`. Both
//! pages are slow and requested only if there are AC batteries.

use jiff::Timestamp;

use super::age;
use super::pages::{Cached, Pages};
use crate::base::reading::{Battery, Storage};
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::gateway::wire::Stamp;
use crate::io::gateway::wire::device_data::AcBattery;
use crate::io::gateway::wire::ensemble::Secctrl;
use crate::io::gateway::wire::inverters::InverterReport;
use crate::io::gateway::wire::production_json::{self, ProductionJson};
use crate::io::gateway::wire::{inventory, inverters};

/// Returns `true` if any page shows AC batteries.
pub(super) fn known(pages: &Pages) -> bool {
    known_in_detail(pages) || sums(pages).is_some() || reports(pages).next().is_some()
}

/// Returns `true` if `device_data` lists all AC batteries, so that no slow page is needed.
pub(super) fn known_in_detail(pages: &Pages) -> bool {
    detailed(pages).next().is_some()
}

/// Returns the AC batteries of a `device_data` that is not truncated, without those of other gateways, which never
/// reported.
fn detailed(pages: &Pages) -> impl Iterator<Item = &AcBattery> {
    let page = Cached::page(pages.device_data.as_ref()).filter(|page| page.has_room());
    let batteries = page.map_or(&[][..], |page| &page.ac_batteries);
    batteries.iter().filter(|battery| battery.reported != Stamp::Never)
}

/// Returns the rows of AC batteries among the inverters, which show only that they exist.
fn reports(pages: &Pages) -> impl Iterator<Item = &InverterReport> {
    let rows = Cached::page(pages.inverters.as_ref()).map_or(&[][..], |page: &inverters::Inverters| &page.0);
    rows.iter().filter(|row| row.is_ac_battery() && row.reported != Stamp::Never)
}

/// Returns their row in `production.json`. A row without a state of charge is meaningless (PY #389).
fn sums(pages: &Pages) -> Option<&production_json::AcBatteries> {
    let page: &ProductionJson = Cached::page(pages.production_json.as_ref())?;
    page.ac_batteries().filter(|row| row.soc.is_some())
}

/// Returns the total power of the AC batteries: 0 for a site without any, `None` if it is unknown.
pub(super) fn power(pages: &Pages, clock: Option<Timestamp>) -> Option<Watts> {
    if !known(pages) {
        return Some(Watts::ZERO);
    }
    let current = |battery: &AcBattery| {
        if age::is_current(battery.reported, clock) { battery.power } else { None }
    };
    match sums(pages) {
        Some(row) => row.power,
        None => Watts::total(detailed(pages).map(current)),
    }
}

/// Returns the storage group for the AC batteries alone.
pub(super) fn storage(pages: &Pages, clock: Option<Timestamp>) -> Option<Storage> {
    if !known(pages) {
        return None;
    }
    let row = sums(pages);
    let secctrl = Cached::page(pages.secctrl.as_ref()).cloned().unwrap_or_else(Secctrl::default);
    let reported = detailed(pages).filter_map(|battery| battery.reported.at()).max();
    let storage = Storage {
        power_w: power(pages, clock),
        soc_percent: row.and_then(|row| row.soc).or(secctrl.acb_soc).or_else(|| mean_soc(pages, clock)),
        available_wh: row.and_then(|row| row.available).or(secctrl.acb_available),
        charged_wh: WattHours::total(detailed(pages).map(|battery| battery.charged)),
        discharged_wh: WattHours::total(detailed(pages).map(|battery| battery.discharged)),
        measured_at: row.and_then(|row| row.measured_at).or(reported),
        ..Storage::default()
    };
    (storage != Storage { measured_at: storage.measured_at, ..Storage::default() }).then_some(storage)
}

/// Returns the mean state of charge. All AC batteries have the same capacity.
fn mean_soc(pages: &Pages, clock: Option<Timestamp>) -> Option<Percent> {
    let (mut sum, mut count) = (0.0, 0.0);
    for battery in detailed(pages) {
        if !age::is_current(battery.reported, clock) {
            return None;
        }
        sum += battery.soc?.value();
        count += 1.0;
    }
    Percent::new(sum / count)
}

/// Returns the individual AC batteries.
pub(super) fn batteries(pages: &Pages, clock: Option<Timestamp>) -> Vec<Battery> {
    if known_in_detail(pages) {
        return detailed(pages).map(|battery| of_device(battery, clock)).collect();
    }
    let listed = Cached::page(pages.ac_batteries.as_ref()).map_or(&[][..], |page| &page.0);
    let listed: Vec<Battery> = listed.iter().filter_map(|listed| of_listed(listed, clock)).collect();
    if !listed.is_empty() {
        return listed;
    }
    let reported = |row: &InverterReport| {
        let serial = row.serial.clone()?;
        Some(Battery { reported_at: row.reported.at(), ..Battery::unmeasured(serial, "acb") })
    };
    reports(pages).filter_map(reported).collect()
}

fn of_device(battery: &AcBattery, clock: Option<Timestamp>) -> Battery {
    let unmeasured =
        Battery { reported_at: battery.reported.at(), ..Battery::unmeasured(battery.serial.clone(), "acb") };
    if !age::is_current(battery.reported, clock) {
        return unmeasured;
    }
    Battery {
        soc_percent: battery.soc,
        power_w: battery.power,
        temperature_c: battery.temperature,
        ..unmeasured
    }
}

fn of_listed(battery: &inventory::AcBattery, clock: Option<Timestamp>) -> Option<Battery> {
    if battery.reported == Stamp::Never {
        return None;
    }
    let unmeasured =
        Battery { reported_at: battery.reported.at(), ..Battery::unmeasured(battery.serial.clone()?, "acb") };
    if !age::is_current(battery.reported, clock) {
        return Some(unmeasured);
    }
    Some(Battery { soc_percent: battery.soc, temperature_c: battery.temperature, ..unmeasured })
}
