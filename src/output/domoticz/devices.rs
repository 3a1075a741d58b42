//! The table of devices that a user can create in Domoticz, with their values.
//!
//! The table is used for sending, for checking the configuration, and for the example. `grid` is a P1 smart meter, the only type
//! with both directions in one device and counters that only grow. A kWh device for the net would need a counter that
//! decreases while the house exports, which Domoticz records as a negative day. For kWh devices there are `grid_import`
//! and `grid_export`, one for each direction. The same applies to the batteries.

use std::fmt;

use crate::base::reading::{Inverter, Phase, PhaseValues, Reading};
use crate::base::units::{Amperes, Celsius, Hertz, Percent, Volts, WattHours, Watts};
use crate::rules::inverter_health;

/// A type of dummy device in Domoticz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Power, which may be negative.
    Usage,
    /// `W;Wh`; the power may be negative.
    Kwh,
    /// `import;0;export;0;W in;W out`, six whole numbers that Domoticz parses as unsigned.
    P1,
    /// 0 to 100.
    Percentage,
    /// In V.
    Voltage,
    /// In A, of one phase.
    Current,
    /// In Hz, a custom sensor whose axis label the user sets to `Hz`.
    Frequency,
    /// In °C.
    Temperature,
    /// A text.
    Text,
    /// On or off.
    Switch,
    /// A level from 0 to 4 and a text.
    Alert,
}

impl Kind {
    /// Returns the type in Domoticz's responses and, if only one subtype fits, the subtype.
    pub(super) const fn type_names(self) -> (&'static str, Option<&'static str>) {
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
            Self::Alert => ("General", Some("Alert")),
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
            Self::Alert => "Alert",
        })
    }
}

/// `nvalue` and `svalue`.
type Sent = (u8, String);

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// The key in the configuration.
    pub key: &'static str,
    /// The type of the device in Domoticz.
    pub kind: Kind,
    /// The description of the value.
    pub shows: &'static str,
    /// The function that returns the value, or `None` if a part of it is unknown.
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

