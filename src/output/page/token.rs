//! The token, and the Enphase cloud: when it was last contacted and why, and what comes next.

use maud::{Markup, html};

use super::flow::capital;
use super::house::{Cloud, House, Site, Token, words};
use super::times::{date_of, moment};

/// Renders the section.
pub(super) fn token(house: &House) -> Markup {
    html! {
        section #token.card aria-labelledby="token-title" {
            h2 #token-title { "Token and cloud" }
            @for site in &house.sites { (of_site(site, house)) }
            dl.facts {
                @match &house.cloud {
                    Some(cloud) => (contact(cloud, house)),
                    None => { dt { "Enphase cloud" } dd { "Not known yet" } }
                }
                dt { "Next" }
                dd { (next(house)) }
            }
        }
    }
}

fn of_site(site: &Site, house: &House) -> Markup {
    html! {
        @if house.sites.len() > 1 { h3 { (site.name) } }
        @match &site.token {
            Some(token) => { p data-state=(token.state) { (sentence(token, house)) } }
            None if site.is_fresh => { p data-state="none" { "This gateway needs no token." } }
            None => { p data-state="unknown" { "Not known yet." } }
        }
    }
}

fn sentence(token: &Token, house: &House) -> String {
    let role = token.role.as_ref().map(|role| format!(" It is the {}'s.", words(role))).unwrap_or_default();
    match (token.state, token.expires_at) {
        ("valid", Some(until)) => {
            let days = until.duration_since(house.now).as_hours().div_euclid(24);
            let waiting = token.waiting.as_ref().map(|waiting| format!(" {}.", capital(&words(waiting))));
            let until = date_of(until, &house.zone);
            format!("Valid until {until}, for {days} more days.{role}{}", waiting.unwrap_or_default())
        }
        ("expiring", Some(until)) => {
            format!("Valid until {}, and due for renewal.{role}", date_of(until, &house.zone))
        }
        ("short", Some(until)) => {
            format!("Valid for hours only, until {}.{role}", moment(until, house.now, &house.zone))
        }
        ("expired", Some(until)) => format!("Expired on {}.{role}", date_of(until, &house.zone)),
        ("missing", _) => "There is no token yet.".to_owned(),
        _ => format!("{}.", words(&token.message)),
    }
}

fn contact(cloud: &Cloud, house: &House) -> Markup {
    html! {
        dt { "Enphase cloud" }
        @match cloud.contacted_at {
            Some(at) => dd {
                "Last contacted " (moment(at, house.now, &house.zone))
                @if let Some(reason) = &cloud.reason { ", because " (words(reason)) }
                @if let Some(outcome) = &cloud.outcome { ": " (words(outcome)) }
            },
            None => dd { "Not contacted yet" },
        }
        dt { "Logins in 30 days" }
        dd { (cloud.logins_in_30_days) }
    }
}

/// Says what comes next.
fn next(house: &House) -> String {
    if let Some((until, because)) = house.cloud.as_ref().and_then(|cloud| cloud.held_off.as_ref()) {
        return format!("No contact before {}: {}", moment(*until, house.now, &house.zone), words(because));
    }
    let tokens = || house.sites.iter().filter_map(|site| site.token.as_ref());
    if let Some(waiting) = tokens().find_map(|token| token.waiting.as_ref()) {
        return capital(&words(waiting));
    }
    match tokens().filter_map(|token| token.next_login_at).min() {
        Some(at) => format!("The next login is planned for {}", moment(at, house.now, &house.zone)),
        None if tokens().any(|token| token.state == "expiring") => "The token is renewed soon".to_owned(),
        None => "No contact is planned".to_owned(),
    }
}
