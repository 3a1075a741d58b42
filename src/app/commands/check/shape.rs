//! The shape of a page: its keys and what kind of value each has, no value itself.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::printable::one_line;

/// The most characters of a key.
const LONGEST_KEY: usize = 40;

/// The shape of a body in one line.
pub(super) fn of(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => shape(&value),
        Err(_) if body.trim_ascii().is_empty() => "empty".to_owned(),
        Err(_) if body.trim_ascii().starts_with(b"<") => "markup, no JSON".to_owned(),
        Err(_) => "no JSON".to_owned(),
    }
}

fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(text) if text.is_empty() => "no text".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(rows) => format!("[{}]", counted(rows.iter().map(shape))),
        Value::Object(fields) => {
            let (devices, named): (Vec<_>, Vec<_>) = fields.iter().partition(|(key, _)| is_number(key));
            let mut parts: Vec<String> = named
                .into_iter()
                .map(|(key, value)| format!("{}: {}", one_line(key, LONGEST_KEY), shape(value)))
                .collect();
            if !devices.is_empty() {
                parts.push(format!(
                    "a number: {}",
                    counted(devices.into_iter().map(|(_, value)| shape(value)))
                ));
            }
            format!("{{{}}}", parts.join(", "))
        }
    }
}

/// A key that is the number of a device.
fn is_number(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// Each shape once, with how often it comes.
fn counted(shapes: impl Iterator<Item = String>) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for shape in shapes {
        *counts.entry(shape).or_default() += 1;
    }
    let parts: Vec<String> = counts.into_iter().map(|(shape, count)| format!("{count} × {shape}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_kinds_stay_and_values_go() {
        let body = br#"{"serial":"122300000001","n":1,"w":1.5,"ok":true,"no":null,"e":"","rows":[{"a":1},{"a":2},{"a":"x"}],
            "553648384":{"b":1},"553648640":{"b":2}}"#;
        assert_eq!(
            of(body),
            "{e: no text, n: number, no: null, ok: bool, rows: [2 × {a: number}, 1 × {a: text}], serial: text, \
             w: number, a number: 2 × {b: number}}"
        );
    }

    #[test]
    fn what_is_no_json_is_named() {
        assert_eq!(of(b" "), "empty");
        assert_eq!(of(b"<html>122300000001</html>"), "markup, no JSON");
        assert_eq!(of(b"122300000001 is"), "no JSON");
    }
}
