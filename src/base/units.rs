//! Physical quantities, with one type each, so that a power can never be published as an energy.
//!
//! The types cannot contain impossible values: `new` and sums return `None` instead.

use std::fmt;
use std::ops::Neg;

use serde::{Serialize, Serializer};

/// Rounds for publication, and converts `-0` to `0`, because Domoticz would show the sign.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale + 0.0
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $decimals:literal, $least:literal to $most:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// The symbol of the unit.
            pub const UNIT: &'static str = $unit;
            /// The lowest possible value.
            pub const LEAST: f64 = $least;
            /// The highest possible value.
            pub const MOST: f64 = $most;

            /// Creates a quantity, or returns `None` if `value` is not a number, below [`Self::LEAST`] or above
            /// [`Self::MOST`].
            pub fn new(value: f64) -> Option<Self> {
                // Comparisons with NaN are false.
                (Self::LEAST..=Self::MOST).contains(&value).then_some(Self(value))
            }

            /// Returns the number, in the unit of the type.
            pub const fn value(self) -> f64 {
                self.0
            }

            /// Returns the number rounded for publication.
            pub fn published(self) -> f64 {
                rounded(self.0, $decimals)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.published(), Self::UNIT)
            }
        }
    };
}

macro_rules! adds_up {
    ($($name:ident),*) => {$(
        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0.0);

            /// Returns the sum of all `parts`.
            ///
            /// Returns `None` if a part is absent, if there are no parts, or if the sum is impossible.
            pub fn total(parts: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
                let mut sum = None;
                for part in parts {
                    sum = Some(sum.unwrap_or(0.0) + part?.0);
                }
                Self::new(sum?)
            }

            /// Returns the value if it is positive, otherwise zero.
            #[must_use]
            pub fn positive(self) -> Self {
                if self.0 > 0.0 { self } else { Self::ZERO }
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }
    )*};
}

macro_rules! published_as_number {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(self.published())
            }
        }
    )*};
}

// The bounds are generous on purpose: they exclude values that no gateway can measure (1e308, -1 and i64::MAX for
// "unknown", 4294967292 for -4). The rules handle implausible values within the bounds.
quantity!(/** Active power. A gateway has at most some hundred inverters with well below 1 MW in total; the grid
    connection of a factory has ten times that. */ Watts, "W", 3, -1e7 to 1e7);
quantity!(/** Energy, at most 10 MW for 11 years. It is published as a whole number, because consumers print doubles with as
    few as six digits. */ WattHours, "Wh", 0, -1e12 to 1e12);
quantity!(/** Voltage (RMS). The phases of a 480 V system add up to 831 V, panels reach 60 V. */
    Volts, "V", 3, 0.0 to 1e3);
quantity!(/** Current, negative against the direction of the meter. */ Amperes, "A", 3, -1e4 to 1e4);
quantity!(/** Mains frequency. Off the grid a site runs at up to 64 Hz to throttle its inverters. */
    Hertz, "Hz", 3, 40.0 to 70.0);
quantity!(/** Temperature. Devices are built for -40 to 85 °C; -128, 127 and 255 stand for "unknown". */
    Celsius, "°C", 1, -60.0 to 120.0);
quantity!(/** A percentage: state of charge, reserve. -1 and 255 stand for "unknown". */
    Percent, "%", 1, 0.0 to 100.0);
quantity!(/** Active divided by apparent power. Values that round to 1 are possible; firmware 8.3.5433 returns the sum over
    the phases, which is not. */ PowerFactor, "", 3, -1.000_499 to 1.000_499);
adds_up!(Watts, WattHours, Amperes);
published_as_number!(Watts, Volts, Amperes, Hertz, Celsius, Percent, PowerFactor);

impl Watts {
    /// Returns the power in whole watts.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by its type")]
    pub fn whole(self) -> i64 {
        self.0.round() as i64
    }
}

impl WattHours {
    /// Returns the energy in whole watt-hours, as published.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by its type")]
    pub fn whole(self) -> i64 {
        self.0.round() as i64
    }

    /// Creates a lifetime total, or returns `None` if it is negative. Gateways show negative ones for unconnected phases.
    pub fn lifetime(value: f64) -> Option<Self> {
        Self::new(value).filter(|energy| energy.0 >= 0.0)
    }
}

impl Serialize for WattHours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.whole())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_does_not_exist() {
        assert_eq!(Watts::new(f64::NAN), None);
        assert_eq!(WattHours::new(f64::INFINITY), None);
    }

    #[test]
    fn what_no_gateway_can_measure_does_not_exist() {
        assert_eq!(Watts::new(1e308), None);
        assert_eq!(Watts::new(4_294_967_292.0), None, "-4 W without its sign");
        assert_eq!(WattHours::new(9_223_372_036_854_775_807.0), None);
        assert_eq!(WattHours::lifetime(-8_279.0), None);
        assert_eq!([-1.0, 100.1, 255.0].map(Percent::new), [None; 3]);
        assert_eq!([-128.0, 127.0, 255.0].map(Celsius::new), [None; 3]);
        assert_eq!((Volts::new(-230.0), Hertz::new(0.0), PowerFactor::new(1.553)), (None, None, None));
        assert_eq!(PowerFactor::new(1.0003).map(PowerFactor::published), Some(1.0));
        assert_eq!(
            (Percent::new(100.0).unwrap().value(), Volts::new(831.0).unwrap().value()),
            (100.0, 831.0)
        );
    }

    #[test]
    fn a_sum_is_of_all_its_parts_or_absent() {
        let watts = |value: f64| Some(Watts::new(value).unwrap());
        assert_eq!(Watts::total([watts(2000.0), watts(-500.0)]), watts(1500.0));
        assert_eq!(Watts::total([watts(2000.0), None]), None);
        assert_eq!(Watts::total([]), None);
        assert_eq!(Watts::total([watts(9e6), watts(9e6)]), None, "no site has that much");
    }

    #[test]
    fn energies_are_published_whole_and_powers_rounded() {
        let energy = WattHours::new(12_345_678.9).unwrap();
        let power = Watts::new(-0.000_01).unwrap();
        assert_eq!(serde_json::to_string(&(energy, power)).unwrap(), "[12345679,0.0]");
    }

    #[test]
    fn a_unit_is_shown_with_its_symbol() {
        assert_eq!(Watts::new(3781.2).unwrap().to_string(), "3781.2 W");
    }
}
