//! The document as JSON: one line for programs that read a pipe, and a tree from which the other outputs are
//! made without a second list of the fields.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::printable;
use crate::base::reading::Reading;

/// A list in the document whose entries have a name of their own.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The list's field, e.g. `inverters`.
    pub field: &'static str,
    /// What one entry is, e.g. `inverter`.
    pub entry: &'static str,
    /// The entry's field that names it, e.g. `serial`.
    pub key: &'static str,
}

/// Every list of the document. Places in a list change when a device comes or goes, names do not.
pub const LISTS: [List; 4] = [
    List { field: "phases", entry: "phase", key: "phase" },
    List { field: "inverters", entry: "inverter", key: "serial" },
    List { field: "batteries", entry: "battery", key: "serial" },
    List { field: "dry_contacts", entry: "dry_contact", key: "id" },
];

impl List {
    /// The list that is the document's field `field`.
    pub fn of(field: &str) -> Option<&'static Self> {
        LISTS.iter().find(|list| list.field == field)
    }
}

/// Any of the program's own values as JSON on one line, without the line's end. What is not printable is escaped, so that
/// a document on a terminal cannot steer it.
///
/// # Panics
///
/// For a map whose keys are no texts; the program has none.
#[expect(clippy::expect_used, reason = "see Panics")]
pub fn one_line<T: Serialize>(value: &T) -> String {
    printable::json(serde_json::to_string(value).expect("keys are texts"))
}

/// Adds the document and a line's end.
pub fn write(reading: &Reading, out: &mut String) {
    out.push_str(&one_line(reading));
    out.push('\n');
}

/// The document as a tree.
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
            // Domoticz takes these at the root for its own.
            for taken in ["battery", "state", "value", "linkquality"] {
                prop_assert!(!parsed.contains_key(taken));
            }
        }
    }
}
