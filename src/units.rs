//! The physical quantities of the program, one type each, so that a power can never be published as an
//! energy. A value that is not a finite number does not exist: `new` gives `None`.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

use serde::{Serialize, Serializer};

/// Rounds for publication and turns `-0` into `0`, which Domoticz would show as it is.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale + 0.0
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $decimals:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// The unit's symbol.
            pub const UNIT: &'static str = $unit;
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);

            /// `None` when `value` is not a finite number.
            pub fn new(value: f64) -> Option<Self> {
                value.is_finite().then_some(Self(value))
            }

            /// The number, in the unit of the type.
            pub const fn value(self) -> f64 {
                self.0
            }

            /// The number as it is published.
            pub fn published(self) -> f64 {
                rounded(self.0, $decimals)
            }

            /// What flows in the positive direction, else nothing.
            #[must_use]
            pub fn positive(self) -> Self {
                if self.0 > 0.0 { self } else { Self::ZERO }
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
                values.fold(Self::ZERO, Add::add)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.published(), Self::UNIT)
            }
        }
    };
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

quantity!(/** Active power. */ Watts, "W", 3);
quantity!(/** Energy; published whole, because consumers print doubles with as few as six digits. */ WattHours, "Wh", 0);
quantity!(/** Voltage. */ Volts, "V", 3);
quantity!(/** Current. */ Amperes, "A", 3);
quantity!(/** Mains frequency. */ Hertz, "Hz", 3);
quantity!(/** Temperature. */ Celsius, "°C", 1);
quantity!(/** A share of the whole, 0 to 100: state of charge, reserve. */ Percent, "%", 1);
quantity!(/** Active over apparent power, -1 to 1 (firmware 8.3.5433 exceeds it). */ PowerFactor, "", 3);
published_as_number!(Watts, Volts, Amperes, Hertz, Celsius, Percent, PowerFactor);

impl WattHours {
    /// The energy as it is published: whole watt-hours.
    #[expect(clippy::cast_possible_truncation, reason = "2^63 Wh is more than the sun sends")]
    pub fn whole(self) -> i64 {
        self.0.round() as i64
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
