//! The batteries, and how the house is connected and set up.

use maud::{Markup, html};

use super::gauge::gauge;
use super::house::{House, Site};
use crate::base::printable::one_line;
use crate::base::reading::{Battery, Reading, Storage};
use crate::output::text::amounts::{energy, size};
use crate::output::text::battery_word;

/// The maximum number of characters of a gateway's word.
const LONGEST: usize = 40;

/// Renders the section.
pub(super) fn batteries(house: &House) -> Markup {
    let sites: Vec<(&Site, &Reading)> = house
        .sites
        .iter()
        .filter_map(|site| Some((site, site.reading.as_deref()?)))
        .filter(|(_, reading)| !reading.batteries.is_empty() || reading.storage.is_some())
        .collect();
    html! {
        section #batteries.card aria-labelledby="batteries-title" hidden[sites.is_empty()] {
            h2 #batteries-title { "Batteries" }
            @for (site, reading) in sites {
                @if house.is_several() { h3 { (site.name) } }
                @if !site.is_fresh { p.quiet { "Not now: the gateway does not respond" } }
                @if let Some(sum) = reading.storage.as_ref().and_then(stored) { p { (sum) } }
                ul.rows { @for battery in &reading.batteries { (one(battery)) } }
                @let facts = facts(reading);
                @if !facts.is_empty() { ul.facts { @for fact in facts { li { (fact) } } } }
            }
        }
    }
}

fn stored(storage: &Storage) -> Option<String> {
    let (available, capacity) = storage.available_wh.zip(storage.capacity_wh)?;
    Some(format!("{} of {} stored", energy(available), energy(capacity)))
}

fn one(battery: &Battery) -> Markup {
    let kind = match battery.kind.as_str() {
        "encharge" => "IQ Battery",
        "acb" => "AC Battery",
        _ => "Battery",
    };
    let flow = battery.power_w.map(|watts| match battery_word(watts) {
        "idle" => "idle".to_owned(),
        word => format!("{word} {}", size(watts)),
    });
    let warmth = battery.temperature_c.map(|celsius| format!("{:.0} °C", celsius.value()));
    let capacity = battery.capacity_wh.map(energy);
    let details: Vec<String> = flow.into_iter().chain(warmth).chain(capacity).collect();
    html! {
        li {
            div { (kind) " " span.serial { (battery.serial) } }
            @if let Some(percent) = battery.soc_percent {
                @let charge = format!("{:.0}", percent.value());
                div.charge {
                    (gauge(percent.value(), &format!("Charge of {}", battery.serial)))
                    b { (charge) " %" }
                }
            }
            @if !details.is_empty() { div.quiet { (details.join(", ")) } }
        }
    }
}

/// Describes the switches and the settings.
fn facts(reading: &Reading) -> Vec<String> {
    let word = |text: &str| one_line(text, LONGEST).into_owned();
    let mut facts = Vec::new();
    match reading.grid_connection.as_ref().and_then(|group| group.state.as_deref()) {
        Some("closed") => facts.push("The house is connected to the grid".to_owned()),
        Some("open") => facts.push("The house is disconnected from the grid".to_owned()),
        Some(other) => facts.push(format!("Connection to the grid: {}", word(other))),
        None => {}
    }
    if let Some(mode) = reading.tariff.as_ref().and_then(|group| group.mode.as_deref()) {
        facts.push(format!("Mode: {}", word(mode)));
    }
    if let Some(reserve) = reading.tariff.as_ref().and_then(|group| group.reserve_percent) {
        facts.push(format!("Reserve for a power cut: {:.0} %", reserve.value()));
    }
    if let Some(state) = reading.generator.as_ref().and_then(|group| group.state.as_deref()) {
        facts.push(format!("Generator: {}", word(state)));
    }
    for contact in &reading.dry_contacts {
        let name = contact.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&contact.id);
        if let Some(state) = &contact.state {
            facts.push(format!("{}: {}", word(name), word(state)));
        }
    }
    facts
}
