//! The energies of today so far.

use jiff::Timestamp;
use maud::{Markup, html};

use super::flow::capital;
use super::gauge::gauge;
use super::house::{House, Site};
use super::times::moment;
use crate::base::reading::{Grid, Reading, Storage};
use crate::base::units::WattHours;
use crate::output::text::amounts::energy;

/// The least consumption for which a share of it says something.
const ENOUGH_WH: f64 = 100.0;

/// An energy of today at one gateway.
#[derive(Clone, Copy)]
enum Amount {
    NotMeasured,
    /// Measured, but not known since midnight.
    Unknown,
    Known(WattHours),
}

impl Amount {
    fn of_counter((total, today): Counter) -> Self {
        if total.is_some() || today.is_some() { Self::of_measured(today) } else { Self::NotMeasured }
    }

    fn of_measured(today: Option<WattHours>) -> Self {
        today.map_or(Self::Unknown, Self::Known)
    }

    fn known(self) -> Option<WattHours> {
        match self {
            Self::Known(energy) => Some(energy),
            Self::NotMeasured | Self::Unknown => None,
        }
    }
}

/// An energy of today.
struct Part {
    word: &'static str,
    class: &'static str,
    /// Finds the energy in a reading.
    today: fn(&Reading) -> Amount,
    /// Finds that of yesterday.
    yesterday: fn(&Reading) -> Option<WattHours>,
}

/// The energies in the order of [`Counter::ALL`](crate::base::reading::Counter::ALL).
const PARTS: [Part; 6] = [
    Part {
        word: "Produced",
        class: "sun",
        today: |reading| group(reading.production.as_ref(), |group| group.today_wh),
        yesterday: |reading| reading.production.as_ref()?.yesterday_wh,
    },
    Part {
        word: "Used",
        class: "house",
        today: |reading| group(reading.consumption.as_ref(), |group| group.today_wh),
        yesterday: |reading| reading.consumption.as_ref()?.yesterday_wh,
    },
    Part {
        word: "Imported",
        class: "import",
        today: |reading| grid(reading, |grid| (grid.import_wh, grid.import_today_wh)),
        yesterday: |_| None,
    },
    Part {
        word: "Exported",
        class: "export",
        today: |reading| grid(reading, |grid| (grid.export_wh, grid.export_today_wh)),
        yesterday: |_| None,
    },
    Part {
        word: "Charged",
        class: "battery",
        today: |reading| storage(reading, |group| (group.charged_wh, group.charged_today_wh)),
        yesterday: |_| None,
    },
    Part {
        word: "Discharged",
        class: "battery",
        today: |reading| storage(reading, |group| (group.discharged_wh, group.discharged_today_wh)),
        yesterday: |_| None,
    },
];
/// The places of two of them.
const USED: usize = 1;
const IMPORTED: usize = 2;
/// The places of those that every gateway has to measure for a sum, as in the picture of all together.
const OF_ALL: [usize; 3] = [USED, IMPORTED, 3];

/// A lifetime total, and its growth today.
type Counter = (Option<WattHours>, Option<WattHours>);

fn group<T>(group: Option<&T>, today: fn(&T) -> Option<WattHours>) -> Amount {
    group.map_or(Amount::NotMeasured, |group| Amount::of_measured(today(group)))
}

fn grid(reading: &Reading, part: fn(&Grid) -> Counter) -> Amount {
    reading.grid.as_ref().map_or(Amount::NotMeasured, |grid| Amount::of_counter(part(grid)))
}

fn storage(reading: &Reading, part: fn(&Storage) -> Counter) -> Amount {
    reading.storage.as_ref().map_or(Amount::NotMeasured, |storage| Amount::of_counter(part(storage)))
}

/// Returns an energy of today at one gateway.
fn of_site(house: &House, site: &Site, place: usize) -> Amount {
    let (Some(reading), Some(part)) = (site.reading.as_deref(), PARTS.get(place)) else {
        return Amount::NotMeasured;
    };
    match (part.today)(reading) {
        Amount::NotMeasured => Amount::NotMeasured,
        Amount::Known(energy) if is_of_today(house, reading) => Amount::Known(energy),
        Amount::Known(_) | Amount::Unknown => Amount::of_measured(
            site.today.site.as_ref().and_then(|period| period.energy.get(place).copied().flatten()),
        ),
    }
}

