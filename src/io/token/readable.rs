//! Fields of the token file that another version of this program may write differently.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A value, or anything that another version of this program writes in its place. Only an invalid token makes a token
/// file damaged, because that costs a login.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Readable<T> {
    Known(T),
    Odd(IgnoredAny),
}

/// Deserializes a value, or `None` for an odd one.
pub(super) fn readable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(match Readable::deserialize(deserializer)? {
        Readable::Known(value) => Some(value),
        Readable::Odd(_) => None,
    })
}
