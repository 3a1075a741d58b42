//! Chooses the route to each value, the next page to request, and the pages to report as failing.

use jiff::Timestamp;

use super::flow::MeterState;
use super::pages::Cached;
use super::production_json;
use super::request_log::RequestTime;
use super::site::{Metering, Site};
use super::values::{Route, Value};
use super::{inverters, production};
use crate::io::gateway::Endpoint;
use crate::io::gateway::wire::inverters::Inverters;

/// The chosen route to each value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices([Option<Route>; Value::ALL.len()]);

impl Choices {
    /// Creates choices without any route.
    pub(super) const fn empty() -> Self {
        Self([None; Value::ALL.len()])
    }

    /// Chooses the first route that has each wanted value, preferring pages whose last request succeeded.
    pub(super) fn new(site: &Site<'_>) -> Self {
        let mut choices = [None; Value::ALL.len()];
        for (value, choice) in Value::ALL.into_iter().zip(&mut choices) {
            if site.wants(value) {
                let serving = || routes(site, value).filter(|route| yields(site, *route, value));
                *choice = serving().find(|route| is_current(site, *route)).or_else(|| serving().next());
            }
        }
        Self(choices)
    }

    /// Returns the route to `value`.
    pub(super) fn of(&self, value: Value) -> Option<Route> {
        self.iter().find(|(one, _)| *one == value)?.1
    }

    /// Iterates over the values and their routes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Value, Option<Route>)> {
        Value::ALL.into_iter().zip(self.0)
    }
}

fn routes(site: &Site<'_>, value: Value) -> impl Iterator<Item = Route> + Clone {
    value.routes(site.origin()).iter().copied()
}

/// Returns the page to request at `when`, skipping pages that are `skipped`.
///
/// For each wanted value, this is the first due page among its routes, up to the route that has the value.
pub(super) fn next_page(
    site: &Site<'_>,
    when: RequestTime,
    skipped: impl Fn(Endpoint) -> bool,
) -> Option<Endpoint> {
    let wanted = Value::ALL.into_iter().filter(|value| site.wants(*value));
    wanted.into_iter().find_map(|value| {
        for route in routes(site, value) {
            let offered = route.pages().iter().copied().take_while(|page| site.offers(*page));
            if let Some(page) =
                offered.into_iter().find(|page| site.requests.due(*page, when) && !skipped(*page))
            {
                return Some(page);
            }
            if is_current(site, route) && yields(site, route, value) {
                break;
            }
        }
        None
    })
}

/// Returns `true` if the pages of `route` are available and their last requests succeeded.
///
/// The list of meters may be an old one: it hardly ever changes.
fn is_current(site: &Site<'_>, route: Route) -> bool {
    route.pages().iter().all(|page| {
        site.offers(*page)
            && site.pages.has(*page)
            && (*page == Endpoint::Meters || site.requests.succeeded(*page))
    })
}

/// Returns `true` if the pages of `route` contain `value`.
///
/// Impossible values are dropped later, when the reading is assembled, because another page would show the same.
fn yields(site: &Site<'_>, route: Route, value: Value) -> bool {
    match (value, route) {
        (Value::ProductionPower, route) => {
            production::by(site, route).is_some_and(|production| production.power_w.is_some())
        }
        (Value::ProductionEnergy, route) => {
            production::by(site, route).is_some_and(|production| production.energy_wh.is_some())
        }
        (_, Route::Meters) => meters_yield(site, value),
        (_, Route::MeterRows) => production_json::yields(site, value),
        (Value::Inverters, Route::Details) => {
            let whole = site.pages.has(Endpoint::DeviceData) && !site.device_data_is_cut();
            whole && !inverters::plain_is_better(site)
        }
        (Value::Inverters, Route::Reports) => {
            let reports = site.pages.inverters.as_ref();
            let named = |kept: &Cached<Inverters>| kept.page.0.iter().any(|row| row.serial.is_some());
            reports.is_some_and(|kept| named(kept) || !site.past.served(value, route))
        }
        (Value::Batteries, route) => {
            let is_whole = site.has_ensemble() && !site.misses_iq_batteries();
            site.pages.has(route.page()) && (is_whole || !site.past.served(value, route))
        }
        (_, route) => route.pages().iter().all(|page| site.pages.has(*page)),
    }
}

