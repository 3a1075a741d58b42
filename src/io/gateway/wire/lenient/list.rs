//! Objects and lists with lenient members.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The maximum number of devices of one kind. No gateway serves more than 600 inverters.
pub(in crate::io::gateway::wire) const DEVICES: usize = 1_000;
/// The maximum length of short lists: meters, channels, groups of devices.
pub(in crate::io::gateway::wire) const FEW: usize = 32;

/// The methods of a visitor that ignores a single value.
macro_rules! ignored {
    ($nothing:expr) => {
        ignored!($nothing; visit_f64 f64, visit_i64 i64, visit_u64 u64, visit_bool bool, visit_str &str);
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

/// An object read as a `T`, or `None` for any other value, which is ignored.
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
            ignored!(Object(None));
        }
        from.deserialize_any(Any(PhantomData))
    }
}

/// A list of at most `MAX` rows, read row by row. A value that is not a list yields no rows. A longer list is an error:
/// no gateway has such a list, and a part of it would look like the whole.
pub(in crate::io::gateway::wire) struct List<T, const MAX: usize>(pub(in super::super) Vec<Option<T>>);

impl<T, const MAX: usize> List<T, MAX> {
    /// Returns the rows that are objects.
    pub(in crate::io::gateway::wire) fn objects(self) -> Vec<T> {
        let mut rows: Vec<T> = self.0.into_iter().flatten().collect();
        // Pages stay in memory, and never grow.
        rows.shrink_to_fit();
        rows
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Any<T, MAX> {
            type Value = List<T, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(Object(row)) = seq.next_element()? {
                    if rows.len() == MAX {
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
            ignored!(List(Vec::new()));
        }
        from.deserialize_any(Any(PhantomData))
    }
}

/// Reads a list with one row for each device.
pub(in crate::io::gateway::wire) fn devices<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(List::<T, DEVICES>::deserialize(from)?.objects())
}

/// Reads a short list.
pub(in crate::io::gateway::wire) fn rows<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(List::<T, FEW>::deserialize(from)?.objects())
}

/// Reads a short list that keeps the position of each row, where the position has a meaning (phases).
pub(in crate::io::gateway::wire) fn positions<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<Option<T>>, D::Error> {
    Ok(List::<T, FEW>::deserialize(from)?.0)
}

/// Reads an object, or nothing.
pub(in crate::io::gateway::wire) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(Object::deserialize(from)?.0)
}
