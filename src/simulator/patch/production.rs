//! Patches the pages about production: totals, inverters, the overview.

use serde_json::Value;

use super::meters::{Meter, alternating, phases};
use super::values::{milli, put, rows, whole};
use crate::base::units::{WattHours, Watts};
use crate::simulator::pages::Pages;
use crate::simulator::snapshot::{InverterReport, Snapshot};

/// Patches `/api/v1/production`. The total of the week keeps its recorded value.
pub(super) fn totals(page: &mut Value, world: &Snapshot) {
    watt_hours(page, "", world.production, world.energies.production, world.produced_today);
}

fn watt_hours(page: &mut Value, at: &str, now: Watts, lifetime: WattHours, today: WattHours) {
    put(page, &format!("{at}/wattsNow"), whole(now.value()));
    put(page, &format!("{at}/wattHoursLifetime"), whole(lifetime.value()));
    put(page, &format!("{at}/wattHoursToday"), whole(today.value()));
}

/// Patches `/api/v1/production/inverters`, row by row.
pub(super) fn inverters(page: &mut Value, world: &Snapshot) {
    for (row, report) in rows(page, "").zip(&world.inverters) {
        put(row, "/lastReportDate", report.reported_at.as_second());
        put(row, "/lastReportWatts", whole(report.power.value()));
    }
}

/// Patches `/ivp/pdm/energy`. The part of the current transformers is patched only if they had counted something.
pub(super) fn energy(page: &mut Value, world: &Snapshot) {
    watt_hours(page, "/production/pcu", reported(world), world.energies.production, world.produced_today);
    let metered = page.pointer("/production/eim/wattHoursLifetime").is_some_and(|lifetime| *lifetime != 0);
    if metered {
        watt_hours(
            page,
            "/production/eim",
            world.production,
            world.energies.production,
            world.produced_today,
        );
        watt_hours(
            page,
            "/consumption/eim",
            world.consumption,
            world.energies.consumption,
            world.consumed_today,
        );
    }
}

/// Returns the sum of the inverters' reports, up to five minutes old.
fn reported(world: &Snapshot) -> Watts {
    Watts::total(world.inverters.iter().map(|report| Some(report.power))).unwrap_or(Watts::ZERO)
}

/// Patches `/ivp/pdm/device_data`: the active inverters, in the order of their keys.
pub(super) fn device_data(page: &mut Value, world: &Snapshot) {
    let devices = page.as_object_mut().into_iter().flat_map(|page| page.values_mut());
    let inverters = devices.filter(|device| device["devName"] == "pcu" && device["active"] == true);
    for (device, report) in inverters.zip(&world.inverters) {
        inverter(device, report);
    }
}

fn inverter(device: &mut Value, report: &InverterReport) {
    let seconds = device.pointer("/channels/0/lastReading/duration").and_then(Value::as_f64).unwrap_or(300.0);
    let power = report.power.value();
    put(device, "/channels/0/created", report.reported_at.as_second());
    put(device, "/channels/0/watts/now", whole(power));
    put(device, "/channels/0/wattHours/today", whole(report.today.value()));
    put(device, "/channels/0/lastReading/endDate", report.reported_at.as_second());
    put(device, "/channels/0/lastReading/joulesProduced", whole(power * seconds));
    put(device, "/channels/0/lifetime/joulesProduced", whole(report.energy.value() * 3600.0));
}

/// Patches `/production.json` with or without its phases.
pub(super) fn overview(pages: &Pages, page: &mut Value, world: &Snapshot) {
    for row in rows(page, "/production") {
        if row["type"] == "inverters" {
            put(row, "/readingTime", newest(world));
            put(row, "/wNow", whole(reported(world).value()));
            put(row, "/whLifetime", whole(world.energies.production.value()));
        } else {
            metered(pages, row, world);
        }
    }
    for row in rows(page, "/consumption") {
        metered(pages, row, world);
    }
}

fn newest(world: &Snapshot) -> i64 {
    world.inverters.iter().map(|report| report.reported_at.as_second()).max().unwrap_or_default()
}

/// Patches the row of a current transformer that is in use.
fn metered(pages: &Pages, row: &mut Value, world: &Snapshot) {
    let kind = row["measurementType"].as_str().unwrap_or_default().to_owned();
    let (Some(meter), true) = (Meter::of(&kind, world), row["activeCount"] != 0) else { return };
    let phases = phases(pages);
    put(row, "/readingTime", world.time.as_second());
    line(row, meter);
    for channel in rows(row, "/lines").take(phases as usize) {
        line(channel, meter.phase(phases));
    }
}

/// Patches the values of one phase or of all. The lifetime total of net consumption is import minus export, and may be
/// negative.
fn line(line: &mut Value, meter: Meter) {
    let (apparent, factor, current) = alternating(line, meter.power, "reactPwr", "rmsVoltage");
    put(line, "/wNow", milli(meter.power));
    put(line, "/whLifetime", milli(meter.delivered - meter.received));
    put(line, "/apprntPwr", milli(apparent));
    put(line, "/pwrFactor", milli(factor));
    put(line, "/rmsCurrent", milli(current));
}
