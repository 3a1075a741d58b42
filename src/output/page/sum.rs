//! The sum of all gateways in the history: where it is incomplete, and why.

use super::house::words;
use super::times::date;
use super::view::View;
use crate::base::reading::{Counter, Serial};
use crate::rules::history::sums::Remarks;

/// What a reader has to know about the sum of all gateways.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// The remarks about the periods.
    pub remarks: Remarks,
    /// The curve has gaps where only some gateways have values.
    pub has_gaps: bool,
}

/// Says where the sum is incomplete, and why.
pub(super) fn incomplete(sum: &Sum, view: View, gateways: &[(Serial, String)]) -> Vec<String> {
    let name = |serial: &Serial| {
        let known = gateways.iter().find(|(known, _)| known == serial);
        known.map_or_else(|| format!("Gateway {serial}"), |(_, name)| words(name))
    };
    let mut remarks = Vec::new();
    let unmeasured: Vec<&str> = sum.remarks.unmeasured.iter().map(|quantity| word(*quantity)).collect();
    if !unmeasured.is_empty() {
        remarks
            .push(format!("No sum of what was {}: not every gateway measures it.", list(&unmeasured, "or")));
    }
    if let Some((first, gateways)) = &sum.remarks.waiting {
        let names: Vec<String> = gateways.iter().map(name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let were = if names.len() == 1 { "was" } else { "were" };
        let (when, throughout) = match view {
            View::Day(_) => (String::new(), " throughout this day"),
            View::Month(_) | View::Year(_) | View::Years => (format!(" from {} on", date(*first)), ""),
        };
        remarks.push(format!("No sum{when}: {} {were} not recorded{throughout}.", list(&names, "and")));
    }
    if sum.has_gaps {
        remarks.push("The curve has gaps where not every gateway was recorded.".to_owned());
    }
    let begun = sum
        .remarks
        .begun
        .iter()
        .map(|(gateway, on)| format!("{} is part of it from {} on.", name(gateway), date(*on)));
    let ended = sum
        .remarks
        .ended
        .iter()
        .map(|(gateway, on)| format!("{} is part of it until {}.", name(gateway), date(*on)));
    remarks.extend(begun.chain(ended));
    remarks
}

const fn word(quantity: Counter) -> &'static str {
    match quantity {
        Counter::Production => "produced",
        Counter::Consumption => "used",
        Counter::Import => "imported",
        Counter::Export => "exported",
        Counter::Charged => "charged",
        Counter::Discharged => "discharged",
    }
}

/// Joins words as in a sentence: `a, b and c`.
fn list(words: &[&str], last_word: &str) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} {last_word} {last}", first.join(", ")),
    }
}
