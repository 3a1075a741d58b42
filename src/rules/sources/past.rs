//! Facts learned from the pages of a gateway since it was identified or its firmware changed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::values::{Route, Value};
use crate::base::reading::Reading;
use crate::io::gateway::Endpoint;

/// The number of pages without batteries after which there are none. A starting gateway shows none for minutes.
const NO_BATTERIES: u32 = 3;
/// The number of empty lists of meters, one per minute, after which a model with meters has none in use.
const NO_METERS: u32 = 5;

/// The number of pages, one every five minutes, without a battery after which the batteries count as removed: a day. An
/// update of the firmware takes an hour or two.
const REMOVED: u32 = 288;

/// The batteries of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatteryKind {
    /// `true` if a reading had such batteries, and they have not been removed since.
    pub(super) had: bool,
    /// The number of consecutive pages without such batteries.
    pages_without: u32,
}

impl BatteryKind {
    /// Records a page that lists such batteries, or none. Returns `true` if they count as removed from now on.
    fn record(&mut self, listed: bool) -> bool {
        self.pages_without = if self.had && !listed { self.pages_without + 1 } else { 0 };
        let removed = self.pages_without >= REMOVED;
        if removed {
            *self = Self::default();
        }
        removed
    }
}

/// The kinds of batteries on the site.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Batteries {
    pub(super) iq: BatteryKind,
    pub(super) acb: BatteryKind,
}

/// The facts learned about one gateway.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// `production.json` has shown an active production meter: see [`Oddity::FlickeringMeter`].
    ///
    /// [`Oddity::FlickeringMeter`]: super::oddities::Oddity::FlickeringMeter
    pub(super) meter_seen: bool,
    /// The last list of meters has a source of the house that is not in `production.json`.
    pub(super) hidden_feed: bool,
    /// The kinds of batteries in the readings so far.
    pub(super) had: Batteries,
    /// The number of consecutive empty lists of meters.
    empty_lists: u32,
    /// The number of consecutive pages without a battery, controller or collar.
    empty_inventories: u32,
    served: BTreeSet<(Value, Route)>,
    /// The pages whose last body contained `nan` or `inf`.
    no_numbers: BTreeSet<Endpoint>,
}

impl Past {
    /// Returns `true` if `value` was ever read from `route`.
    pub(super) fn served(&self, value: Value, route: Route) -> bool {
        self.served.contains(&(value, route))
    }

    /// Returns `true` if `value` was ever read.
    pub(super) fn had(&self, value: Value) -> bool {
        self.served.iter().any(|(one, _)| *one == value)
    }

    /// Returns `true` if any value was ever read from `endpoint`.
    pub(super) fn has_served(&self, endpoint: Endpoint) -> bool {
        self.served.iter().any(|(_, route)| route.pages().contains(&endpoint))
    }

    /// Records the routes of the values in `reading`.
    pub(super) fn learn(&mut self, routes: impl Iterator<Item = (Value, Option<Route>)>, reading: &Reading) {
        let has = |kind: &str| reading.batteries.iter().any(|battery| battery.kind == kind);
        self.had.iq.had |= has("encharge");
        self.had.acb.had |= has("acb");
        let is_empty = |value: Value| match value {
            // An empty list is valid, and must not be missed later.
            Value::Batteries => reading.batteries.is_empty() && reading.grid_connection.is_none(),
            Value::Inverters => reading.inverters.is_empty(),
            _ => false,
        };
        let routes = routes.filter_map(|(value, route)| Some((value, route?)));
        self.served.extend(routes.filter(|(value, _)| !is_empty(*value)));
    }

    /// Records whether the inventory lists IQ Batteries. Returns `true` if they count as removed from now on.
    pub(super) fn record_iq(&mut self, listed: bool) -> bool {
        let removed = self.had.iq.record(listed);
        if removed {
            self.forget(&[Value::Batteries, Value::BatteryTotals, Value::BatteryPowers]);
        }
        removed
    }

    /// Records whether the complete list of devices has AC batteries. Returns `true` if they count as removed from now on.
    pub(super) fn record_acb(&mut self, listed: bool) -> bool {
        let removed = self.had.acb.record(listed);
        if removed {
            self.forget(&[Value::AcBatteries, Value::AcBatteryTotals]);
        }
        removed
    }

    fn forget(&mut self, values: &[Value]) {
        self.served.retain(|(value, _)| !values.contains(value));
    }

    /// Records a list of meters. Returns `true` if it can be trusted.
    ///
    /// If the list is `empty` although the model has meters, the gateway may be starting. The list is trusted after it
    /// has been empty several times, and `production.json` has no meter `at_work` either.
    pub(super) fn trusts_list(&mut self, empty: bool, at_work: Option<bool>) -> bool {
        self.empty_lists = if empty { self.empty_lists.saturating_add(1) } else { 0 };
        !empty || (at_work == Some(false) && self.empty_lists >= NO_METERS)
    }

    /// Records an inventory, and returns the time until the next request. Batteries are rarely added.
    pub(super) fn inventory_period(&mut self, empty: bool) -> Duration {
        self.empty_inventories = if empty { self.empty_inventories.saturating_add(1) } else { 0 };
        if self.empty_inventories >= NO_BATTERIES {
            Endpoint::Meters.period()
        } else {
            Endpoint::EnsembleInventory.period()
        }
    }

    /// Records whether the body of `endpoint` contains `nan` or `inf`.
    pub(super) fn record_numbers(&mut self, endpoint: Endpoint, no_number: bool) {
        if no_number {
            self.no_numbers.insert(endpoint);
        } else {
            self.no_numbers.remove(&endpoint);
        }
    }

    /// Iterates over the pages whose last body contained `nan` or `inf`.
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
        let believed = at_work.map(|at_work| past.trusts_list(true, at_work));
        assert_eq!(believed, [false, false, false, false, false, true]);
        assert!(past.trusts_list(false, None));
        assert!(!past.trusts_list(true, Some(false)));
    }

    #[test]
    fn batteries_are_removed_after_a_day_without_any_and_not_before() {
        let mut past = Past::default();
        assert!((0..1000).all(|_| !past.record_iq(false)), "there was none");
        past.had.iq.had = true;
        for _ in 0..3 {
            assert!((1..REMOVED).all(|_| !past.record_iq(false)));
            assert!(!past.record_iq(true) && past.had.iq.had);
        }
        assert!((1..REMOVED).all(|_| !past.record_iq(false)));
        assert!(past.record_iq(false) && !past.had.iq.had);
        assert!((0..1000).all(|_| !past.record_iq(false)), "once");
    }

    #[test]
    fn an_empty_inventory_is_good_for_an_hour_only_when_it_stays() {
        let mut past = Past::default();
        let minutes =
            [true, true, true, true, false, true].map(|empty| past.inventory_period(empty).as_secs() / 60);
        assert_eq!(minutes, [5, 5, 60, 60, 5, 5]);
    }
}