/// All devices. Production is not below 0: Domoticz's Energy Dashboard would show the few watts of the night as sunshine.
pub const DEVICES: [Device; 28] = [
    device("production", Kind::Kwh, "production", |r| {
        r.production.as_ref().and_then(|p| kwh(forward(p.power_w), p.energy_wh))
    }),
    device("consumption", Kind::Kwh, "consumption of the house", |r| {
        r.consumption.as_ref().and_then(|c| kwh(c.power_w, c.energy_wh))
    }),
    device("grid", Kind::P1, "import and export", |r| {
        r.grid.as_ref().and_then(|g| p1(g.power_w, g.import_wh, g.export_wh))
    }),
    device("grid_import", Kind::Kwh, "import from the grid", |r| {
        r.grid.as_ref().and_then(|g| kwh(forward(g.power_w), g.import_wh))
    }),
    device("grid_export", Kind::Kwh, "export to the grid", |r| {
        r.grid.as_ref().and_then(|g| kwh(backward(g.power_w), g.export_wh))
    }),
    device("storage_charge", Kind::Kwh, "charge of the batteries", |r| {
        r.storage.as_ref().and_then(|s| kwh(backward(s.power_w), s.charged_wh))
    }),
    device("storage_discharge", Kind::Kwh, "discharge of the batteries", |r| {
        r.storage.as_ref().and_then(|s| kwh(forward(s.power_w), s.discharged_wh))
    }),
    device("production_power", Kind::Usage, "power of the production", |r| {
        watts(forward(r.production.as_ref()?.power_w))
    }),
    device("consumption_power", Kind::Usage, "power of the house", |r| {
        watts(r.consumption.as_ref()?.power_w)
    }),
    device("grid_power", Kind::Usage, "power of the grid, negative when exporting", |r| {
        watts(r.grid.as_ref()?.power_w)
    }),
    device("storage_power", Kind::Usage, "power of the batteries, negative when charging", |r| {
        watts(r.storage.as_ref()?.power_w)
    }),
    device("battery_power", Kind::Usage, "the same, positive when charging, for the Energy Dashboard", |r| {
        watts(r.storage.as_ref()?.power_w.map(|power| -power))
    }),
    device("soc", Kind::Percentage, "state of charge of the batteries", |r| {
        number(r.storage.as_ref()?.soc_percent.map(Percent::published))
    }),
    device("reserve", Kind::Percentage, "reserve for a power cut", |r| {
        number(r.tariff.as_ref()?.reserve_percent.map(Percent::published))
    }),
    device("battery_temperature", Kind::Temperature, "temperature of the warmest battery", warmest_battery),
    device("voltage_l1", Kind::Voltage, "voltage of L1", |r| voltage(r, "L1")),
    device("voltage_l2", Kind::Voltage, "voltage of L2", |r| voltage(r, "L2")),
    device("voltage_l3", Kind::Voltage, "voltage of L3", |r| voltage(r, "L3")),
    device("current_l1", Kind::Current, "current between L1 and the grid", |r| current(r, "L1")),
    device("current_l2", Kind::Current, "current between L2 and the grid", |r| current(r, "L2")),
    device("current_l3", Kind::Current, "current between L3 and the grid", |r| current(r, "L3")),
    device("grid_power_l1", Kind::Usage, "power of the grid on L1", |r| grid_power(r, "L1")),
    device("grid_power_l2", Kind::Usage, "power of the grid on L2", |r| grid_power(r, "L2")),
    device("grid_power_l3", Kind::Usage, "power of the grid on L3", |r| grid_power(r, "L3")),
    device("frequency", Kind::Frequency, "frequency of the mains", frequency),
    device("inverters", Kind::Text, "number of reporting inverters, e.g. 24/24 inverters", |r| {
        reporting(&r.inverters)
    }),
    device("grid_connection", Kind::Switch, "on while the house is connected to the grid", |r| {
        match r.grid_connection.as_ref()?.state.as_deref()? {
            "closed" => Some((1, String::new())),
            "open" => Some((0, String::new())),
            _ => None,
        }
    }),
    // It does not depend on the reading alone: see `alert.rs`.
    device("alert", Kind::Alert, "problems: gateway away, token, silent or weak inverters", |_| None),
];

fn number(published: Option<f64>) -> Option<Sent> {
    // `Display` of a float never writes an exponent, which Domoticz supports only for some types.
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

/// Formats the value of a P1 meter. Tariff 2 stays 0, because the gateway does not distinguish tariffs.
fn p1(power: Option<Watts>, import: Option<WattHours>, export: Option<WattHours>) -> Option<Sent> {
    let whole = |energy: WattHours| u64::try_from(energy.whole()).ok();
    let (import, export) = (whole(import?)?, whole(export?)?);
    let (inward, outward) = (forward(power)?.value(), backward(power)?.value());
    Some((0, format!("{import};0;{export};0;{inward:.0};{outward:.0}")))
}

fn phase<'a>(reading: &'a Reading, name: &str) -> Option<&'a Phase> {
    reading.phases.iter().find(|phase| phase.phase == name)
}

/// Returns a mains value of a phase, which is the same at every meter. The grid meter has precedence.
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

/// Counts the inverters that report, e.g. `23/24 inverters`.
fn reporting(inverters: &[Inverter]) -> Option<Sent> {
    let count = inverter_health::reporting(inverters)?;
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
    fn the_few_watts_that_a_meter_measures_at_night_are_no_production() {
        let mut reading = test_readings::full();
        reading.production.as_mut().unwrap().power_w = Watts::new(-8.8);
        let by_key = |key: &str| DEVICES.iter().find(|device| device.key == key).unwrap().value;
        assert_eq!(by_key("production")(&reading), Some((0, "0;4545926".to_owned())));
        assert_eq!(by_key("production_power")(&reading), Some((0, "0".to_owned())));
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
