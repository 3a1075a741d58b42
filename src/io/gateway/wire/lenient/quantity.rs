//! A field that should hold a quantity: each turned into its unit, whatever the page calls it (mW, mV, J), and absent
//! when it is impossible.

use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer};

use super::scalar::Scalar;
use crate::base::units::{Amperes, Celsius, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

/// What an inverter can show: the largest one with two panels makes 640 W, and at night an inverter takes a few watts.
/// 65535 and 4294967292 are negative numbers without their sign.
const INVERTER_W: RangeInclusive<f64> = -50.0..=2_000.0;
/// What a battery can show: the largest one makes 7 kW.
const BATTERY_W: RangeInclusive<f64> = -50_000.0..=50_000.0;

macro_rules! quantity {
    ($($name:ident = $unit:ident, $read:expr;)*) => {$(
        pub(in crate::io::gateway::wire) fn $name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<$unit>, D::Error> {
            let read: fn(f64) -> Option<$unit> = $read;
            Ok(Scalar::deserialize(from)?.number().and_then(read))
        }
    )*};
}

quantity! {
    watts = Watts, Watts::new;
    milliwatts = Watts, |mw| Watts::new(mw / 1000.0);
    inverter_watts = Watts, of_inverter;
    battery_milliwatts = Watts, |mw| of_battery(mw / 1000.0);
    watt_hours = WattHours, WattHours::new;
    lifetime = WattHours, WattHours::lifetime;
    lifetime_joules = WattHours, |j| WattHours::lifetime(j / 3600.0);
    capacity = WattHours, |wh| WattHours::lifetime(wh).filter(|capacity| *capacity > WattHours::ZERO);
    volts = Volts, Volts::new;
    millivolts = Volts, |mv| Volts::new(mv / 1000.0);
    amperes = Amperes, Amperes::new;
    milliamperes = Amperes, |ma| Amperes::new(ma / 1000.0);
    hertz = Hertz, Hertz::new;
    millihertz = Hertz, |mhz| Hertz::new(mhz / 1000.0);
    celsius = Celsius, Celsius::new;
    percent = Percent, Percent::new;
    power_factor = PowerFactor, PowerFactor::new;
}

/// The power of an inverter.
pub(in crate::io::gateway::wire) fn of_inverter(watts: f64) -> Option<Watts> {
    Watts::new(watts).filter(|_| INVERTER_W.contains(&watts))
}

/// The power of a battery.
pub(in crate::io::gateway::wire) fn of_battery(watts: f64) -> Option<Watts> {
    Watts::new(watts).filter(|_| BATTERY_W.contains(&watts))
}
