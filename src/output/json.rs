//! Converts readings to JSON: to one line for programs that read a pipe, and to a tree from which the other outputs are
//! made, so that only one list of fields is needed.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::printable;
use crate::base::reading::Reading;

/// A list in the document, with entries identified by a key.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The field of the list, e.g. `inverters`.
    pub field: &'static str,
    /// The name of one entry, e.g. `inverter`.
    pub entry: &'static str,
    /// The field that identifies an entry, e.g. `serial`.
    pub key: &'static str,
}

/// The lists of the document. An index in a list changes when devices are added or removed; a key does not.
pub const LISTS: [List; 4] = [
    List { field: "phases", entry: "phase", key: "phase" },
    List { field: "inverters", entry: "inverter", key: "serial" },
    List { field: "batteries", entry: "battery", key: "serial" },
    List { field: "dry_contacts", entry: "dry_contact", key: "id" },
];

impl List {
    /// Returns the list in `field`, if it is one.
    pub fn of(field: &str) -> Option<&'static Self> {
        LISTS.iter().find(|list| list.field == field)
    }
}

/// Formats a value as JSON on one line, without a line break.
///
/// Characters that are not printable are escaped, so that a document cannot control a terminal.
///
/// # Panics
///
/// Panics if a map has keys that are not texts; the program has none.
#[expect(clippy::expect_used, reason = "see Panics")]
pub fn one_line<T: Serialize>(value: &T) -> String {
    printable::json(serde_json::to_string(value).expect("keys are texts"))
}

/// Appends the document and a line break.
pub fn write(reading: &Reading, out: &mut String) {
    out.push_str(&one_line(reading));
    out.push('\n');
}

/// Converts a reading to a JSON tree.
pub fn tree(reading: &Reading) -> Map<String, Value> {
    match serde_json::to_value(reading) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::test_readings;

    #[test]
    fn a_gateway_without_meters_has_no_zeros_for_what_it_does_not_measure() {
        let mut line = String::new();
        write(&test_readings::bare(), &mut line);
        insta::assert_snapshot!(line, @r#"{"schema":1,"time":"2026-11-20T11:19:31Z","gateway":{"serial":"122300000001","firmware":"7.6.175","metered":false},"production":{"power_w":483.0,"energy_wh":812345,"source":"inverters","measured_at":"2026-11-20T11:14:02Z"},"inverters":[{"serial":"482200000001","power_w":245.0,"max_power_w":291.0,"reported_at":"2026-11-20T11:11:00Z"},{"serial":"482200000002","power_w":238.0,"max_power_w":291.0,"reported_at":"2026-11-20T11:05:00Z"}]}"#);
    }

    #[test]
    fn the_document_has_every_group_in_its_order() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&test_readings::full()).unwrap());
    }

    #[test]
    fn every_list_of_the_document_is_known() {
        let lists = tree(&test_readings::full()).into_iter().filter(|(_, value)| value.is_array());
        for (field, value) in lists {
            let list = List::of(&field).unwrap_or_else(|| panic!("LISTS lacks {field}"));
            assert!(value[0][list.key].is_string(), "{field} is named by {}", list.key);
        }
    }

    proptest! {
        #[test]
        fn a_document_is_one_line_that_parses(reading in test_readings::any()) {
            let mut line = String::new();
            write(&reading, &mut line);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.trim_end_matches('\n').chars().all(printable::is_printable), "{line:?}");
            let parsed: Map<String, Value> = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&parsed, &tree(&reading));
            // Domoticz interprets these keys at the root.
            for taken in ["battery", "state", "value", "linkquality"] {
                prop_assert!(!parsed.contains_key(taken));
            }
        }
    }
}
