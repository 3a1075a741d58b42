//! The choice of a way for each value: the next page to ask for, the way that is used, and which page falls short.

use jiff::Timestamp;

use super::flow::Metered;
use super::pages::Kept;
use super::site::{Metering, Site};
use super::slow;
use super::table::{Value, Way};
use super::visits::When;
use super::{inverters, production};
use crate::io::gateway::Endpoint;
use crate::io::gateway::wire::inverters::Inverters;

/// The way that each value is taken from, if any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices([Option<Way>; Value::ALL.len()]);

impl Choices {
    /// No way to any value.
    pub(super) const fn none() -> Self {
        Self([None; Value::ALL.len()])
    }

    /// The first way of each wanted value whose pages are there and have it, preferring those whose last request
    /// succeeded.
    pub(super) fn new(site: &Site<'_>) -> Self {
        let mut choices = [None; Value::ALL.len()];
        for (value, choice) in Value::ALL.into_iter().zip(&mut choices) {
            if site.wants(value) {
                let serving = || ways(site, value).filter(|way| serves(site, *way, value));
                *choice = serving().find(|way| is_current(site, *way)).or_else(|| serving().next());
            }
        }
        Self(choices)
    }

    /// The way of `value`.
    pub(super) fn of(&self, value: Value) -> Option<Way> {
        self.iter().find(|(one, _)| *one == value)?.1
    }

    /// Each value and its way.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Value, Option<Way>)> {
        Value::ALL.into_iter().zip(self.0)
    }
}

fn ways(site: &Site<'_>, value: Value) -> impl Iterator<Item = Way> + Clone {
    value.ways(site.origin()).iter().copied()
}

/// The page to ask for at `when`: the first that is due among the ways to each wanted value, up to the one that has it.
/// Those that are `spared` are not asked for.
pub(super) fn next_page(site: &Site<'_>, when: When, spared: impl Fn(Endpoint) -> bool) -> Option<Endpoint> {
    let wanted = Value::ALL.into_iter().filter(|value| site.wants(*value));
    wanted.into_iter().find_map(|value| {
        for way in ways(site, value) {
            let offered = way.pages().iter().copied().take_while(|page| site.offers(*page));
            if let Some(page) =
                offered.into_iter().find(|page| site.visits.due(*page, when) && !spared(*page))
            {
                return Some(page);
            }
            if is_current(site, way) && serves(site, way, value) {
                break;
            }
        }
        None
    })
}

/// Whether the pages of `way` are there and none of them failed at its last request. The list of meters is as good as
/// it was when it was last read.
fn is_current(site: &Site<'_>, way: Way) -> bool {
    way.pages().iter().all(|page| {
        site.offers(*page)
            && site.pages.has(*page)
            && (*page == Endpoint::Meters || site.visits.succeeded(*page))
    })
}

/// Whether the pages of `way` have `value`. What they have and what cannot be is for those to judge who make the reading
/// of it: another page does not know better.
fn serves(site: &Site<'_>, way: Way, value: Value) -> bool {
    match (value, way) {
        (Value::ProductionPower, way) => production::by(site, way).is_some_and(|it| it.power_w.is_some()),
        (Value::ProductionEnergy, way) => production::by(site, way).is_some_and(|it| it.energy_wh.is_some()),
        (_, Way::Meters) => meters_serve(site, value),
        (_, Way::MeterRows) => slow::serves(site, value),
        (Value::Inverters, Way::Details) => {
            let whole = site.pages.has(Endpoint::DeviceData) && !site.device_data_is_cut();
            whole && !inverters::others_report(site)
        }
        (Value::Inverters, Way::Reports) => {
            let reports = site.pages.inverters.as_ref();
            let named = |kept: &Kept<Inverters>| kept.page.0.iter().any(|row| row.serial.is_some());
            reports.is_some_and(|kept| named(kept) || !site.past.served(value, way))
        }
        (Value::Batteries, way) => {
            site.pages.has(way.page()) && (site.has_ensemble() || !site.past.served(value, way))
        }
        (_, way) => way.pages().iter().all(|page| site.pages.has(*page)),
    }
}

