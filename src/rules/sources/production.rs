//! Production by each of its ways: a meter, the gateway's own sums, or the sum of what inverters report.

use jiff::{SignedDuration, Timestamp};

use super::oddities::Oddity;
use super::pages::Kept;
use super::site::Site;
use super::slow::Rows;
use super::table::Way;
use super::{age, inverters, slow};
use crate::base::reading::{Inverter, Production, Source};
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::Endpoint;
use crate::io::gateway::wire::production_json::Row;

/// Inverters report every 5 to 15 minutes, some once an hour; one that is silent for longer gives nothing.
const REPORTING: SignedDuration = SignedDuration::from_mins(65);

/// Production, its power by one way and its total by another.
pub(super) fn production(site: &Site<'_>, power: Option<Way>, energy: Option<Way>) -> Option<Production> {
    let by = |way: Option<Way>| by(site, way?);
    match (by(power), by(energy)) {
        // The total's source is what the guard of totals goes by.
        (Some(power), Some(energy)) => {
            let measured_at = power.measured_at.or(energy.measured_at);
            Some(Production { power_w: power.power_w, measured_at, ..energy })
        }
        (Some(power), None) => Some(Production { energy_wh: None, today_wh: None, ..power }),
        (None, Some(energy)) => Some(Production { power_w: None, ..energy }),
        (None, None) => None,
    }
}

/// Production by one way.
pub(super) fn by(site: &Site<'_>, way: Way) -> Option<Production> {
    match way {
        Way::Meters => {
            let flow = site.place()?.production.flow()?;
            Some(Production { source: Source::Meter, ..sum(flow.power, flow.delivered, flow.at) })
        }
        Way::MeterRows => Rows::fresh(site)?.production(),
        Way::InverterRow => {
            let row = site.slow_page()?.inverters()?;
            let power = row.power.filter(|_| !stands_still(site, row));
            Some(sum(power, row.energy().filter(|_| !wraps(site)), row.measured_at))
        }
        Way::Totals => {
            // Where the meter stands still this page does too, and has no stamp that shows it.
            let useless = site.totals_are_zero() || site.stale_meter().is_some();
            let kept = site.pages.production.as_ref().filter(|_| !useless)?;
            Some(sum(kept.page.power, kept.page.lifetime, site.clock.shown_at(kept.read.at)))
        }
        Way::Counters => {
            let kept = site.pages.energy.as_ref()?;
            let total = kept.page.lifetime.filter(|total| *total != WattHours::ZERO)?;
            Some(sum(kept.page.power, Some(total), site.clock.shown_at(kept.read.at)))
        }
        Way::Table => {
            let kept = site.pages.production_html.as_ref()?;
            let (page, shown_at) = (&kept.page, site.clock.shown_at(kept.read.at));
            Some(Production { today_wh: page.today, ..sum(page.power, page.lifetime, shown_at) })
        }
        Way::Details => {
            let page = Kept::page(site.pages.device_data.as_ref()).filter(|page| page.complete())?;
            reported(&inverters::inverters(Some(page), None, site.time), site.time)
        }
        Way::Reports => {
            let page = Kept::page(site.pages.inverters.as_ref())?;
            reported(&inverters::inverters(None, Some(page), site.time), site.time)
        }
        Way::Page(_) => None,
    }
}

/// Whether the inverters' sum is too old to be their power: nothing was reported for a day, or the whole page stands still.
/// By night its stamp is that of dusk, or 0.
fn stands_still(site: &Site<'_>, row: &Row) -> bool {
    let is_behind = |bound| age::is_stale(row.measured_at, site.time, bound);
    let reports = row.measured_at.is_some() && !is_behind(REPORTING);
    is_behind(age::DEVICE) || (slow::stale(site).is_some() && !reports)
}

/// Whether the inverters' total of `production.json` may lack multiples of 2^32 J and only stands in for the fast one,
/// which does not (see [`Oddity::WrappedTotal`]).
fn wraps(site: &Site<'_>) -> bool {
    let stands_in = site.offers(Endpoint::Production)
        && site.visits.why(Endpoint::Production).is_some()
        && site.visits.always_refused(Endpoint::Production).is_none();
    stands_in && Oddity::WrappedTotal.holds(site.info.firmware)
}

/// The sum of the inverters that report; their lifetime totals leave out those that were removed.
fn reported(inverters: &[Inverter], time: Option<Timestamp>) -> Option<Production> {
    let newest = inverters.iter().filter_map(|inverter| inverter.reported_at).max()?;
    let reports = |inverter: &&Inverter| {
        let now = time.unwrap_or(newest);
        inverter.reported_at.is_some_and(|at| now.duration_since(at) <= REPORTING)
    };
    let reporting: Vec<&Inverter> = inverters.iter().filter(reports).collect();
    let power = Watts::total(reporting.iter().map(|inverter| inverter.power_w));
    (!reporting.is_empty()).then(|| sum(power, None, Some(newest)))
}

/// Production as the inverters sum it up.
pub(super) fn sum(
    power_w: Option<Watts>,
    energy_wh: Option<WattHours>,
    measured_at: Option<Timestamp>,
) -> Production {
    Production {
        power_w,
        energy_wh,
        today_wh: None,
        yesterday_wh: None,
        source: Source::Inverters,
        measured_at,
    }
}
