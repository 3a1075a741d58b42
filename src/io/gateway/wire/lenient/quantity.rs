//! Fields that contain a quantity. Each is converted to its unit from what the page uses (mW, mV, J), and is absent if
//! it is impossible.

use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer};

use super::scalar::Scalar;
use crate::base::units::{Amperes, Celsius, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

/// The possible powers of an inverter: the largest one with two panels produces 640 W, and at night an inverter
/// consumes a few watts. 65535 and 4294967292 are negative numbers read as unsigned.
const INVERTER_W: RangeInclusive<f64> = -50.0..=2_000.0;
/// The possible powers of a battery: the largest one delivers 7 kW.
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

/// Returns the power of an inverter, if possible.
pub(in crate::io::gateway::wire) fn of_inverter(watts: f64) -> Option<Watts> {
    if INVERTER_W.contains(&watts) { Watts::new(watts) } else { None }
}

/// Returns the power of a battery, if possible.
pub(in crate::io::gateway::wire) fn of_battery(watts: f64) -> Option<Watts> {
    if BATTERY_W.contains(&watts) { Watts::new(watts) } else { None }
}
