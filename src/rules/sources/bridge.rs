//! Continues the house's totals without a step while another page replaces their usual one.
//!
//! The house's total is computed from several meters. In `production.json` it differs by up to a kilowatt-hour, measured
//! on the recordings. The difference at the moment of the switch is added until the usual page works again.

use std::collections::BTreeMap;

use crate::base::reading::Phase;
use crate::base::units::WattHours;

/// The house's totals of the site and of each phase, by name.
#[derive(Debug, Default)]
pub(super) struct Bridges(BTreeMap<String, Bridge>);

#[derive(Clone, Copy, Debug)]
struct Bridge {
    /// The last total of the meters.
    last: f64,
    /// The offset added to the total of the replacement page.
    base: Option<f64>,
}

/// The key of the whole site.
const SITE: &str = "";

impl Bridges {
    /// Records the site's total of the meters.
    pub(super) fn of_meters(&mut self, total: Option<WattHours>) {
        self.meters(SITE, total);
    }

    /// Records the total of each phase of the meters.
    pub(super) fn phases_of_meters(&mut self, phases: &[Phase]) {
        for phase in phases {
            self.meters(&phase.phase, phase.consumption.as_ref().and_then(|house| house.energy_wh));
        }
    }

    /// Adjusts the site's total of the replacement page so that it continues that of the meters.
    pub(super) fn join(&mut self, total: Option<WattHours>) -> Option<WattHours> {
        self.joined(SITE, total)
    }

    /// Adjusts the total of each phase.
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