/// Returns `true` if the readings of the listed meters suffice for `value`.
fn meters_yield(site: &Site<'_>, value: Value) -> bool {
    let Some(set) = site.meter_set() else { return false };
    let power = |meter: MeterState| meter.flow().is_some_and(|flow| flow.power.is_some());
    let delivered = |meter: MeterState| meter.flow().is_some_and(|flow| flow.delivered.is_some());
    let both_ways =
        |meter: MeterState| meter.flow().is_some_and(|flow| flow.delivered.and(flow.received).is_some());
    let complete = set.is_complete();
    match value {
        Value::HousePower => power(set.total) || (complete && power(set.net) && power(set.production)),
        Value::HouseEnergy => {
            delivered(set.total) || (complete && both_ways(set.net) && delivered(set.production))
        }
        Value::GridPower => power(set.net) || (complete && power(set.total) && power(set.production)),
        Value::GridEnergy => both_ways(set.net),
        Value::Phases => complete,
        Value::Storage => set.storage.flow().is_some(),
        _ => false,
    }
}

/// The reason why a page does not yield an expected value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shortfall {
    /// The last request failed.
    Failed,
    /// The values were measured at this time, which is too long ago.
    Stale(Timestamp),
    /// The page lacks the value.
    Lacking,
}

/// Returns the page of `route` that should yield `value` and does not, with the reason.
pub(super) fn shortfall(site: &Site<'_>, route: Route, value: Value) -> Option<(Endpoint, Shortfall)> {
    for page in route.pages() {
        if !site.offers(*page) {
            return None;
        }
        let failed =
            site.requests.why(*page).is_some() && !(*page == Endpoint::Meters && site.listed().is_some());
        if failed {
            let absent =
                site.requests.always_refused(*page).is_some() && !page.page().is_certain(site.info.firmware);
            return (!absent).then_some((*page, Shortfall::Failed));
        }
    }
    if !is_current(site, route) || yields(site, route, value) {
        return None;
    }
    match route {
        Route::Meters => {
            Some((route.page(), site.stale_meter().map_or(Shortfall::Lacking, Shortfall::Stale)))
        }
        Route::MeterRows => {
            let stale = production_json::stale(site).map(Shortfall::Stale);
            let lacking = site.past.served(value, route).then_some(Shortfall::Lacking);
            Some((route.page(), stale.or(lacking)?))
        }
        Route::Details if inverters::details_are_stale(site) => {
            let newest = site
                .pages
                .device_data
                .as_ref()?
                .page
                .inverters
                .iter()
                .filter_map(|inverter| inverter.reported.at())
                .max();
            Some((route.page(), newest.map_or(Shortfall::Lacking, Shortfall::Stale)))
        }
        // At night no inverter reports.
        Route::Details | Route::Reports if value == Value::ProductionPower => None,
        // These pages may lack values because of a firmware oddity.
        Route::Details if site.device_data_has_no_room() => None,
        Route::Totals if site.totals_are_zero() || site.stale_meter().is_some() => None,
        _ => site.past.served(value, route).then_some((route.page(), Shortfall::Lacking)),
    }
}

/// Explains for each page why it yields no production.
///
/// Returns `None` if the site produces nothing: every page of the gateway agrees on that.
pub(super) fn why_no_production(site: &Site<'_>, inverters: usize) -> Option<String> {
    let mut pages: Vec<Endpoint> = Vec::new();
    for page in routes(site, Value::ProductionPower).flat_map(|route| route.pages().to_vec()) {
        if site.offers(page) && !pages.contains(&page) {
            pages.push(page);
        }
    }
    let certain = |page: Endpoint| {
        site.requests.always_refused(page).is_none() || page.page().is_certain(site.info.firmware)
    };
    let failing = pages.iter().any(|page| site.requests.why(*page).is_some() && certain(*page));
    let produces = inverters > 0
        || (site.past.had(Value::ProductionPower) || site.past.had(Value::ProductionEnergy))
        || site.metering() == Metering::Listed && site.lists("production")
        || site
            .slow_page()
            .is_some_and(|page| page.inverters().is_some() || page.production_meter().is_some());
    let words = |page: &Endpoint| {
        let why = site.requests.why(*page).map_or_else(|| "shows none".to_owned(), str::to_owned);
        format!("{} ({why})", page.path())
    };
    let tried: Vec<String> =
        pages.iter().filter(|page| **page != Endpoint::Meters || failing).map(words).collect();
    (failing || produces).then(|| tried.join(", "))
}
