//! The devices that a user can make in Domoticz, and what each is sent: one table, for sending, for checking
//! the configuration and for showing what to create.
//!
//! `grid` is a P1 smart meter because it alone holds both directions of a connection in one device, with
//! counters that only grow. A kWh device for the net would need a counter that goes back whenever the house
//! exports, which Domoticz books as a negative day; who prefers kWh devices takes `grid_import` and
//! `grid_export`, one for each direction. The same is true of the batteries.

use std::fmt;

use crate::base::reading::{Inverter, Phase, PhaseValues, Reading};
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};

/// A type of dummy device, by its name in Domoticz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Power alone; may be negative.
    Usage,
    /// `W;Wh`; the power may be negative.
    Kwh,
    /// `import;0;export;0;W in;W out`, six whole numbers that are not negative: Domoticz reads them as
    /// unsigned.
    P1,
    /// 0 to 100.
    Percentage,
    /// Volts.
    Voltage,
    /// Amperes of one phase.
    Current,
    /// Hertz: a custom sensor whose axis label the user sets to `Hz`.
    Frequency,
    /// Degrees Celsius.
    Temperature,
    /// Words.
    Text,
    /// On or off.
    Switch,
}

impl Kind {
    /// What Domoticz calls the type and, where there is only one that fits, the subtype, when it tells of a
    /// device.
    pub const fn told(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Usage => ("Usage", Some("Electric")),
            Self::Kwh => ("General", Some("kWh")),
            Self::P1 => ("P1 Smart Meter", Some("Energy")),
            Self::Percentage => ("General", Some("Percentage")),
            Self::Voltage => ("General", Some("Voltage")),
            Self::Current => ("General", Some("Current")),
            Self::Frequency => ("General", Some("Custom Sensor")),
            Self::Temperature => ("Temp", None),
            Self::Text => ("General", Some("Text")),
            Self::Switch => ("Light/Switch", None),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Usage => "Usage (Electric)",
            Self::Kwh => "Electric (Instant+Counter)",
            Self::P1 => "P1 Smart Meter (Electric)",
            Self::Percentage => "Percentage",
            Self::Voltage => "Voltage",
            Self::Current => "Ampere (1 Phase)",
            Self::Frequency => "Custom Sensor (Hz)",
            Self::Temperature => "Temperature",
            Self::Text => "Text",
            Self::Switch => "Switch",
        })
    }
}

/// `nvalue` and `svalue`.
type Sent = (u8, String);

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Its key in the configuration.
    pub key: &'static str,
    /// What to create in Domoticz.
    pub kind: Kind,
    /// What it shows.
    pub shows: &'static str,
    /// What it is sent; nothing when not all of its parts are known.
    pub value: fn(&Reading) -> Option<Sent>,
}

const fn device(
    key: &'static str,
    kind: Kind,
    shows: &'static str,
    value: fn(&Reading) -> Option<Sent>,
) -> Device {
    Device { key, kind, shows, value }
}

/// Every device there can be.
pub const DEVICES: [Device; 26] = [
    device("production", Kind::Kwh, "what the sun gives", |r| {
        r.production.as_ref().and_then(|p| kwh(p.power_w, p.energy_wh))
    }),
    device("consumption", Kind::Kwh, "what the house uses", |r| {
        r.consumption.as_ref().and_then(|c| kwh(c.power_w, c.energy_wh))
    }),
    device("grid", Kind::P1, "the connection to the grid, both ways", |r| {
        r.grid.as_ref().and_then(|g| p1(g.power_w, g.import_wh, g.export_wh))
    }),
    device("grid_import", Kind::Kwh, "what is bought", |r| {
        r.grid.as_ref().and_then(|g| kwh(forward(g.power_w), g.import_wh))
    }),
    device("grid_export", Kind::Kwh, "what is fed in", |r| {
        r.grid.as_ref().and_then(|g| kwh(backward(g.power_w), g.export_wh))
    }),
    device("storage_charge", Kind::Kwh, "what goes into the batteries", |r| {
        r.storage.as_ref().and_then(|s| kwh(backward(s.power_w), s.charged_wh))
    }),
    device("storage_discharge", Kind::Kwh, "what comes out of the batteries", |r| {
        r.storage.as_ref().and_then(|s| kwh(forward(s.power_w), s.discharged_wh))
    }),
    device("production_power", Kind::Usage, "what the sun gives now", |r| {
        watts(r.production.as_ref()?.power_w)
    }),
    device("consumption_power", Kind::Usage, "what the house uses now", |r| {
        watts(r.consumption.as_ref()?.power_w)
    }),
    device("grid_power", Kind::Usage, "the grid now, negative when exporting", |r| {
        watts(r.grid.as_ref()?.power_w)
    }),
    device("storage_power", Kind::Usage, "the batteries now, negative when charging", |r| {
        watts(r.storage.as_ref()?.power_w)
    }),
    device("soc", Kind::Percentage, "state of charge of the batteries", |r| {
        number(r.storage.as_ref()?.soc_percent.map(Percent::published))
    }),
    device("reserve", Kind::Percentage, "what is kept back for a power cut", |r| {
        number(r.tariff.as_ref()?.reserve_percent.map(Percent::published))
    }),
    device("battery_temperature", Kind::Temperature, "the warmest battery", warmest_battery),
    device("voltage_l1", Kind::Voltage, "voltage of L1", |r| voltage(r, "L1")),
    device("voltage_l2", Kind::Voltage, "voltage of L2", |r| voltage(r, "L2")),
    device("voltage_l3", Kind::Voltage, "voltage of L3", |r| voltage(r, "L3")),
    device("current_l1", Kind::Current, "current between L1 and the grid", |r| current(r, "L1")),
    device("current_l2", Kind::Current, "current between L2 and the grid", |r| current(r, "L2")),
    device("current_l3", Kind::Current, "current between L3 and the grid", |r| current(r, "L3")),
    device("grid_power_l1", Kind::Usage, "the grid on L1 now", |r| grid_power(r, "L1")),
    device("grid_power_l2", Kind::Usage, "the grid on L2 now", |r| grid_power(r, "L2")),
    device("grid_power_l3", Kind::Usage, "the grid on L3 now", |r| grid_power(r, "L3")),
    device("frequency", Kind::Frequency, "frequency of the mains", frequency),
    device("inverters", Kind::Text, "how many inverters report, e.g. 24/24 inverters", |r| {
        reporting(&r.inverters)
    }),
    device("grid_connection", Kind::Switch, "on while the house is on the grid", |r| {
        match r.grid_connection.as_ref()?.state.as_deref()? {
            "closed" => Some((1, String::new())),
            "open" => Some((0, String::new())),
            _ => None,
        }
    }),
];

