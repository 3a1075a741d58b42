//! The configuration key `domoticz = { production = 12, grid = 13 }`, which assigns values to devices.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::base::similar::most_similar;
use crate::output::domoticz::devices::{DEVICES, Device};

/// The numbers of the user's devices in Domoticz, by the keys of [`DEVICES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idx(BTreeMap<&'static str, u32>);

/// An error in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No device has this key.
    #[error("there is no value `{key}` for Domoticz{}", suggestion(*.nearest))]
    Unknown {
        /// The unknown key.
        key: String,
        /// The most similar known key.
        nearest: Option<&'static str>,
    },
    /// The key occurs twice.
    #[error("`{0}` is named twice")]
    Twice(&'static str),
    /// Domoticz counts from 1.
    #[error("the idx of `{0}` is 0; Domoticz counts from 1, see its page Setup > Devices")]
    Zero(&'static str),
    /// Two values would overwrite each other.
    #[error("`{first}` and `{second}` have the same idx {idx}; each needs a device of its own")]
    Shared {
        /// The first key.
        first: &'static str,
        /// The second key.
        second: &'static str,
        /// The number of both.
        idx: u32,
    },
}

fn suggestion(nearest: Option<&'static str>) -> String {
    nearest.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}

impl Idx {
    /// Creates a table from pairs of a key and a number.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, u32)>) -> Result<Self, Error> {
        let mut table = Self::default();
        pairs.into_iter().try_for_each(|(key, idx)| table.add(key, idx))?;
        Ok(table)
    }

    /// Returns the number of the device for `key`, if one is configured.
    pub fn of(&self, key: &str) -> Option<u32> {
        self.0.get(key).copied()
    }

    /// The rows of the table that the user wants, with their numbers.
    pub fn devices(&self) -> impl Iterator<Item = (&'static Device, u32)> {
        DEVICES.iter().filter_map(|device| Some((device, self.of(device.key)?)))
    }

    /// Returns `true` if no device is configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, key: &str, idx: u32) -> Result<(), Error> {
        let Some(device) = DEVICES.iter().find(|device| device.key == key) else {
            let nearest = most_similar(key, DEVICES.iter().map(|device| device.key));
            return Err(Error::Unknown { key: key.to_owned(), nearest });
        };
        if idx == 0 {
            return Err(Error::Zero(device.key));
        }
        if let Some((first, _)) = self.0.iter().find(|(first, taken)| **taken == idx && **first != key) {
            return Err(Error::Shared { first, second: device.key, idx });
        }
        match self.0.insert(device.key, idx) {
            Some(_) => Err(Error::Twice(device.key)),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Idx {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Idx;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a table of values and their idx in Domoticz, e.g. { production = 12, grid = 13 }",
                )
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Idx, A::Error> {
                let mut table = Idx::default();
                while let Some(key) = map.next_key::<String>()? {
                    let idx = map.next_value()?;
                    table.add(&key, idx).map_err(de::Error::custom)?;
                }
                Ok(table)
            }
        }

        deserializer.deserialize_map(Table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Idx, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_table_names_values_and_their_numbers() {
        let idx = parsed("production = 12\ngrid = 13").unwrap();
        assert_eq!((idx.of("production"), idx.of("grid"), idx.of("soc")), (Some(12), Some(13), None));
        assert_eq!(idx.devices().map(|(device, _)| device.key).collect::<Vec<_>>(), ["production", "grid"]);
    }

    #[test]
    fn a_misspelt_value_is_told_with_the_nearest_known() {
        let error = parsed("productoin = 12").unwrap_err();
        assert_eq!(error, "there is no value `productoin` for Domoticz; did you mean `production`?");
        assert_eq!(parsed("zzz = 1").unwrap_err(), "there is no value `zzz` for Domoticz");
    }

    #[test]
    fn a_number_that_no_device_has_is_refused() {
        assert!(parsed("grid = 0").unwrap_err().contains("Domoticz counts from 1"));
        assert!(parsed("grid = -3").is_err());
        assert!(parsed("grid = \"13\"").is_err());
    }

    #[test]
    fn two_values_cannot_share_a_device() {
        let error = Idx::new([("production", 12), ("grid", 12)]).unwrap_err();
        assert_eq!(error, Error::Shared { first: "production", second: "grid", idx: 12 });
    }
}
