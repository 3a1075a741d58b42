//! Patches the pages of the current transformers.

use serde_json::Value;

use super::values::{milli, put, rows};
use crate::base::units::{WattHours, Watts};
use crate::simulator::pages::Pages;
use crate::simulator::snapshot::Snapshot;

/// The values of one meter: power, energy delivered, energy received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pub(super) power: f64,
    pub(super) delivered: f64,
    pub(super) received: f64,
}

impl Meter {
    fn new(power: Watts, delivered: WattHours, received: WattHours) -> Self {
        Self { power: power.value(), delivered: delivered.value(), received: received.value() }
    }

    /// Returns the values of the meter with this measurement type, if the simulated house has one.
    pub(super) fn of(kind: &str, world: &Snapshot) -> Option<Self> {
        let energies = &world.energies;
        match kind {
            "production" => Some(Self::new(world.production, energies.production, WattHours::ZERO)),
            "net-consumption" => Some(Self::new(world.grid, energies.import, energies.export)),
            "total-consumption" => Some(Self::new(world.consumption, energies.consumption, WattHours::ZERO)),
            "storage" => Some(Self::new(world.storage, energies.discharged, energies.charged)),
            _ => None,
        }
    }

    /// Returns the values of one of `phases` equal phases.
    pub(super) fn phase(self, phases: u32) -> Self {
        let part = |value: f64| value / f64::from(phases);
        Self { power: part(self.power), delivered: part(self.delivered), received: part(self.received) }
    }
}

/// Returns the measurement type and the number of phases of the meter `eid`, if it is enabled.
fn enabled(pages: &Pages, eid: &Value) -> Option<(String, u32)> {
    let meter = pages.json("/ivp/meters")?.as_array()?.iter().find(|meter| meter["eid"] == *eid)?;
    let enabled = meter["state"] == "enabled";
    enabled.then(|| (meter["measurementType"].as_str().unwrap_or_default().to_owned(), phase_count(meter)))
}

fn phase_count(meter: &Value) -> u32 {
    meter["phaseCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(1).max(1)
}

/// Returns the number of phases of the enabled meters.
pub(super) fn phases(pages: &Pages) -> u32 {
    let meters = pages.json("/ivp/meters").and_then(Value::as_array);
    meters
        .into_iter()
        .flatten()
        .filter(|meter| meter["state"] == "enabled")
        .map(phase_count)
        .max()
        .unwrap_or(1)
}

/// Patches `/ivp/meters/readings`. Disabled and unlisted meters and unused channels keep their recorded values,
/// including noise, at the current time: a row of another time is a clock that differs.
pub(super) fn readings(pages: &Pages, page: &mut Value, world: &Snapshot) {
    for row in rows(page, "") {
        restamp(row, world);
        for channel in rows(row, "/channels") {
            restamp(channel, world);
        }
        let Some((kind, phases)) = enabled(pages, &row["eid"]) else { continue };
        let Some(meter) = Meter::of(&kind, world) else { continue };
        reading(row, meter, world);
        for channel in rows(row, "/channels").take(phases as usize) {
            reading(channel, meter.phase(phases), world);
        }
    }
}

/// Gives the row the current time, unless it was recorded without a time.
fn restamp(row: &mut Value, world: &Snapshot) {
    if row["timestamp"].as_i64().is_some_and(|recorded| recorded > 0) {
        put(row, "/timestamp", world.time.as_second());
    }
}

fn reading(row: &mut Value, meter: Meter, world: &Snapshot) {
    let (apparent, factor, current) = alternating(row, meter.power, "reactivePower", "voltage");
    put(row, "/timestamp", world.time.as_second());
    put(row, "/actEnergyDlvd", milli(meter.delivered));
    put(row, "/actEnergyRcvd", milli(meter.received));
    put(row, "/instantaneousDemand", milli(meter.power));
    put(row, "/activePower", milli(meter.power));
    put(row, "/apparentPower", milli(apparent));
    put(row, "/pwrFactor", milli(factor));
    put(row, "/current", milli(current));
}

/// Patches `/ivp/meters/reports`, where total consumption is a report without a meter.
pub(super) fn reports(pages: &Pages, page: &mut Value, world: &Snapshot) {
    let phases = phases(pages);
    for report in rows(page, "") {
        let kind = report["reportType"].as_str().unwrap_or_default().to_owned();
        let Some(meter) = Meter::of(&kind, world) else { continue };
        put(report, "/createdAt", world.time.as_second());
        if let Some(cumulative) = report.pointer_mut("/cumulative") {
            line(cumulative, meter);
        }
        for channel in rows(report, "/lines").take(phases as usize) {
            line(channel, meter.phase(phases));
        }
    }
}

fn line(line: &mut Value, meter: Meter) {
    let (apparent, factor, current) = alternating(line, meter.power, "reactPwr", "rmsVoltage");
    put(line, "/currW", milli(meter.power));
    put(line, "/actPower", milli(meter.power));
    put(line, "/apprntPwr", milli(apparent));
    put(line, "/whDlvdCum", milli(meter.delivered));
    put(line, "/whRcvdCum", milli(meter.received));
    put(line, "/pwrFactor", milli(factor));
    put(line, "/rmsCurrent", milli(current));
}

/// Returns the apparent power, power factor and current for `power` and the recorded reactive power and voltage.
pub(super) fn alternating(row: &Value, power: f64, reactive: &str, voltage: &str) -> (f64, f64, f64) {
    let number = |name: &str| row[name].as_f64().unwrap_or(0.0);
    let apparent = (power.powi(2) + number(reactive).powi(2)).sqrt();
    let ratio = |value: f64, by: f64| if by.abs() > f64::EPSILON { value / by } else { 0.0 };
    (apparent, ratio(power, apparent), ratio(apparent, number(voltage)))
}
