//! What flows now: a picture of each gateway, and of all of them together.

use maud::{Markup, html};

use super::flow::{Flows, capital, picture};
use super::house::{House, Site, words};
use super::times::{live_age, moment};
use crate::base::reading::Reading;
use crate::output::text::status;

/// Renders the section.
pub(super) fn now(house: &House) -> Markup {
    let fresh: Vec<&Reading> = house.sites.iter().filter_map(Site::fresh).collect();
    let is_several = house.sites.len() > 1;
    html! {
        section #now.card.wide[is_several] aria-labelledby="now-title" data-title=[title(house)] {
            h2 #now-title { "Now" }
            @if house.sites.iter().all(|site| site.reading.is_none()) {
                p.lead { "Waiting for the first reading" }
                p.quiet { (capital(&words(&house.summary))) "." }
            } @else {
                @if is_several && fresh.len() != house.sites.len() {
                    p.quiet { "There is no sum, because not every gateway responds." }
                }
                div.pictures[is_several] {
                    @if is_several && fresh.len() == house.sites.len() { (together(&fresh)) }
                    @for site in &house.sites { (one(site, house, is_several)) }
                }
            }
        }
    }
}

/// Returns the title of the window: the production, otherwise what flows.
fn title(house: &House) -> Option<String> {
    let fresh: Vec<&Reading> = house.sites.iter().filter_map(Site::fresh).collect();
    let flows = Flows::sum(&fresh);
    let is_complete = fresh.len() == house.sites.len() && !flows.is_empty();
    is_complete.then(|| flows.headline())
}

fn together(fresh: &[&Reading]) -> Markup {
    let flows = Flows::sum(fresh);
    html! {
        @if !flows.is_empty() {
            div.picture {
                h3 { "All gateways together" }
                p.lead { (flows.headline()) }
                (picture(&flows, &format!("All gateways together: {}", flows.headline())))
            }
        }
    }
}

fn one(site: &Site, house: &House, is_named: bool) -> Markup {
    let flows = site.reading.as_deref().map(Flows::of);
    html! {
        div.picture.away[!site.is_fresh] data-serial=(site.serial) {
            @if is_named { h3 { (site.name()) } }
            @match (&site.reading, flows) {
                (Some(reading), Some(flows)) if !flows.is_empty() => {
                    @if site.is_fresh {
                        p.lead { (flows.headline()) }
                    } @else {
                        p.lead { "Not now: values of " (moment(reading.time, house.now, &house.zone)) }
                    }
                    (picture(&flows, &description(site, reading, house)))
                    p.quiet { "Measured " (live_age(reading.time, house.now)) }
                }
                (Some(_), _) => p.lead { "The gateway responds, and measures nothing yet" },
                (None, _) => p.lead { "Waiting for the first reading" },
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
