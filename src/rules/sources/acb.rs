//! AC batteries: in detail from `device_data`, else together from `production.json` and one by one from
//! `inventory.json`, both slow and asked for only where there are any.

use jiff::Timestamp;

use super::age;
use super::pages::{Kept, Pages};
use crate::base::reading::{Battery, Storage};
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::gateway::wire::Stamp;
use crate::io::gateway::wire::device_data::AcBattery;
use crate::io::gateway::wire::ensemble::Secctrl;
use crate::io::gateway::wire::inverters::InverterReport;
use crate::io::gateway::wire::production_json::{self, ProductionJson};
use crate::io::gateway::wire::{inventory, inverters};

/// Whether there are AC batteries, by any page that tells.
pub(super) fn known(pages: &Pages) -> bool {
    known_in_detail(pages) || together(pages).is_some() || reports(pages).next().is_some()
}

/// Whether `device_data` tells of all of them, so that no slow page is needed.
pub(super) fn known_in_detail(pages: &Pages) -> bool {
    detailed(pages).next().is_some()
}

/// The AC batteries of a `device_data` that is not cut. One that never reported is not this gateway's.
fn detailed(pages: &Pages) -> impl Iterator<Item = &AcBattery> {
    let page = Kept::page(pages.device_data.as_ref()).filter(|page| page.has_room());
    let batteries = page.map_or(&[][..], |page| &page.ac_batteries);
    batteries.iter().filter(|battery| battery.reported != Stamp::Never)
}

/// Their rows among the inverters, which say no more than that they are there.
fn reports(pages: &Pages) -> impl Iterator<Item = &InverterReport> {
    let rows = Kept::page(pages.inverters.as_ref()).map_or(&[][..], |page: &inverters::Inverters| &page.0);
    rows.iter().filter(|row| row.is_ac_battery() && row.reported != Stamp::Never)
}

/// Their row of the slow page; one without a state of charge says nothing (PY #389).
fn together(pages: &Pages) -> Option<&production_json::AcBatteries> {
    let page: &ProductionJson = Kept::page(pages.production_json.as_ref())?;
    page.ac_batteries().filter(|row| row.soc.is_some())
}

/// What they give together: nothing for a site without any, `None` when it is not known.
pub(super) fn power(pages: &Pages, clock: Option<Timestamp>) -> Option<Watts> {
    if !known(pages) {
        return Some(Watts::ZERO);
    }
    let believed = |battery: &AcBattery| battery.power.filter(|_| age::is_believed(battery.reported, clock));
    match together(pages) {
        Some(row) => row.power,
        None => Watts::total(detailed(pages).map(believed)),
    }
}

/// What they are together.
pub(super) fn storage(pages: &Pages, clock: Option<Timestamp>) -> Option<Storage> {
    if !known(pages) {
        return None;
    }
    let row = together(pages);
    let secctrl = Kept::page(pages.secctrl.as_ref()).cloned().unwrap_or_else(Secctrl::default);
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

/// The mean of all: they are of one size.
fn mean_soc(pages: &Pages, clock: Option<Timestamp>) -> Option<Percent> {
    let (mut sum, mut count) = (0.0, 0.0);
    for battery in detailed(pages) {
        sum += battery.soc.filter(|_| age::is_believed(battery.reported, clock))?.value();
        count += 1.0;
    }
    Percent::new(sum / count)
}

/// Each of them.
pub(super) fn batteries(pages: &Pages, clock: Option<Timestamp>) -> Vec<Battery> {
    if known_in_detail(pages) {
        return detailed(pages).map(|battery| of_device(battery, clock)).collect();
    }
    let listed = Kept::page(pages.ac_batteries.as_ref()).map_or(&[][..], |page| &page.0);
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
    if !age::is_believed(battery.reported, clock) {
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
    let believed = age::is_believed(battery.reported, clock);
    Some(Battery {
        soc_percent: battery.soc.filter(|_| believed),
        temperature_c: battery.temperature.filter(|_| believed),
        reported_at: battery.reported.at(),
        ..Battery::unmeasured(battery.serial.clone()?, "acb")
    })
}
