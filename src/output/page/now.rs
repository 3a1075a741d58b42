//! What flows now: a picture of each gateway, and of all of them together.

use maud::{Markup, html};

use super::flow::{Flows, capital, picture};
use super::house::{House, Site, words};
use super::times::{live_age, moment};
use crate::base::reading::Reading;
use crate::output::text::status;

/// Renders the section.
pub(super) fn now(house: &House) -> Markup {
    let is_several = house.is_several();
    html! {
        section #now.card.wide[is_several] aria-labelledby="now-title" data-title=[title(house)] {
            h2 #now-title { "Now" }
            @if house.read().next().is_none() {
                p.lead { "Waiting for the first reading" }
                p.quiet { (capital(&words(&house.summary))) "." }
            } @else {
                div.pictures[is_several] {
                    @if is_several { (together(house)) }
                    @for site in house.read() { (one(site, house, is_several)) }
                }
                @for site in unread(house) { p.quiet { (site.name) " has not been read yet." } }
            }
        }
    }
}

/// Returns the gateways that have not been read: new ones, and those that another one has replaced.
fn unread(house: &House) -> impl Iterator<Item = &Site> {
    house.sites.iter().filter(|site| site.reading.is_none())
}

/// Returns the sum of all gateways, if all respond.
fn sum(house: &House) -> Option<Flows> {
    let fresh: Vec<&Reading> = house.read().filter_map(Site::fresh).collect();
    let flows = (fresh.len() == house.read().count()).then(|| Flows::sum(&fresh));
    flows.filter(|flows| !flows.is_empty())
}

/// Returns the title of the window.
fn title(house: &House) -> Option<String> {
    sum(house).map(|flows| flows.headline())
}

fn together(house: &House) -> Markup {
    let without: Vec<String> = unread(house).map(|site| site.name.clone()).collect();
    let name = if without.is_empty() {
        "All gateways together".to_owned()
    } else {
        format!("Together, without {}", without.join(", "))
    };
    html! {
        div.picture {
            h3 { (name) }
            @match sum(house) {
                Some(flows) => {
                    p.lead { (flows.headline()) }
                    (picture(&flows, &format!("{name}: {}", flows.headline())))
                }
                None => p.quiet { "There is no sum, because not every gateway responds." },
            }
        }
    }
}

fn one(site: &Site, house: &House, is_named: bool) -> Markup {
    let flows = site.reading.as_deref().map(Flows::of);
    html! {
        div.picture.away[!site.is_fresh] data-serial=(site.serial) {
            @if is_named { h3 { (site.name) } }
            @match (&site.reading, flows) {
                (Some(reading), Some(flows)) if !flows.is_empty() => {
                    @if site.is_fresh {
                        p.lead { (flows.headline()) }
                    } @else {
                        p.lead { "Not now: values of " (moment(reading.time, house.now, &house.zone)) }
                    }
                    (picture(&flows, &description(site, reading, house)))
                    @if is_named {
                        p.quiet { (site.serial) " · measured " (live_age(reading.time, house.now)) }
                    } @else {
                        p.quiet { "Measured " (live_age(reading.time, house.now)) }
                    }
                }
                _ => p.lead { "Nothing measured yet" },
            }
        }
    }
}

/// Describes a picture for readers who cannot see it.
fn description(site: &Site, reading: &Reading, house: &House) -> String {
    let values = status(reading);
    if site.is_fresh {
        format!("Now: {values}")
    } else {
        format!("At {}: {values}", moment(reading.time, house.now, &house.zone))
    }
}
