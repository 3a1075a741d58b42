//! The history: the curve of a day, or bars, with steps to other times.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::bars::{Bars, bars};
use super::curve::{Range, curve};
use super::house::words;
use super::sum::{Sum, incomplete};
use super::view::View;
use crate::base::reading::Serial;
use crate::io::history::rows::Sample;
use crate::output::text::amounts::energy;
use crate::rules::history::periods::Period;

/// What the history shows.
#[derive(Clone, Debug)]
pub struct History {
    /// The part that is shown.
    pub view: View,
    /// The gateway that is shown; `None` for all together, or if there is none yet.
    pub gateway: Option<Serial>,
    /// The gateways to choose from, with their names.
    pub gateways: Vec<(Serial, String)>,
    /// The date of today.
    pub today: Date,
    /// The time zone.
    pub zone: TimeZone,
    /// The rows, or the reason that there are none.
    pub rows: Rows,
}

/// The rows that are shown.
#[derive(Clone, Debug)]
pub enum Rows {
    /// The history is switched off.
    Off,
    /// The history cannot be read now, for this reason.
    Unavailable(String),
    /// The rows.
    Found(Found),
}

/// The rows of a view.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The samples of a day; empty for bars.
    pub samples: Vec<Sample>,
    /// The periods of the bars; for a day, the day.
    pub periods: Vec<Period>,
    /// The first date of all.
    pub first: Option<Date>,
    /// What a reader has to know, if the rows are those of all gateways together.
    pub sum: Option<Sum>,
}

/// Renders the section.
pub fn history(history: &History) -> Markup {
    let title = history.view.title();
    html! {
        section #history.card.wide aria-labelledby="history-title" data-view=(history.view.query(None)) {
            h2 #history-title { "History" }
            @match &history.rows {
                Rows::Off => p.quiet {
                    "The history is switched off. " code { "enabled = true" } " below " code { "[history]" } " in the configuration \
                     switches it on."
                },
                Rows::Unavailable(reason) => {
                    (steps(history, &title, None))
                    p.quiet { "The history cannot be read now: " (words(reason)) "." }
                }
                Rows::Found(found) if found.first.is_none() => p.quiet {
                    "The history is empty. Its first values appear a quarter of an hour after the first reading."
                },
                Rows::Found(found) => {
                    (steps(history, &title, found.first))
                    (chart(history, &title, found))
                }
            }
        }
    }
}

/// Renders the links to other times.
fn steps(history: &History, title: &str, first: Option<Date>) -> Markup {
    let several = (history.gateways.len() > 1).then_some(history.gateway.as_ref()).flatten();
    let is_inside = |view: &View| {
        let (begin, end) = view.dates(history.today);
        begin <= history.today && first.is_none_or(|first| end >= first)
    };
    let link = |view: Option<View>, class: &str, name: &str, sign: &str| {
        let view = view.filter(is_inside);
        html! {
            @match view {
                Some(view) => a class=(class) href=(view.query(several)) aria-label=(name) { (sign) },
                None => span class=(class) aria-hidden="true" { (sign) },
            }
        }
    };
    html! {
        @if history.gateways.len() > 1 {
            nav.choice aria-label="Gateway" {
                a href=(history.view.query(None)) aria-current=[history.gateway.is_none().then_some("true")] { "All gateways" }
                @for (serial, name) in &history.gateways {
                    a href=(history.view.query(Some(serial))) aria-current=[(history.gateway.as_ref() == Some(serial)).then_some("true")] {
                        (words(name))
                    }
                }
            }
        }
        nav.steps aria-label="Time" {
            div.lengths {
                @for (name, view) in history.view.lengths(history.today) {
                    @let is_current = std::mem::discriminant(&view) == std::mem::discriminant(&history.view);
                    a href=(view.query(several)) aria-current=[is_current.then_some("true")] { (name) }
                }
            }
            div.move {
                (link(history.view.step(-1), "prev", "Earlier", "‹"))
                h3 #history-time tabindex="-1" aria-live="polite" { (title) }
                (link(history.view.step(1), "next", "Later", "›"))
            }
        }
    }
}

fn chart(history: &History, title: &str, found: &Found) -> Markup {
    let several = (history.gateways.len() > 1).then_some(history.gateway.as_ref()).flatten();
    let total = total(&found.periods);
    let is_empty = found.samples.is_empty() && found.periods.is_empty();
    let sum = found.sum.as_ref();
    let remarks = sum.map_or_else(Vec::new, |sum| incomplete(sum, history.view, &history.gateways));
    html! {
        @if !total.is_empty() {
            p.total {
                @for (name, amount) in &total { span { (name) " " b { (amount) } } }
                @if let Some(until) = until(history, &found.periods) { span { "until " (until) } }
            }
        }
        @for remark in &remarks { p.quiet { (remark) } }
        @if found.periods.iter().any(|period| period.estimated) {
            p.quiet { "A part of these energies is estimated." }
        }
        @if let View::Day(date) = history.view {
            @if let Some(gap) = found.periods.first().filter(|period| period.days > 1) {
                p.quiet {
                    "These energies cover " (gap.days) " days: "
                    (if found.sum.is_some() { "before, not every gateway was recorded." } else { "nothing was recorded before." })
                }
            }
            @if found.samples.is_empty() {
                @if remarks.is_empty() {
                    p.quiet { (if is_empty { "Nothing was recorded on this day." } else { "No curve was recorded on this day." }) }
                }
            } @else if let Some(range) = range(date, &history.zone) {
                (curve(&format!("Power on {title}"), &found.samples, range, &history.zone))
            }
        } @else if is_empty {
            @if remarks.is_empty() { p.quiet { "Nothing was recorded in this time." } }
        } @else {
            (bars(
                &format!("Energy, {title}"),
                Bars { view: history.view, today: history.today, gateway: several },
                &found.periods,
            ))
        }
    }
}

/// Returns the time from one midnight to the next.
fn range(date: Date, zone: &TimeZone) -> Option<Range> {
    let midnight = |date: Date| Some(date.to_zoned(zone.clone()).ok()?.timestamp());
    let begin: Timestamp = midnight(date)?;
    Some(Range { begin, end: midnight(date.tomorrow().ok()?)? })
}

/// Returns the time until which the energies were counted, if that is today: the rows are written every 15 minutes.
fn until(history: &History, periods: &[Period]) -> Option<String> {
    let until = periods.iter().map(|period| period.until).max()?.to_zoned(history.zone.clone());
    (until.date() == history.today).then(|| until.strftime("%H:%M").to_string())
}

/// Returns the sums of all periods.
fn total(periods: &[Period]) -> Vec<(&'static str, String)> {
    const NAMES: [&str; 6] = ["produced", "used", "imported", "exported", "charged", "discharged"];
    let sum = |place: usize| {
        let parts = periods.iter().filter_map(|period| period.energy.get(place).copied().flatten());
        crate::base::units::WattHours::total(parts.map(Some))
    };
    NAMES.iter().enumerate().filter_map(|(place, name)| Some((*name, energy(sum(place)?)))).collect()
}