/// A gateway that does not respond since yesterday still shows what was today then.
fn is_of_today(house: &House, reading: &Reading) -> bool {
    let day = |time: Timestamp| time.to_zoned(house.zone.clone()).date();
    day(reading.time) == day(house.now)
}

/// Returns the sum over all gateways, if all parts are known: the house and the grid are those of all, and a gateway without
/// panels or batteries adds none.
fn sum(house: &House, place: usize) -> Option<WattHours> {
    let is_part = |amount: &Amount| OF_ALL.contains(&place) || !matches!(amount, Amount::NotMeasured);
    let amounts = house.read().map(|site| of_site(house, site, place));
    WattHours::total(amounts.filter(is_part).map(Amount::known))
}

/// Returns the share of the consumption that did not come from the grid, in percent.
fn self_sufficiency(house: &House) -> Option<f64> {
    // Every gateway has to measure both: a part of a house has no such share.
    let is_complete = |place| house.read().all(|site| of_site(house, site, place).known().is_some());
    let (used, imported) = (sum(house, USED)?.value(), sum(house, IMPORTED)?.value());
    let is_honest = is_complete(USED) && is_complete(IMPORTED) && used >= ENOUGH_WH;
    is_honest.then(|| (1.0 - imported / used).clamp(0.0, 1.0) * 100.0)
}

/// Renders the section.
pub(super) fn today(house: &House) -> Markup {
    let amounts: Vec<Markup> =
        PARTS.iter().enumerate().filter_map(|(place, part)| amount(house, place, part)).collect();
    html! {
        section #today.card.wide[house.is_several()] aria-labelledby="today-title" {
            h2 #today-title { "Today so far" }
            @if amounts.is_empty() {
                p.quiet {
                    "Not known yet. The energy of a day is known from midnight on, and with the history after a quarter of \
                     an hour."
                }
            } @else {
                dl.amounts.each[house.is_several()] { @for amount in &amounts { (amount) } }
            }
            @if let Some(share) = self_sufficiency(house) {
                div.share {
                    (gauge(share, "Self-sufficiency today"))
                    p { b { (format!("{share:.0} %")) } " self-sufficient: this share did not come from the grid" }
                }
            }
            @for remark in remarks(house) { p.quiet { (remark) } }
        }
    }
}

/// Renders an energy, with that of each gateway if there are several; `None` if nothing of it is known.
fn amount(house: &House, place: usize, part: &Part) -> Option<Markup> {
    let sum = sum(house, place);
    let named = |site: &Site| Some((site.name.clone(), of_site(house, site, place).known()?));
    let each: Vec<_> = if house.is_several() { house.read().filter_map(named).collect() } else { Vec::new() };
    if sum.is_none() && each.is_empty() {
        return None;
    }
    let mut read = house.read();
    let one = match (read.next(), read.next()) {
        (Some(site), None) => site.reading.as_deref().filter(|reading| is_of_today(house, reading)),
        _ => None,
    };
    let yesterday = one.and_then(part.yesterday);
    Some(html! {
        div class=(part.class) {
            dt { (part.word) }
            dd {
                @if let Some(sum) = sum { b { (energy(sum)) } }
                @for (name, amount) in each {
                    small { span { (name.strip_prefix("Gateway ").unwrap_or(&name)) } " " span { (energy(amount)) } }
                }
                @if let Some(yesterday) = yesterday { small { "yesterday " (energy(yesterday)) } }
            }
        }
    })
}

/// Says what the energies cover, where that is less than one would think.
fn remarks(house: &House) -> Vec<String> {
    let mut remarks = Vec::new();
    let is_several = house.is_several();
    for site in house.read() {
        let Some(reading) = site.reading.as_deref() else { continue };
        let name = if is_several { format!("{}: ", site.name) } else { String::new() };
        let time = |at| moment(at, house.now, &house.zone);
        let is_live = reading.production.as_ref().is_some_and(|group| group.today_wh.is_some());
        if let Some(period) = site.today.site.as_ref().filter(|_| !is_live) {
            remarks.push(format!("{name}from {} to {}", time(period.since), time(period.until)));
        } else if !site.is_fresh {
            remarks.push(format!("{name}as of {}", time(reading.time)));
        }
        if reading.storage.as_ref().is_some_and(|group| group.energy_estimated) {
            remarks.push(format!("{name}what the batteries charged and discharged is estimated"));
        }
    }
    remarks.iter().map(|remark| capital(remark)).collect()
}
