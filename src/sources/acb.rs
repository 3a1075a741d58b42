//! AC batteries: in detail from `device_data`, else together from `production.json` and one by one from
//! `inventory.json`, both slow and asked for only where there are any.

use super::pages::{Kept, Pages};
use crate::gateway::wire::device_data::AcBattery;
use crate::gateway::wire::ensemble::Secctrl;
use crate::gateway::wire::production_json::{self, ProductionJson};
use crate::reading::{Battery, Storage};
use crate::units::{Percent, WattHours, Watts};

/// Whether there are AC batteries, by any page that tells.
pub(super) fn known(pages: &Pages) -> bool {
    let reports = Kept::page(pages.inverters.as_ref()).map_or(&[][..], |page| &page.0);
    detailed(pages).is_some_and(|batteries| !batteries.is_empty())
        || together(pages).is_some()
        || reports.iter().any(crate::gateway::wire::inverters::InverterReport::is_ac_battery)
}

/// Whether `device_data` tells of all of them, so that no slow page is needed.
pub(super) fn known_in_detail(pages: &Pages) -> bool {
    detailed(pages).is_some_and(|batteries| !batteries.is_empty())
}

/// The AC batteries of a `device_data` that is not cut.
fn detailed(pages: &Pages) -> Option<&[AcBattery]> {
    let page = Kept::page(pages.device_data.as_ref()).filter(|page| page.has_room())?;
    Some(&page.ac_batteries)
}

/// Their row of the slow page; one without a state of charge says nothing (PY #389).
fn together(pages: &Pages) -> Option<&production_json::AcBatteries> {
    let page: &ProductionJson = Kept::page(pages.production_json.as_ref())?;
    page.ac_batteries().filter(|row| row.soc.is_some())
}

/// What they give together: nothing for a site without any, `None` when it is not known.
pub(super) fn power(pages: &Pages) -> Option<Watts> {
    if !known(pages) {
        return Some(Watts::ZERO);
    }
    let sum = |batteries: &[AcBattery]| batteries.iter().map(|battery| battery.power).sum();
    match together(pages) {
        Some(row) => row.power,
        None => detailed(pages).filter(|batteries| !batteries.is_empty()).and_then(sum),
    }
}

/// What they are together.
pub(super) fn storage(pages: &Pages) -> Option<Storage> {
    if !known(pages) {
        return None;
    }
    let (row, batteries) = (together(pages), detailed(pages).unwrap_or_default());
    let secctrl = Kept::page(pages.secctrl.as_ref()).cloned().unwrap_or_else(Secctrl::default);
    let sum = |value: fn(&AcBattery) -> Option<WattHours>| {
        batteries.iter().map(value).sum::<Option<WattHours>>().filter(|_| !batteries.is_empty())
    };
    let storage = Storage {
        power_w: power(pages),
        soc_percent: row.and_then(|row| row.soc).or(secctrl.acb_soc).or_else(|| mean_soc(batteries)),
        available_wh: row.and_then(|row| row.available).or(secctrl.acb_available),
        charged_wh: sum(|battery| battery.charged),
        discharged_wh: sum(|battery| battery.discharged),
        measured_at: row
            .and_then(|row| row.measured_at)
            .or_else(|| batteries.iter().filter_map(|battery| battery.reported_at).max()),
        ..Storage::default()
    };
    (storage != Storage { measured_at: storage.measured_at, ..Storage::default() }).then_some(storage)
}

/// They are all of one size.
fn mean_soc(batteries: &[AcBattery]) -> Option<Percent> {
    let charges: Vec<f64> = batteries.iter().filter_map(|battery| Some(battery.soc?.value())).collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful of batteries")]
    let count = charges.len() as f64;
    Percent::new(charges.iter().sum::<f64>() / count)
}

/// Each of them.
pub(super) fn batteries(pages: &Pages) -> Vec<Battery> {
    let of = |serial: &crate::reading::Serial| Battery {
        serial: serial.clone(),
        kind: "acb".to_owned(),
        soc_percent: None,
        power_w: None,
        temperature_c: None,
        capacity_wh: None,
        reported_at: None,
    };
    if known_in_detail(pages) {
        let battery = |device: &AcBattery| Battery {
            soc_percent: device.soc,
            power_w: device.power,
            temperature_c: device.temperature,
            reported_at: device.reported_at,
            ..of(&device.serial)
        };
        return detailed(pages).unwrap_or_default().iter().map(battery).collect();
    }
    let listed = Kept::page(pages.ac_batteries.as_ref()).map_or(&[][..], |page| &page.0);
    if !listed.is_empty() {
        let battery = |listed: &crate::gateway::wire::inventory::AcBattery| {
            Some(Battery {
                soc_percent: listed.soc,
                temperature_c: listed.temperature,
                reported_at: listed.reported_at,
                ..of(listed.serial.as_ref()?)
            })
        };
        return listed.iter().filter_map(battery).collect();
    }
    let reports = Kept::page(pages.inverters.as_ref()).map_or(&[][..], |page| &page.0);
    let reported = reports.iter().filter(|row| row.is_ac_battery());
    reported
        .filter_map(|row| Some(Battery { reported_at: row.reported_at, ..of(row.serial.as_ref()?) }))
        .collect()
}