/// Whether the listed meters have what makes up `value`.
fn meters_serve(site: &Site<'_>, value: Value) -> bool {
    let Some(place) = site.place() else { return false };
    let power = |meter: Metered| meter.flow().is_some_and(|flow| flow.power.is_some());
    let delivered = |meter: Metered| meter.flow().is_some_and(|flow| flow.delivered.is_some());
    let both_ways =
        |meter: Metered| meter.flow().is_some_and(|flow| flow.delivered.and(flow.received).is_some());
    let complete = place.is_complete();
    match value {
        Value::HousePower => power(place.total) || (complete && power(place.net) && power(place.production)),
        Value::HouseEnergy => {
            delivered(place.total) || (complete && both_ways(place.net) && delivered(place.production))
        }
        Value::GridPower => power(place.net) || (complete && power(place.total) && power(place.production)),
        Value::GridEnergy => both_ways(place.net),
        Value::Phases => complete,
        Value::Storage => place.storage.flow().is_some(),
        _ => false,
    }
}

/// Why a page falls short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shortfall {
    /// Its last request failed.
    Failed,
    /// What it shows is as old as this.
    Stale(Timestamp),
    /// It does not show what it should.
    Lacking,
}

/// The page of `way` that falls short of `value`, if it should have it.
pub(super) fn shortfall(site: &Site<'_>, way: Way, value: Value) -> Option<(Endpoint, Shortfall)> {
    for page in way.pages() {
        if !site.offers(*page) {
            return None;
        }
        let failed =
            site.visits.why(*page).is_some() && !(*page == Endpoint::Meters && site.listed().is_some());
        if failed {
            let absent =
                site.visits.always_refused(*page).is_some() && !page.page().is_certain(site.info.firmware);
            return (!absent).then_some((*page, Shortfall::Failed));
        }
    }
    if !is_current(site, way) || serves(site, way, value) {
        return None;
    }
    match way {
        Way::Meters => Some((way.page(), site.stale_meter().map_or(Shortfall::Lacking, Shortfall::Stale))),
        Way::MeterRows => {
            let stale = slow::stale(site).map(Shortfall::Stale);
            let lacking = site.past.served(value, way).then_some(Shortfall::Lacking);
            Some((way.page(), stale.or(lacking)?))
        }
        Way::Details if inverters::details_stand_still(site) => {
            let newest = site
                .pages
                .device_data
                .as_ref()?
                .page
                .inverters
                .iter()
                .filter_map(|it| it.reported.at())
                .max();
            Some((way.page(), newest.map_or(Shortfall::Lacking, Shortfall::Stale)))
        }
        // By night no inverter reports.
        Way::Details | Way::Reports if value == Value::ProductionPower => None,
        // The oddities of the firmware say why these may have nothing.
        Way::Details if site.device_data_has_no_room() => None,
        Way::Totals if site.totals_are_zero() || site.stale_meter().is_some() => None,
        _ => site.past.served(value, way).then_some((way.page(), Shortfall::Lacking)),
    }
}

/// Why there is no production, by the pages that could have it; `None` for a site that produces nothing: every page
/// says so that this gateway has.
pub(super) fn why_no_production(site: &Site<'_>, inverters: usize) -> Option<String> {
    let mut pages: Vec<Endpoint> = Vec::new();
    for page in ways(site, Value::ProductionPower).flat_map(|way| way.pages().to_vec()) {
        if site.offers(page) && !pages.contains(&page) {
            pages.push(page);
        }
    }
    let certain = |page: Endpoint| {
        site.visits.always_refused(page).is_none() || page.page().is_certain(site.info.firmware)
    };
    let failing = pages.iter().any(|page| site.visits.why(*page).is_some() && certain(*page));
    let produces = inverters > 0
        || (site.past.had(Value::ProductionPower) || site.past.had(Value::ProductionEnergy))
        || site.metering() == Metering::Listed && site.lists("production")
        || site
            .slow_page()
            .is_some_and(|page| page.inverters().is_some() || page.production_meter().is_some());
    let words = |page: &Endpoint| {
        let why = site.visits.why(*page).map_or_else(|| "shows none".to_owned(), str::to_owned);
        format!("{} ({why})", page.path())
    };
    let tried: Vec<String> =
        pages.iter().filter(|page| **page != Endpoint::Meters || failing).map(words).collect();
    (failing || produces).then(|| tried.join(", "))
}
