//! Totals that go on without a step when another page stands in for the one they come from.
//!
//! The house's total is made of several meters, and `production.json` makes it a little differently: up to a
//! kilowatt-hour, measured on the recordings. The difference at the moment of the change is added until the first page is
//! back, whose total then is the truth again.

use std::collections::BTreeMap;

use crate::base::reading::Phase;
use crate::base::units::WattHours;

/// The house's totals: of the site, and of each phase by its name.
#[derive(Debug, Default)]
pub(super) struct Bridges(BTreeMap<String, Bridge>);

#[derive(Clone, Copy, Debug)]
struct Bridge {
    /// The total by the meters, when they were last read.
    last: f64,
    /// What is added to the total of the page that stands in.
    base: Option<f64>,
}

/// The name of the whole site among the phases.
const SITE: &str = "";

impl Bridges {
    /// Takes the site's total as the meters show it.
    pub(super) fn of_meters(&mut self, total: Option<WattHours>) {
        self.meters(SITE, total);
    }

    /// Takes the total of each phase as the meters show it.
    pub(super) fn phases_of_meters(&mut self, phases: &[Phase]) {
        for phase in phases {
            self.meters(&phase.phase, phase.consumption.as_ref().and_then(|house| house.energy_wh));
        }
    }

    /// Joins the site's total of the page that stands in to that of the meters.
    pub(super) fn join(&mut self, total: Option<WattHours>) -> Option<WattHours> {
        self.joined(SITE, total)
    }

    /// Joins the total of each phase.
    pub(super) fn join_phases(&mut self, phases: &mut [Phase]) {
        for phase in phases {
            if let Some(house) = &mut phase.consumption {
                house.energy_wh = self.joined(&phase.phase, house.energy_wh);
            }
        }
    }

    fn meters(&mut self, name: &str, total: Option<WattHours>) {
        let Some(total) = total else { return };
        let bridge = Bridge { last: total.value(), base: None };
        match self.0.get_mut(name) {
            Some(known) => *known = bridge,
            None => drop(self.0.insert(name.to_owned(), bridge)),
        }
    }

    fn joined(&mut self, name: &str, total: Option<WattHours>) -> Option<WattHours> {
        let Some(bridge) = self.0.get_mut(name) else { return total };
        let total = total?.value();
        WattHours::new(total + *bridge.base.get_or_insert(bridge.last - total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wh(total: f64) -> Option<WattHours> {
        WattHours::new(total)
    }

    #[test]
    fn a_total_goes_on_where_the_meters_left_it_and_their_own_is_the_truth_again() {
        let mut bridges = Bridges::default();
        bridges.of_meters(wh(8_000_000.0));
        assert_eq!(bridges.join(wh(8_000_870.0)), wh(8_000_000.0));
        assert_eq!(bridges.join(wh(8_000_900.0)), wh(8_000_030.0));
        bridges.of_meters(wh(8_000_031.0));
        assert_eq!(bridges.join(wh(8_000_850.0)), wh(8_000_031.0));
        assert_eq!(bridges.join(None), None);
    }

    #[test]
    fn a_total_that_the_meters_never_showed_is_as_the_page_has_it() {
        assert_eq!(Bridges::default().join(wh(5.0)), wh(5.0));
    }
}
