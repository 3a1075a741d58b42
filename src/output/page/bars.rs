//! The days of a month, the months of a year, or all years, as bars.

use jiff::civil::Date;
use maud::{Markup, html};

use super::plot::{Axis, HEIGHT, Label, frame, percent};
use super::view::View;
use crate::base::reading::Counter;
use crate::base::reading::Serial;
use crate::base::units::WattHours;
use crate::output::text::amounts::energy;
use crate::rules::history::periods::Period;

/// The width of the place of a bar in the drawing.
const PLACE: i32 = 100;
/// The names and classes of the energies, in the order of [`Counter::ALL`].
const NAMES: [(&str, &str); 6] = [
    ("Produced", "sun"),
    ("Used", "house"),
    ("Imported", "import"),
    ("Exported", "export"),
    ("Charged", "battery"),
    ("Discharged", "discharged"),
];

/// What the bars are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars<'a> {
    pub(super) view: View,
    pub(super) today: Date,
    /// For the links, if there are several.
    pub(super) gateway: Option<&'a Serial>,
}

/// Draws the bars, with their key and their values in a table.
pub(super) fn bars(title: &str, about: Bars<'_>, periods: &[Period]) -> Markup {
    let places = places(about, periods);
    let shown = shown(periods);
    let value = |period: &Period, place: usize| energy_of(period, place).map(WattHours::value);
    let axis =
        Axis::new(periods.iter().flat_map(|period| shown.iter().filter_map(|place| value(period, *place))));
    let count = u32::try_from(places.len().max(1)).map_or(1.0, f64::from);
    html! {
        figure.chart data-chart="bars" {
            p.readout data-own {}
            div.box {
                (frame(title, &axis, "Wh", &labels(about, &places), count * f64::from(PLACE), &drawing(&places, periods, &shown, &axis)))
                div.cross data-own hidden {}
            }
            figcaption.key {
                @for place in &shown {
                    @let (name, class) = NAMES.get(*place).copied().unwrap_or_default();
                    span { i class=(class) {} (name) }
                }
            }
            (table(about, &places, periods))
        }
    }
}

/// Returns the first dates of all places, also of those without a bar.
fn places(about: Bars<'_>, periods: &[Period]) -> Vec<Date> {
    let (first, last) = about.view.dates(about.today);
    let first = if about.view == View::Years {
        periods.first().map_or(about.today.first_of_year(), |period| period.start)
    } else {
        first
    };
    let step = |date: Date| match about.view {
        View::Year(_) => date.first_of_month().checked_add(jiff::Span::new().months(1)).ok(),
        View::Years => date.first_of_year().checked_add(jiff::Span::new().years(1)).ok(),
        View::Day(_) | View::Month(_) => date.tomorrow().ok(),
    };
    std::iter::successors(Some(first), |date| step(*date))
        .take_while(|date| *date <= last)
        .take(200)
        .collect()
}

fn energy_of(period: &Period, place: usize) -> Option<WattHours> {
    period.energy.get(place).copied().flatten()
}

/// Returns the places of the energies that are drawn: what was produced and used; what is missing of these is replaced by
/// what the grid or the batteries counted.
fn shown(periods: &[Period]) -> Vec<usize> {
    let has = |place: &usize| periods.iter().any(|period| energy_of(period, *place).is_some());
    let wanted: &[usize] = match (has(&0), has(&1)) {
        (true, true) => &[0, 1],
        (false, false) => &[2, 3, 4, 5],
        _ => &[0, 1, 2, 3],
    };
    wanted.iter().copied().filter(has).collect()
}

fn drawing(places: &[Date], periods: &[Period], shown: &[usize], axis: &Axis) -> Markup {
    let count = i32::try_from(shown.len().max(1)).unwrap_or(1);
    let width = (PLACE - 24) / count;
    let zero = axis.y(0.0).min(HEIGHT);
    let place_of = |period: &Period| places.iter().position(|date| *date == period.start);
    html! {
        @for period in periods {
            @if let Some(left) = place_of(period).and_then(|place| i32::try_from(place).ok()).map(|place| place * PLACE + 12) {
                @for (n, place) in (0..).zip(shown) {
                    @if let Some(energy) = energy_of(period, *place) {
                        @let y = axis.y(energy.value());
                        rect class=(NAMES.get(*place).copied().unwrap_or_default().1) x=(left + n * width) width=(width - 2)
                            y=(format!("{y:.1}")) height=(format!("{:.1}", (zero - y).max(0.0))) {}
                    }
                }
            }
        }
    }
}

/// Returns the middle of a place in percent.
fn middle(n: usize, count: usize) -> f64 {
    let number = |n: usize| u32::try_from(n).map_or(0.0, f64::from);
    100.0 * (number(n) + 0.5) / number(count.max(1))
}

fn labels(about: Bars<'_>, places: &[Date]) -> Vec<Label> {
    let every = places.len().div_ceil(12).max(1);
    let label = |date: Date| match about.view {
        View::Month(_) | View::Day(_) => {
            let day = date.day();
            (day == 1 || day % 5 == 0).then(|| day.to_string())
        }
        View::Year(_) => Some(date.strftime("%b").to_string()),
        View::Years => (usize::try_from(date.year()).is_ok_and(|year| year.is_multiple_of(every)))
            .then(|| date.year().to_string()),
    };
    places.iter().enumerate().filter_map(|(n, date)| Some((middle(n, places.len()), label(*date)?))).collect()
}

/// Lists the values, for readers who cannot see the bars, and for the script to show. Each date leads to its own chart.
fn table(about: Bars<'_>, places: &[Date], periods: &[Period]) -> Markup {
    let measured: Vec<usize> = (0..Counter::ALL.len())
        .filter(|place| periods.iter().any(|period| energy_of(period, *place).is_some()))
        .collect();
    html! {
        details.values {
            summary { "Values as a table" }
            div.scroll tabindex="0" role="region" aria-label="Values of each bar" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Date" }
                            @for place in &measured { th scope="col" { (NAMES.get(*place).copied().unwrap_or_default().0) } }
                        }
                    }
                    tbody { @for period in periods { (row(about, places, period, &measured)) } }
                }
            }
        }
    }
}

fn row(about: Bars<'_>, places: &[Date], period: &Period, measured: &[usize]) -> Markup {
    let place = places.iter().position(|date| *date == period.start).unwrap_or_default();
    let (name, target) = match about.view {
        View::Day(_) | View::Month(_) => (period.start.strftime("%-d %B"), View::Day(period.start)),
        View::Year(_) => (period.start.strftime("%B"), View::Month(period.start)),
        View::Years => (period.start.strftime("%Y"), View::Year(period.start)),
    };
    let is_long = matches!(about.view, View::Month(_)) && period.days > 1;
    html! {
        tr data-x=(percent(middle(place, places.len()))) {
            th scope="row" {
                a href=(target.query(about.gateway)) { (name.to_string()) }
                @if is_long { " (" (period.days) " days)" }
            }
            @for place in measured { td { (energy_of(period, *place).map(energy).unwrap_or_default()) } }
        }
    }
}
