//! The inverters as tiles, coloured by what each made today.

use maud::{Markup, html};

use super::house::{House, Site};
use super::times::moment;
use crate::base::reading::{Condition, Inverter};
use crate::base::units::{WattHours, Watts};
use crate::output::text::amounts::{energy, power};
use crate::rules::history::so_far::so_far;

/// The number of colours.
const LEVELS: f64 = 5.0;

/// Renders the section.
pub(super) fn inverters(house: &House) -> Markup {
    let sites: Vec<&Site> = house.sites.iter().filter(|site| !of(site).is_empty()).collect();
    html! {
        section #inverters.card.wide aria-labelledby="inverters-title" hidden[sites.is_empty()] {
            h2 #inverters-title { "Inverters" }
            @for site in &sites { (one(site, house)) }
        }
    }
}

fn of(site: &Site) -> &[Inverter] {
    site.reading.as_ref().map_or(&[], |reading| &reading.inverters)
}

fn one(site: &Site, house: &House) -> Markup {
    let inverters = of(site);
    let by_energy = inverters.iter().any(|inverter| today(site, house, inverter).is_some());
    let amount = |inverter: &Inverter| -> Option<f64> {
        if by_energy {
            today(site, house, inverter).map(WattHours::value)
        } else {
            inverter.power_w.map(Watts::value)
        }
    };
    let most = inverters.iter().filter_map(amount).fold(0.0, f64::max);
    html! {
        @if house.is_several() { h3 { (site.name) } }
        p.quiet { (summary(site, by_energy)) }
        ul.tiles {
            @for inverter in inverters { (tile(inverter, today(site, house, inverter).map(energy).as_deref(), by_energy, level(amount(inverter), most), house)) }
        }
        @if most > 0.0 {
            p.legend aria-hidden="true" {
                "less" i.l1 {} i.l2 {} i.l3 {} i.l4 {} i.l5 {} "more " (if by_energy { "today" } else { "at the last report" })
            }
        }
    }
}

/// Returns what an inverter has made today, up to its newest report.
fn today(site: &Site, house: &House, inverter: &Inverter) -> Option<WattHours> {
    let counted = site.today.inverters.get(inverter.serial.as_str())?;
    let midnight = house.midnight();
    let is_of_today = site.reading.as_ref().is_some_and(|reading| reading.time >= midnight);
    so_far(counted, inverter.energy_wh.filter(|_| is_of_today), midnight)
}

/// Returns the colour, from 0 (nothing) to 5 (as much as the best one).
fn level(amount: Option<f64>, most: f64) -> u8 {
    let share = amount.map_or(0.0, |amount| if most > 0.0 { amount / most } else { 0.0 });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 5")]
    let level = (share * LEVELS).ceil().clamp(0.0, LEVELS) as u8;
    level
}

fn summary(site: &Site, by_energy: bool) -> String {
    let inverters = of(site);
    let count = inverters.len();
    let mut parts = vec![if count == 1 { "One inverter".to_owned() } else { format!("{count} inverters") }];
    let condition = |condition| {
        let named = inverters.iter().filter(|inverter| inverter.condition == Some(condition));
        named.map(|inverter| inverter.serial.to_string()).collect::<Vec<_>>().join(", ")
    };
    for (named, word) in [(condition(Condition::Silent), "silent"), (condition(Condition::Weak), "weak")] {
        if !named.is_empty() {
            parts.push(format!("{word}: {named}"));
        }
    }
    parts.push(if by_energy { "energy of today" } else { "power of the last report" }.to_owned());
    parts.join("; ")
}

fn tile(inverter: &Inverter, made: Option<&str>, by_energy: bool, level: u8, house: &House) -> Markup {
    let word = match inverter.condition {
        Some(Condition::Silent) => Some("silent"),
        Some(Condition::Weak) => Some("weak"),
        Some(Condition::Good) | None => None,
    };
    let class = word.map_or_else(|| format!("l{level}"), |word| format!("l{level} {word}"));
    // An inverter that is missing from the energies of today has not reported today: its last power is an old one.
    let is_old = made.is_none() && by_energy;
    let power = inverter.power_w.filter(|_| !is_old).map(power);
    let title = inverter.reported_at.map(|at| moment(at, house.now, &house.zone));
    html! {
        li class=(class) title=[title] {
            span { (inverter.serial) }
            @if let Some(first) = made.or(power.as_deref()) { b { (first) } } @else { b { "no report" } }
            @if let Some(word) = word { em { (word) } }
            @else if let (Some(_), Some(power)) = (&made, &power) { small { (power) } }
        }
    }
}
