//! Counts what happens, for metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The maximum number of different things to count, so that memory is bounded whatever they are called.
const MOST: usize = 10_000;

/// The name of the count of requests to gateways, by path and outcome.
const GATEWAY_REQUESTS: &str = "enphased_page_requests_total";

/// The name of a count, and the values of its labels.
pub type Counted = (&'static str, Vec<(&'static str, String)>);

/// Counts since the start, by name and labels. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<Counted, u64>>>);

impl Tally {
    /// Counts one.
    pub fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = counts.len() >= MOST;
        let thing = (name, labels);
        if !is_full || counts.contains_key(&thing) {
            *counts.entry(thing).or_default() += 1;
        }
    }

    /// Counts a request to a gateway.
    pub fn count_request(&self, path: &str, outcome: &str) {
        self.count(GATEWAY_REQUESTS, &[("path", path), ("outcome", outcome)]);
    }

    /// Returns all counts, sorted by name and labels.
    pub fn all(&self) -> Vec<(Counted, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(thing, count)| (thing.clone(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_and_label_is_counted_on_its_own_and_memory_is_bounded() {
        let tally = Tally::default();
        for outcome in ["ok", "busy", "ok"] {
            tally.clone().count("requests", &[("outcome", outcome)]);
        }
        let counts: Vec<u64> = tally.all().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 2]);
        for n in 0..MOST + 10 {
            tally.count("requests", &[("outcome", &n.to_string())]);
        }
        assert_eq!(tally.all().len(), MOST);
    }
}