fn number(published: Option<f64>) -> Option<Sent> {
    // `Display` of a float never writes an exponent, which Domoticz reads in some types and not in others.
    Some((0, published?.to_string()))
}

fn watts(power: Option<Watts>) -> Option<Sent> {
    number(power.map(Watts::published))
}

fn forward(power: Option<Watts>) -> Option<Watts> {
    power.map(Watts::positive)
}

fn backward(power: Option<Watts>) -> Option<Watts> {
    power.map(|power| (-power).positive())
}

fn kwh(power: Option<Watts>, energy: Option<WattHours>) -> Option<Sent> {
    Some((0, format!("{};{}", power?.published(), energy?.whole())))
}

/// Tariff 2 stays 0: the gateway knows no tariffs.
fn p1(power: Option<Watts>, import: Option<WattHours>, export: Option<WattHours>) -> Option<Sent> {
    let whole = |energy: WattHours| u64::try_from(energy.whole()).ok();
    let (import, export) = (whole(import?)?, whole(export?)?);
    let (inward, outward) = (forward(power)?.value(), backward(power)?.value());
    Some((0, format!("{import};0;{export};0;{inward:.0};{outward:.0}")))
}

fn phase<'a>(reading: &'a Reading, name: &str) -> Option<&'a Phase> {
    reading.phases.iter().find(|phase| phase.phase == name)
}

/// Every meter of a phase sees the same mains; the grid's is asked first.
fn of_any_meter<T>(phase: &Phase, value: fn(&PhaseValues) -> Option<T>) -> Option<T> {
    [&phase.grid, &phase.production, &phase.consumption].into_iter().flatten().find_map(value)
}

fn voltage(reading: &Reading, name: &str) -> Option<Sent> {
    number(of_any_meter(phase(reading, name)?, |values| values.voltage_v).map(Volts::published))
}

fn current(reading: &Reading, name: &str) -> Option<Sent> {
    number(phase(reading, name)?.grid.as_ref()?.current_a.map(Amperes::published))
}

fn grid_power(reading: &Reading, name: &str) -> Option<Sent> {
    watts(phase(reading, name)?.grid.as_ref()?.power_w)
}

fn frequency(reading: &Reading) -> Option<Sent> {
    let hertz = reading.phases.iter().find_map(|phase| of_any_meter(phase, |values| values.frequency_hz));
    number(hertz.map(Hertz::published))
}

fn warmest_battery(reading: &Reading) -> Option<Sent> {
    let temperatures = reading.batteries.iter().filter_map(|battery| battery.temperature_c);
    number(temperatures.map(Celsius::published).reduce(f64::max))
}

/// Of how many inverters is there a report at most an hour older than the newest of all. By night they are
/// silent together, which is no fault.
fn reporting(inverters: &[Inverter]) -> Option<Sent> {
    let newest = inverters.iter().filter_map(|inverter| inverter.reported_at).max()?;
    let fresh = |inverter: &&Inverter| {
        inverter.reported_at.is_some_and(|at| newest.duration_since(at).as_secs() <= 3600)
    };
    let count = inverters.iter().filter(fresh).count();
    Some((0, format!("{count}/{} inverters", inverters.len())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::test_readings;

    #[test]
    fn keys_differ() {
        let keys: BTreeSet<&str> = DEVICES.iter().map(|device| device.key).collect();
        assert_eq!(keys.len(), DEVICES.len());
    }

    #[test]
    fn a_device_with_an_unknown_part_is_sent_nothing() {
        let mut reading = test_readings::full();
        let production = reading.production.as_mut().unwrap();
        production.energy_wh = None;
        let by_key = |key: &str| DEVICES.iter().find(|device| device.key == key).unwrap().value;
        assert_eq!(by_key("production")(&reading), None);
        assert_eq!(by_key("production_power")(&reading), Some((0, "3781.2".to_owned())));
    }

    #[test]
    fn a_counter_below_zero_never_reaches_a_p1_meter() {
        let power = Some(Watts::ZERO);
        assert_eq!(p1(power, WattHours::new(-1.0), WattHours::new(1.0)), None);
        assert_eq!(p1(power, WattHours::new(1.0), WattHours::new(1.0)), Some((0, "1;0;1;0;0;0".to_owned())));
    }

    #[test]
    fn an_inverter_silent_for_an_hour_more_than_its_siblings_does_not_report() {
        let mut inverters = test_readings::full().inverters;
        assert_eq!(reporting(&inverters).unwrap().1, "2/2 inverters");
        inverters[0].reported_at = Some(test_readings::at("09:59:00"));
        assert_eq!(reporting(&inverters).unwrap().1, "1/2 inverters");
        assert_eq!(reporting(&[]), None);
    }
}
