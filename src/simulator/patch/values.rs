//! Numbers put where a recorded page has some already.

use serde_json::Value;

/// Puts a value where there is one already.
pub(super) fn put(page: &mut Value, pointer: &str, value: impl Into<Value>) {
    if let Some(place) = page.pointer_mut(pointer) {
        *place = value.into();
    }
}

/// The rows of an array at `pointer`, none where there is no array.
pub(super) fn rows<'a>(page: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    page.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

/// A number as a gateway prints it, with three decimals.
pub(super) fn milli(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A whole number as a gateway prints it.
#[expect(clippy::cast_possible_truncation, reason = "no meter counts to 2^63")]
pub(super) fn whole(value: f64) -> i64 {
    value.round() as i64
}
