//! Production by each of its routes: a meter, the gateway's own sums, or the sum of the inverters' reports.

use jiff::{SignedDuration, Timestamp};

use super::oddities::Oddity;
use super::pages::Cached;
use super::production_json::Rows;
use super::site::Site;
use super::values::Route;
use super::{age, inverters, production_json};
use crate::base::reading::{Inverter, Production, Source};
use crate::base::units::{WattHours, Watts};
use crate::io::gateway::Endpoint;
use crate::io::gateway::wire::production_json::Row;

/// The time after which a silent inverter counts as not producing. Inverters report every 5 to 15 minutes, some hourly.
const REPORTING: SignedDuration = SignedDuration::from_mins(65);

/// Returns production, with its power by one route and its total by another.
pub(super) fn production(site: &Site<'_>, power: Option<Route>, energy: Option<Route>) -> Option<Production> {
    let by = |route: Option<Route>| by(site, route?);
    match (by(power), by(energy)) {
        // `source` has to be that of the total, because the guard of totals depends on it.
        (Some(power), Some(energy)) => {
            let measured_at = power.measured_at.or(energy.measured_at);
            Some(Production { power_w: power.power_w, measured_at, ..energy })
        }
        (Some(power), None) => Some(Production { energy_wh: None, today_wh: None, ..power }),
        (None, Some(energy)) => Some(Production { power_w: None, ..energy }),
        (None, None) => None,
    }
}

/// Returns production by one route.
pub(super) fn by(site: &Site<'_>, route: Route) -> Option<Production> {
    match route {
        Route::Meters => {
            let flow = site.meter_set()?.production.flow()?;
            Some(Production { source: Source::Meter, ..sum(flow.power, flow.delivered, flow.at) })
        }
        Route::MeterRows => Rows::fresh(site)?.production(),
        Route::InverterRow => {
            let row = site.slow_page()?.inverters()?;
            let power = if is_stale(site, row) { None } else { row.power };
            let energy = if wraps(site) { None } else { row.energy() };
            Some(sum(power, energy, row.measured_at))
        }
        Route::Totals => {
            // If the meter is not updated, this page is not either, but it has no timestamp.
            if site.totals_are_zero() || site.stale_meter().is_some() {
                return None;
            }
            let kept = site.pages.production.as_ref()?;
            Some(sum(kept.page.power, kept.page.lifetime, site.clock.shown_at(kept.read.at)))
        }
        Route::Counters => {
            let kept = site.pages.energy.as_ref()?;
            let total = kept.page.lifetime.filter(|total| *total != WattHours::ZERO)?;
            Some(sum(kept.page.power, Some(total), site.clock.shown_at(kept.read.at)))
        }
        Route::Table => {
            let kept = site.pages.production_html.as_ref()?;
            let (page, shown_at) = (&kept.page, site.clock.shown_at(kept.read.at));
            Some(Production { today_wh: page.today, ..sum(page.power, page.lifetime, shown_at) })
        }
        Route::Details => {
            let page = Cached::page(site.pages.device_data.as_ref()).filter(|page| page.complete())?;
            reported(&inverters::inverters(Some(page), None, site.time), site.time)
        }
        Route::Reports => {
            let page = Cached::page(site.pages.inverters.as_ref())?;
            reported(&inverters::inverters(None, Some(page), site.time), site.time)
        }
        Route::Page(_) => None,
    }
}

/// Returns `true` if the power of the inverters' sum is too old: it has not changed for a day, or the whole page is stale.
///
/// At night its timestamp is that of dusk, or 0.
fn is_stale(site: &Site<'_>, row: &Row) -> bool {
    let is_behind = |bound| age::is_stale(row.measured_at, site.time, bound);
    let reports = row.measured_at.is_some() && !is_behind(REPORTING);
    is_behind(age::DEVICE) || (production_json::stale(site).is_some() && !reports)
}

/// Returns `true` if the inverters' total in `production.json` may lack multiples of 2^32 J (see
/// [`Oddity::WrappedTotal`]), and only replaces that of the fast page, which is correct.
fn wraps(site: &Site<'_>) -> bool {
    let is_replacement = site.offers(Endpoint::Production)
        && site.requests.why(Endpoint::Production).is_some()
        && site.requests.always_refused(Endpoint::Production).is_none();
    is_replacement && Oddity::WrappedTotal.affects(site.info.firmware)
}

/// Returns the sum of the reporting inverters. There is no lifetime total, because removed inverters are missing.
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

/// Creates production with the inverters as its source.
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
