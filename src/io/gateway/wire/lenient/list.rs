//! Objects and lists whose members may be anything.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most devices of one kind: more than any gateway serves (600 inverters).
pub(in crate::io::gateway::wire) const DEVICES: usize = 1_000;
/// The most of what a site or a device has few of: meters, channels, groups of devices.
pub(in crate::io::gateway::wire) const FEW: usize = 32;

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
pub(in crate::io::gateway::wire) struct Object<T>(pub(in super::super) Option<T>);

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

/// A list of at most `MOST` rows, read row by row. What is no list has no rows. A longer list is an error: it is no list of a
/// gateway, and to read part of it would show that part as the whole.
pub(in crate::io::gateway::wire) struct List<T, const MOST: usize>(pub(in super::super) Vec<Option<T>>);

impl<T, const MOST: usize> List<T, MOST> {
    /// The rows that are objects.
    pub(in crate::io::gateway::wire) fn objects(self) -> Vec<T> {
        let mut rows: Vec<T> = self.0.into_iter().flatten().collect();
        // Pages are kept, and never grow.
        rows.shrink_to_fit();
        rows
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for List<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any<T, const MOST: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Any<T, MOST> {
            type Value = List<T, MOST>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(Object(row)) = seq.next_element()? {
                    if rows.len() == MOST {
                        return Err(A::Error::custom("too many rows"));
                    }
                    rows.push(row);
                }
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

/// One row for each device.
pub(in crate::io::gateway::wire) fn devices<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(List::<T, DEVICES>::deserialize(from)?.objects())
}

/// A few rows.
pub(in crate::io::gateway::wire) fn rows<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(List::<T, FEW>::deserialize(from)?.objects())
}

/// A few rows in their places, for lists in which the place means something (phases).
pub(in crate::io::gateway::wire) fn places<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<Option<T>>, D::Error> {
    Ok(List::<T, FEW>::deserialize(from)?.0)
}

/// An object, or nothing.
pub(in crate::io::gateway::wire) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(Object::deserialize(from)?.0)
}
