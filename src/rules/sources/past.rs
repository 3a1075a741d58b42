//! What was found out about a gateway since it was identified, or its firmware changed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::table::{Value, Way};
use crate::base::reading::Reading;
use crate::io::gateway::Endpoint;

/// A gateway that is starting shows no batteries for minutes; after so many pages without any there are none.
const NO_BATTERIES: u32 = 3;
/// The same for a list without meters, asked for once a minute, where the model has them.
const NO_METERS: u32 = 5;

/// The kinds of batteries that there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Batteries {
    pub(super) iq: bool,
    pub(super) acb: bool,
}

/// The past of one gateway.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// `production.json` has shown a production meter at work: see [`Oddity::FlickeringMeter`].
    ///
    /// [`Oddity::FlickeringMeter`]: super::oddities::Oddity::FlickeringMeter
    pub(super) meter_seen: bool,
    /// The last list of meters has one that feeds the house and is on no row of `production.json`.
    pub(super) hidden_feed: bool,
    /// The batteries that a reading had.
    pub(super) had: Batteries,
    /// Lists of meters in a row that had none.
    empty_lists: u32,
    /// Pages in a row without a battery, controller or collar.
    empty_inventories: u32,
    served: BTreeSet<(Value, Way)>,
    /// Pages that last held what JSON has no number for.
    no_numbers: BTreeSet<Endpoint>,
}

impl Past {
    /// Whether `value` ever came by `way`.
    pub(super) fn served(&self, value: Value, way: Way) -> bool {
        self.served.contains(&(value, way))
    }

    /// Whether `value` ever came.
    pub(super) fn had(&self, value: Value) -> bool {
        self.served.iter().any(|(one, _)| *one == value)
    }

    /// Whether anything was ever read from `endpoint`.
    pub(super) fn has_served(&self, endpoint: Endpoint) -> bool {
        self.served.iter().any(|(_, way)| way.pages().contains(&endpoint))
    }

    /// Records by which ways the values of `reading` came.
    pub(super) fn learn(&mut self, ways: impl Iterator<Item = (Value, Option<Way>)>, reading: &Reading) {
        let has = |kind: &str| reading.batteries.iter().any(|battery| battery.kind == kind);
        self.had = Batteries { iq: self.had.iq || has("encharge"), acb: self.had.acb || has("acb") };
        let is_empty = |value: Value| match value {
            // An empty list is an answer, and nothing to miss later.
            Value::Batteries => reading.batteries.is_empty() && reading.grid_connection.is_none(),
            Value::Inverters => reading.inverters.is_empty(),
            _ => false,
        };
        let ways = ways.filter_map(|(value, way)| Some((value, way?)));
        self.served.extend(ways.filter(|(value, _)| !is_empty(*value)));
    }

    /// Records a list of meters; returns whether to believe it. One that is `empty` although the model has meters may be
    /// that of a gateway that starts: it is believed when it has stayed so, and `production.json` has no meter `at_work`
    /// either.
    pub(super) fn believes_list(&mut self, empty: bool, at_work: Option<bool>) -> bool {
        self.empty_lists = if empty { self.empty_lists.saturating_add(1) } else { 0 };
        !empty || (at_work == Some(false) && self.empty_lists >= NO_METERS)
    }

    /// Records whether the inventory shows anything; returns how long it is good for. Batteries are not bought every day.
    pub(super) fn inventory_hold(&mut self, empty: bool) -> Duration {
        self.empty_inventories = if empty { self.empty_inventories.saturating_add(1) } else { 0 };
        if self.empty_inventories >= NO_BATTERIES {
            Endpoint::Meters.period()
        } else {
            Endpoint::EnsembleInventory.period()
        }
    }

    /// Records whether `endpoint` holds what JSON has no number for.
    pub(super) fn shows(&mut self, endpoint: Endpoint, no_number: bool) {
        if no_number {
            self.no_numbers.insert(endpoint);
        } else {
            self.no_numbers.remove(&endpoint);
        }
    }

    /// The pages that last held what JSON has no number for.
    pub(super) fn without_numbers(&self) -> impl Iterator<Item = Endpoint> {
        self.no_numbers.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_meters_is_believed_when_it_stays_and_no_meter_is_at_work() {
        let mut past = Past::default();
        let at_work = [None, Some(false), Some(true), Some(false), Some(true), Some(false)];
        let believed = at_work.map(|at_work| past.believes_list(true, at_work));
        assert_eq!(believed, [false, false, false, false, false, true]);
        assert!(past.believes_list(false, None));
        assert!(!past.believes_list(true, Some(false)));
    }

    #[test]
    fn an_empty_inventory_is_good_for_an_hour_only_when_it_stays() {
        let mut past = Past::default();
        let minutes =
            [true, true, true, true, false, true].map(|empty| past.inventory_hold(empty).as_secs() / 60);
        assert_eq!(minutes, [5, 5, 60, 60, 5, 5]);
    }
}
