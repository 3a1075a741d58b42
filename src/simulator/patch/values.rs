//! Helpers that patch values of a recorded page.

use serde_json::Value;

/// Replaces a value if the page has it.
pub(super) fn put(page: &mut Value, pointer: &str, value: impl Into<Value>) {
    if let Some(place) = page.pointer_mut(pointer) {
        *place = value.into();
    }
}

/// Returns the rows of the array at `pointer`, or none without an array.
pub(super) fn rows<'a>(page: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    page.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Rounds a number to three decimals, as a gateway prints it.
pub(super) fn milli(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Rounds to a whole number, as a gateway prints it.
#[expect(clippy::cast_possible_truncation, reason = "no meter counts to 2^63")]
pub(super) fn whole(value: f64) -> i64 {
    value.round() as i64
}
