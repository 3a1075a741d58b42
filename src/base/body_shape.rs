//! The shape of a response body, for reports about something that has never been seen before: the names in it and the
//! type of each value, but no value, because that may be a secret.

use std::collections::BTreeMap;

use serde_json::Value;

/// The maximum number of names in a list.
const MAX_NAMES: usize = 12;
/// The maximum number of keys of an object. Pages of a gateway have up to about 40.
const MAX_KEYS: usize = 64;
/// The maximum length of a name.
const LONGEST_NAME: usize = 40;

/// Describes a body on one line.
pub fn describe(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        _ if body.trim_ascii().is_empty() => "empty".to_owned(),
        Ok(value) => json(&value),
        Err(_) if body.trim_ascii().starts_with(b"<") => "a page".to_owned(),
        Err(_) if body.trim_ascii().starts_with(b"eyJ") => "text that begins like a token".to_owned(),
        Err(_) if std::str::from_utf8(body).is_ok() => "text".to_owned(),
        Err(_) => "not text".to_owned(),
    }
}

/// Lists names, such as those of headers or cookies.
pub fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = all.map(name).collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    let names = names.join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}

/// Returns the name itself, or a dash if it looks like a value in place of a name: an address, a number, a secret.
pub fn name(text: &str) -> &str {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let usual = |c: u8| c.is_ascii_alphanumeric() || b"_-./+[]:".contains(&c);
    if !text.is_empty() && text.len() <= LONGEST_NAME && digits < 5 && text.bytes().all(usual) {
        text
    } else {
        "-"
    }
}

fn json(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(text) if text.is_empty() => "empty text".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(rows) => format!("[{}]", counted(rows.iter().map(json))),
        Value::Object(fields) => {
            let (devices, named): (Vec<_>, Vec<_>) = fields.iter().partition(|(key, _)| is_number(key));
            let more = named.len().saturating_sub(MAX_KEYS);
            let mut parts: Vec<String> = named
                .into_iter()
                .take(MAX_KEYS)
                .map(|(key, value)| format!("{}: {}", name(key), json(value)))
                .collect();
            parts.extend((more > 0).then(|| format!("{more} more")));
            if !devices.is_empty() {
                parts.push(format!(
                    "a number: {}",
                    counted(devices.into_iter().map(|(_, value)| json(value)))
                ));
            }
            format!("{{{}}}", parts.join(", "))
        }
    }
}

/// Returns whether a key is a number, such as that of a device.
fn is_number(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lists each shape once, with the number of its occurrences.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_types_are_described_and_values_are_not() {
        let body = br#"{"serial":"122300000001","n":1,"w":1.5,"ok":true,"no":null,"e":"","rows":[{"a":1},{"a":2},{"a":"x"}],
            "553648384":{"b":1},"553648640":{"b":2}}"#;
        assert_eq!(
            describe(body),
            "{e: empty text, n: number, no: null, ok: bool, rows: [2 × {a: number}, 1 × {a: text}], serial: text, \
             w: number, a number: 2 × {b: number}}"
        );
    }

    #[test]
    fn other_bodies_are_described_by_their_kind() {
        for (body, expected) in [
            (&b" \n"[..], "empty"),
            (b"{}", "{}"),
            (b"\"s3cret\"", "text"),
            (b"12345", "number"),
            (b" <html>122300000001</html>", "a page"),
            (b"eyJhbGciOi", "text that begins like a token"),
            (b"s3cret", "text"),
            (b"\x89PNG", "not text"),
        ] {
            assert_eq!(describe(body), expected);
        }
    }

    #[test]
    fn a_value_in_place_of_a_name_is_left_out() {
        let body = br#"{"owner@example.com":1,"12230000000a":2,"0123456789abcdef0123456789abcdef":3,"ok":4}"#;
        assert_eq!(describe(body), "{-: number, -: number, ok: number, -: number}");
        assert_eq!(names(["a"; 15].into_iter()), format!("{}a and 3 more", "a, ".repeat(11)));
        let keys: Vec<String> =
            (b'a'..=b'z').flat_map(|a| [1, 2, 3].map(|n| format!("\"{}{n}\":0", char::from(a)))).collect();
        assert!(describe(format!("{{{}}}", keys.join(",")).as_bytes()).ends_with(", 14 more}"));
    }

    proptest! {
        #[test]
        fn no_value_is_in_a_description(key in "[a-z]{1,8}", value in "[A-Z]{5}[0-9]{5,10}") {
            let body = serde_json::json!({ key: [value.clone(), { "x": value.clone() }], value.clone(): value.clone() });
            prop_assert!(!describe(body.to_string().as_bytes()).contains(&value));
        }
    }
}
