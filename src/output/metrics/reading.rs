//! The samples of a reading: one for each number of the document.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::families::{Families, Kind};
use crate::base::reading::Reading;
use crate::output::json::{self, List};

/// Joules in a watt-hour.
const JOULES: f64 = 3600.0;

/// The conversion of a field of the document into a sample, by the end of its name.
struct Unit {
    /// The end of the field's name, which shows its unit in the document.
    field: &'static str,
    /// The end of the sample's name.
    sample: &'static str,
    /// The factor from one to the other.
    factor: f64,
    words: &'static str,
}

const UNITS: [Unit; 9] = [
    Unit { field: "_w", sample: "_watts", factor: 1.0, words: "in watts" },
    Unit { field: "_wh", sample: "_joules", factor: JOULES, words: "in joules" },
    Unit { field: "_v", sample: "_volts", factor: 1.0, words: "in volts" },
    Unit { field: "_a", sample: "_amperes", factor: 1.0, words: "in amperes" },
    Unit { field: "_hz", sample: "_hertz", factor: 1.0, words: "in hertz" },
    Unit { field: "_c", sample: "_celsius", factor: 1.0, words: "in degrees Celsius" },
    Unit { field: "_percent", sample: "_ratio", factor: 0.01, words: "from 0 to 1" },
    Unit { field: "_s", sample: "_seconds", factor: 1.0, words: "in seconds" },
    Unit { field: "power_factor", sample: "power_factor_ratio", factor: 1.0, words: "from -1 to 1" },
];

/// The energies that begin again at midnight, or describe a device. All others are lifetime totals.
const NO_TOTALS: [&str; 4] = ["today_wh", "yesterday_wh", "capacity_wh", "available_wh"];

/// Texts that are one of a few words; each becomes a sample with the value 1 and the word as a label.
const STATES: [&str; 6] = ["condition", "state", "mode", "wanted", "source", "kind"];

/// Adds the samples of `reading`.
pub fn add(reading: &Reading, families: &mut Families) {
    let serial = reading.gateway.serial.as_str();
    let facts = &reading.gateway;
    let labels = [
        ("serial", serial),
        ("firmware", facts.firmware.as_str()),
        ("part_number", facts.part_number.as_deref().unwrap_or_default()),
        ("name", facts.name.as_deref().unwrap_or_default()),
    ];
    families.gauge("enphased_gateway_info", "The gateway; always 1.", &labels, 1.0);
    for (name, value) in &json::tree(reading) {
        match value {
            // Those of the gateway are labels.
            Value::Object(_) if name == "gateway" => {}
            Value::Object(fields) => Group { families, name, labels: &[("serial", serial)] }.add(fields, ""),
            Value::Array(entries) => {
                let Some(list) = List::of(name) else { continue };
                for entry in entries.iter().filter_map(Value::as_object) {
                    let key = entry.get(list.key).and_then(Value::as_str).unwrap_or_default();
                    let labels = [("serial", serial), (list.entry, key)];
                    Group { families, name: list.entry, labels: &labels }.add(entry, list.key);
                }
            }
            _ => {}
        }
    }
}

/// A group of the document, with the labels of its samples.
struct Group<'a> {
    families: &'a mut Families,
    name: &'a str,
    labels: &'a [(&'a str, &'a str)],
}

impl Group<'_> {
    /// Adds a sample for each field but `key`, which is a label.
    fn add(&mut self, fields: &Map<String, Value>, key: &str) {
        for (field, value) in fields.iter().filter(|(field, _)| *field != key) {
            match value {
                Value::Number(number) => self.number(field, number.as_f64().unwrap_or(f64::NAN)),
                Value::Bool(is_true) => {
                    self.gauge(field, "", "1 if so, otherwise 0", f64::from(u8::from(*is_true)));
                }
                Value::String(text) => self.text(field, text),
                // The values of a phase: production, grid and so on.
                Value::Object(inner) => {
                    let labels: Vec<_> =
                        self.labels.iter().copied().chain([("meter", field.as_str())]).collect();
                    Group { families: self.families, name: self.name, labels: &labels }.add(inner, "");
                }
                Value::Array(_) | Value::Null => {}
            }
        }
    }

    fn number(&mut self, field: &str, value: f64) {
        let Some(unit) = UNITS.iter().find(|unit| field.ends_with(unit.field)) else {
            return self.gauge(field, "", "a number", value);
        };
        let is_total = unit.field == "_wh" && !NO_TOTALS.iter().any(|end| field.ends_with(end));
        let (kind, end) = if is_total { (Kind::Counter, "_total") } else { (Kind::Gauge, "") };
        let base = field.strip_suffix(unit.field).unwrap_or_default();
        let name = format!("enphased_{}_{base}{}{end}", self.name, unit.sample).replace("__", "_");
        let help = self.help(if base.is_empty() { field } else { base }, unit.words);
        self.families.add(&name, kind, &help, self.labels, value * unit.factor);
    }

    fn text(&mut self, field: &str, text: &str) {
        if STATES.contains(&field) {
            let name = format!("enphased_{}_{field}", self.name);
            let labels: Vec<_> = self.labels.iter().copied().chain([(field, text)]).collect();
            let help = self.help(field, "as a label; always 1");
            self.families.gauge(&name, &help, &labels, 1.0);
        } else if let (Some(base), Ok(time)) = (field.strip_suffix("_at"), text.parse::<Timestamp>()) {
            let seconds = time.as_duration().as_secs_f64();
            self.gauge(base, "_timestamp_seconds", "time in seconds since 1970", seconds);
        }
    }

    fn gauge(&mut self, field: &str, end: &str, words: &str, value: f64) {
        let help = self.help(field, words);
        self.families.gauge(&format!("enphased_{}_{field}{end}", self.name), &help, self.labels, value);
    }

    fn help(&self, field: &str, words: &str) -> String {
        let what = field.replace("soc", "state of charge").replace('_', " ");
        let mut letters = what.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase()).unwrap_or_default();
        format!("{first}{} ({}), {words}.", letters.as_str(), self.name.replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::test_readings;

    #[test]
    fn every_number_of_a_full_document_has_a_sample_with_its_unit() {
        let mut families = Families::default();
        add(&test_readings::full(), &mut families);
        insta::assert_snapshot!("samples", families.text());
    }

    /// Prometheus' own rules, as `promtool check metrics` applies them.
    #[test]
    fn names_have_a_unit_and_counters_end_with_total() {
        let mut families = Families::default();
        add(&test_readings::full(), &mut families);
        let text = families.text();
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()), "{name}");
            for short in ["_w", "_wh", "_v", "_a", "_hz", "_c", "_percent"] {
                assert!(!name.ends_with(short), "{name}");
            }
        }
    }
}
