//! Formats readings in InfluxDB's line protocol, for telegraf's `execd` input.
//!
//! There is one line for each group with values: `enphase_production,gateway=1223…
//! power_w=3781.2,energy_wh=4545926i 1795173570000000000`. The time of a group is that of its measurement, so that a
//! repeated value falls on the existing point. Energies are always integers and other numbers always floats, because the
//! first point of a field determines its type.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::base::printable::is_printable;
use crate::base::reading::Reading;
use crate::output::json::{self, List};

/// The fields with the time of a group.
const TIMES: [&str; 2] = ["measured_at", "reported_at"];

/// Appends a line for each group, phase and device of the reading.
pub fn write(reading: &Reading, out: &mut String) {
    let gateway = tag("gateway", reading.gateway.serial.as_str());
    let root = &json::tree(reading);
    for (name, value) in root {
        match value {
            Value::Object(fields) => {
                let head = format!("enphase_{name}{gateway}");
                Point { head, time: reading.time, root }.write(fields, "", out);
            }
            Value::Array(entries) => {
                let Some(list) = List::of(name) else { continue };
                for entry in entries.iter().filter_map(Value::as_object) {
                    let key = entry.get(list.key).and_then(Value::as_str).unwrap_or_default();
                    let head = format!("enphase_{}{gateway}{}", list.entry, tag(list.key, key));
                    Point { head, time: reading.time, root }.write(entry, list.key, out);
                }
            }
            // The version of the format and the time of the poll are not measurements.
            _ => {}
        }
    }
}

/// The beginning and end of a line.
struct Point<'a> {
    /// The measurement and tags.
    head: String,
    /// The time of a group without a time of its own.
    time: Timestamp,
    /// The whole document, with the times of the meters.
    root: &'a Map<String, Value>,
}

impl Point<'_> {
    /// Appends a line for `fields` and one for each group inside them, without the field `key`, which is in the tags.
    fn write(&self, fields: &Map<String, Value>, key: &str, out: &mut String) {
        let time = measured(fields).unwrap_or(self.time);
        let values: Vec<String> = fields
            .iter()
            .filter(|(name, _)| *name != key && !TIMES.contains(&name.as_str()))
            .filter_map(|(name, value)| field(name, value))
            .collect();
        if !values.is_empty() {
            let nanosecond = time.as_nanosecond().to_string();
            out.extend([self.head.as_str(), " ", &values.join(","), " ", &nanosecond, "\n"]);
        }
        for (name, inner) in fields {
            let Some(inner) = inner.as_object() else { continue };
            // The values of a phase have the time of the whole group.
            let whole = self.root.get(name).and_then(Value::as_object).and_then(measured);
            let head = format!("{}{}", self.head, tag("meter", name));
            Point { head, time: whole.unwrap_or(time), root: self.root }.write(inner, "", out);
        }
    }
}

/// Returns the time of a group, if it has one.
fn measured(fields: &Map<String, Value>) -> Option<Timestamp> {
    TIMES.iter().find_map(|name| fields.get(*name)?.as_str()?.parse().ok())
}

/// Formats `name=value` as a field, or returns `None` for lists, objects and null.
fn field(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(format!("{name}={value}")),
        Value::String(text) => Some(format!("{name}=\"{}\"", quoted(text))),
        Value::Number(number) if number.is_f64() => Some(format!("{name}={}", number.as_f64()?)),
        Value::Number(number) => Some(format!("{name}={number}i")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Formats `,name=value` as a tag. An empty value yields an empty string, because the protocol has no empty tags.
fn tag(name: &str, value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        match c {
            ',' | '=' | ' ' => text.extend(['\\', c]),
            // A line break would end the point, and a backslash would escape a separator.
            '\\' => text.push('_'),
            c if !is_printable(c) => text.push('_'),
            c => text.push(c),
        }
    }
    if text.is_empty() { text } else { format!(",{name}={text}") }
}

/// Escapes the content of a text field.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if !is_printable(c) => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::test_readings;

    fn lines(reading: &Reading) -> String {
        let mut out = String::new();
        write(reading, &mut out);
        out
    }

    #[test]
    fn each_group_is_a_line() {
        insta::assert_snapshot!(lines(&test_readings::full()));
    }

    #[test]
    fn a_gateway_without_meters_gives_its_own_lines_only() {
        insta::assert_snapshot!(lines(&test_readings::bare()), @r#"
        enphase_gateway,gateway=122300000001 firmware="7.6.175",metered=false,serial="122300000001" 1795173571000000000
        enphase_inverter,gateway=122300000001,serial=482200000001 max_power_w=291,power_w=245 1795173060000000000
        enphase_inverter,gateway=122300000001,serial=482200000002 max_power_w=291,power_w=238 1795172700000000000
        enphase_production,gateway=122300000001 energy_wh=812345i,power_w=483,source="inverters" 1795173242000000000
        "#);
    }

    #[test]
    fn a_group_without_values_gives_no_line() {
        let mut reading = test_readings::bare();
        reading.inverters.clear();
        reading.grid =
            Some(crate::base::reading::Grid { measured_at: Some(reading.time), ..Default::default() });
        assert!(!lines(&reading).contains("enphase_grid"));
    }

    #[test]
    fn a_power_is_a_float_and_an_energy_an_integer_even_when_both_are_round() {
        let mut fields = Map::new();
        fields.insert("power_w".to_owned(), 245.0.into());
        fields.insert("energy_wh".to_owned(), 406_172.into());
        assert_eq!(field("power_w", &fields["power_w"]).unwrap(), "power_w=245");
        assert_eq!(field("energy_wh", &fields["energy_wh"]).unwrap(), "energy_wh=406172i");
    }

    #[test]
    fn names_from_the_gateway_are_escaped() {
        assert_eq!(tag("serial", "a b,c=d\\\n\u{202e}"), ",serial=a\\ b\\,c\\=d___");
        assert_eq!(tag("serial", ""), "");
        assert_eq!(quoted("a \"b\" \\ c\nd"), "a \\\"b\\\" \\\\ c d");
    }

    proptest! {
        #[test]
        fn a_line_is_head_fields_and_time(reading in test_readings::any()) {
            for line in lines(&reading).lines() {
                prop_assert!(line.starts_with("enphase_"), "{line}");
                let (rest, time) = line.rsplit_once(' ').unwrap();
                prop_assert!(time.parse::<i64>().is_ok(), "{line}");
                let (_, fields) = rest.split_once(' ').unwrap();
                // Outside of texts there is no blank, which would end the fields early.
                let unquoted = fields.replace("\\\\", "").replace("\\\"", "");
                let bare: String = unquoted.split('"').step_by(2).collect();
                prop_assert!(!bare.contains(' '), "{line}");
            }
        }
    }
}
