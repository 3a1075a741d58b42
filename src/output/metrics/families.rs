//! Families of samples, in the text format.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows, and begins again with the process or the device.
    Counter,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: String,
    samples: Vec<(String, f64)>,
}

/// Families by name, each with its samples.
#[derive(Debug, Default)]
pub struct Families(BTreeMap<String, Family>);

impl Families {
    /// Adds a sample. The first sample of a family determines its kind and description.
    pub fn add(&mut self, name: &str, kind: Kind, help: &str, labels: &[(&str, &str)], value: f64) {
        if !self.0.contains_key(name) {
            let family = Family { kind, help: help.to_owned(), samples: Vec::new() };
            self.0.insert(name.to_owned(), family);
        }
        if let Some(family) = self.0.get_mut(name) {
            family.samples.push((formatted(labels), value));
        }
    }

    /// Adds a gauge.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(name, Kind::Gauge, help, labels, value);
    }

    /// Adds a counter.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(name, Kind::Counter, help, labels, value);
    }

    /// Returns the names of all families.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Formats all families.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (name, family) in &self.0 {
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            out.extend(["# HELP ", name, " ", &help, "\n# TYPE ", name, " ", family.kind.name(), "\n"]);
            for (labels, value) in &family.samples {
                // Writing to a string cannot fail.
                writeln!(out, "{name}{labels} {value}").ok();
            }
        }
        out
    }
}

fn formatted(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_family_are_together_and_labels_are_escaped() {
        let mut families = Families::default();
        families.gauge("b_watts", "Power.", &[("serial", "1")], 1.5);
        families.counter("a_total", "Requests\nof all.", &[], 12_345_678_901.0);
        families.gauge("b_watts", "Power.", &[("serial", "a\"b\\c\nd")], -2.0);
        assert_eq!(
            families.text(),
            "# HELP a_total Requests\\nof all.\n# TYPE a_total counter\na_total 12345678901\n# HELP b_watts Power.\n\
             # TYPE b_watts gauge\nb_watts{serial=\"1\"} 1.5\nb_watts{serial=\"a\\\"b\\\\c\\nd\"} -2\n"
        );
    }
}
