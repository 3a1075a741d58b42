//! Fields that contain a single value.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::base::reading::Serial;

/// The content of the field.
pub(super) enum Scalar<'de> {
    Number(f64),
    Text(Cow<'de, str>),
    Flag(bool),
    Other,
}

impl Scalar<'_> {
    /// Returns the number, if the content is a finite one.
    pub(super) fn number(&self) -> Option<f64> {
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

/// Reads a number, or a text that is one.
pub(in crate::io::gateway::wire) fn number<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<f64>, D::Error> {
    Ok(Scalar::deserialize(from)?.number())
}

/// Reads a non-negative integer, such as a count or an identifier.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
pub(in crate::io::gateway::wire) fn whole<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<u32>, D::Error> {
    let fits = |number: &f64| *number >= 0.0 && *number <= f64::from(u32::MAX);
    Ok(Scalar::deserialize(from)?.number().filter(fits).map(|number| number as u32))
}

/// The maximum length of a text; a longer one is ignored.
const MAX_TEXT: usize = 100;

/// Reads a text that is not empty. A number becomes text, because serial numbers appear as both.
pub(in crate::io::gateway::wire) fn text<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Scalar::deserialize(from)? {
        Scalar::Text(text) => {
            let text = text.trim();
            (1..=MAX_TEXT).contains(&text.len()).then(|| text.to_owned())
        }
        Scalar::Number(number) => Some(number.to_string()),
        Scalar::Flag(_) | Scalar::Other => None,
    })
}

/// Reads the serial number of a device.
pub(in crate::io::gateway::wire) fn serial<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Serial>, D::Error> {
    Ok(text(from)?.and_then(|digits| digits.parse().ok()))
}

/// Reads a boolean, which may be a number or a text.
pub(in crate::io::gateway::wire) fn flag<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<bool>, D::Error> {
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

/// The time of a measurement or a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// The page does not have it, or has something invalid.
    #[default]
    Unknown,
    /// Never: the page shows 0.
    Never,
    /// At this time, by the gateway's clock.
    At(Timestamp),
}

impl Stamp {
    /// Returns the time, if there is one.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Unknown | Self::Never => None,
        }
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[expect(clippy::cast_possible_truncation, reason = "out of range is an error just below")]
        let seconds = Scalar::deserialize(from)?.number().map(|number| number as i64);
        Ok(match seconds {
            None => Self::Unknown,
            Some(..=0) => Self::Never,
            Some(seconds) => Timestamp::from_second(seconds).map_or(Self::Unknown, Self::At),
        })
    }
}

/// Reads seconds since 1970. Returns `None` for 0, which means never.
pub(in crate::io::gateway::wire) fn stamp<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Timestamp>, D::Error> {
    Ok(Stamp::deserialize(from)?.at())
}
