//! How a field is read when it may hold anything: the value, or nothing, but never an error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::reading::Serial;
use crate::units::{Amperes, Celsius, Hertz, Percent, PowerFactor, Volts, WattHours, Watts};

/// What stands in a field that should be a single value.
enum Scalar<'de> {
    Number(f64),
    Text(Cow<'de, str>),
    Flag(bool),
    Other,
}

impl Scalar<'_> {
    fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Flag(_) | Self::Other => return None,
        };
        number.is_finite().then_some(number)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        #[expect(clippy::cast_precision_loss, reason = "no counter of a gateway reaches 2^53")]
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value as f64))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value as f64))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Flag(value))
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(value.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        from.deserialize_any(Any)
    }
}

/// A number, or a text that is one.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(Scalar::deserialize(from)?.number())
}

/// A whole number that is not negative, such as a count or an identifier.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let fits = |number: &f64| *number >= 0.0 && *number <= f64::from(u32::MAX);
    Ok(Scalar::deserialize(from)?.number().filter(fits).map(|number| number as u32))
}

/// A text that is not empty; a number is written out, because serial numbers come as both.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Scalar::deserialize(from)? {
        Scalar::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Flag(_) | Scalar::Other => None,
    })
}

/// The serial number of a device; what cannot be one is absent.
pub(super) fn serial<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Serial>, D::Error> {
    Ok(text(from)?.and_then(|digits| digits.parse().ok()))
}

/// Yes or no, also as a number or in words.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Scalar::deserialize(from)? {
        Scalar::Flag(flag) => Some(flag),
        Scalar::Number(number) => Some(number != 0.0),
        Scalar::Text(text) => match text.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        Scalar::Other => None,
    })
}

/// Seconds since 1970; 0 stands for never.
pub(super) fn stamp<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "out of range gives an error below")]
    let seconds = Scalar::deserialize(from)?.number().map(|number| number as i64);
    Ok(seconds.filter(|seconds| *seconds > 0).and_then(|seconds| Timestamp::from_second(seconds).ok()))
}

macro_rules! quantity {
    ($($name:ident = $unit:ident, $to_unit:expr;)*) => {$(
        pub(super) fn $name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<$unit>, D::Error> {
            let to_unit: fn(f64) -> f64 = $to_unit;
            Ok(Scalar::deserialize(from)?.number().and_then(|number| $unit::new(to_unit(number))))
        }
    )*};
}

quantity! {
    watts = Watts, |w| w;
    milliwatts = Watts, |mw| mw / 1000.0;
    watt_hours = WattHours, |wh| wh;
    joules = WattHours, |j| j / 3600.0;
    volts = Volts, |v| v;
    millivolts = Volts, |mv| mv / 1000.0;
    amperes = Amperes, |a| a;
    milliamperes = Amperes, |ma| ma / 1000.0;
    hertz = Hertz, |hz| hz;
    millihertz = Hertz, |mhz| mhz / 1000.0;
    celsius = Celsius, |c| c;
    percent = Percent, |p| p;
    power_factor = PowerFactor, |f| f;
}

/// The methods of a visitor that passes over a single value.
macro_rules! passed_over {
    ($nothing:expr) => {
        passed_over!($nothing; visit_f64 f64, visit_i64 i64, visit_u64 u64, visit_bool bool, visit_str &str);
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
    ($nothing:expr; $($method:ident $value:ty),*) => {$(
        fn $method<E>(self, _: $value) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    )*};
}

/// An object read as a `T`, or whatever else stands there, which is passed over.
pub(super) struct Object<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Object(None))
            }
            passed_over!(Object(None));
        }
        from.deserialize_any(Any(PhantomData))
    }
}

/// A list read row by row. What is no list has no rows.
pub(super) struct List<T>(pub(super) Vec<Option<T>>);

impl<T> List<T> {
    /// The rows that are objects.
    pub(super) fn objects(self) -> Vec<T> {
        let mut rows: Vec<T> = self.0.into_iter().flatten().collect();
        rows.shrink_to_fit();
        rows
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(Object(row)) = seq.next_element()? {
                    rows.push(row);
                }
                // Pages are kept, and never grow.
                rows.shrink_to_fit();
                Ok(List(rows))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List(Vec::new()))
            }
            passed_over!(List(Vec::new()));
        }
        from.deserialize_any(Any(PhantomData))
    }
}

/// The rows that are objects.
pub(super) fn rows<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(List::deserialize(from)?.objects())
}

/// The rows in their places, for lists in which the place means something (phases).
pub(super) fn places<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<Option<T>>, D::Error> {
    Ok(List::deserialize(from)?.0)
}

/// An object, or nothing.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Ok(Object::deserialize(from)?.0)
}
