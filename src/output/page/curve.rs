//! The curve of a day: power in steps of 5 minutes, and the state of charge.

use std::fmt::Write;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, PreEscaped, html};

use super::plot::{Axis, Label, frame, percent};
use crate::base::units::Watts;
use crate::io::history::rows::{SLOT_S, Sample};
use crate::output::text::amounts::{power, size};
use crate::output::text::{battery_word, grid_word};

/// The width of a slot in the drawing.
const SLOT: i32 = 4;
/// The slots of a row in the table.
const ROW_SLOTS: i64 = 3;
/// The names and classes of the powers of a sample, in its order.
const SERIES: [(&str, &str); 4] =
    [("Produced", "sun"), ("Used", "house"), ("Grid", "grid"), ("Battery", "battery")];

/// The time that a curve shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
}

impl Range {
    fn slots(&self) -> i64 {
        (self.end.as_second() - self.begin.as_second()) / SLOT_S
    }

    /// Returns the number of the slot of a sample.
    fn slot(&self, sample: &Sample) -> i64 {
        (sample.start.as_second() - self.begin.as_second()).div_euclid(SLOT_S)
    }

    /// Returns a position in percent.
    #[expect(clippy::cast_precision_loss, reason = "some hundred slots")]
    fn percent(&self, slots: f64) -> f64 {
        100.0 * slots / self.slots().max(1) as f64
    }
}

/// Draws the curve, with its key and its values in a table.
pub(super) fn curve(title: &str, samples: &[Sample], range: Range, zone: &TimeZone) -> Markup {
    let shown = shown(samples);
    let values = || {
        let powers = samples.iter().flat_map(|sample| shown.iter().map(|place| power_of(sample, *place)));
        powers.flatten().map(Watts::value)
    };
    let axis = Axis::new(values());
    let has_charge = samples.iter().any(|sample| sample.soc.is_some());
    html! {
        figure.chart data-chart="curve" {
            p.readout data-own {}
            div.box {
                (frame(title, &axis, "W", &labels(range, zone), width(range), &drawing(samples, &shown, &axis, range)))
                @if has_charge { (charge(samples, range)) }
                div.cross data-own hidden {}
            }
            figcaption.key {
                @for place in &shown {
                    @let (name, class) = SERIES.get(*place).copied().unwrap_or_default();
                    span { i class=(class) {} (name) }
                }
                @if has_charge { span { i.charge {} "Charge of the battery, 0 to 100 %" } }
            }
            (table(samples, range, zone))
        }
    }
}

/// Returns the places of the powers that are drawn: what was produced and used; what is missing of these is replaced by what
/// the grid or the batteries show.
fn shown(samples: &[Sample]) -> Vec<usize> {
    let has = |place: usize| samples.iter().any(|sample| power_of(sample, place).is_some());
    match (has(0), has(1)) {
        (true, true) => vec![0, 1],
        (false, false) => [2, 3].into_iter().filter(|place| has(*place)).collect(),
        _ => [0, 1, 2].into_iter().filter(|place| has(*place)).collect(),
    }
}

fn power_of(sample: &Sample, place: usize) -> Option<Watts> {
    sample.power.get(place).copied().flatten()
}

fn width(range: Range) -> f64 {
    i32::try_from(range.slots()).map_or(1.0, |slots| f64::from(slots * SLOT))
}

fn drawing(samples: &[Sample], shown: &[usize], axis: &Axis, range: Range) -> Markup {
    let runs = |place: usize| {
        runs(samples, range, |sample| power_of(sample, place).map(|watts| axis.y(watts.value())))
    };
    html! {
        @for place in shown {
            @let class = SERIES.get(*place).copied().unwrap_or_default().1;
            @let runs = runs(*place);
            @if *place == 0 { path class=(format!("area {class}")) d=(areas(&runs, axis.y(0.0))) {} }
            path class=(format!("line {class}")) d=(lines(&runs)) {}
        }
    }
}

/// Values without a gap: the slot of the first, and the heights in pixels.
type Run = (i64, Vec<i64>);

fn runs(samples: &[Sample], range: Range, height: impl Fn(&Sample) -> Option<f64>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for sample in samples {
        let (slot, Some(height)) = (range.slot(sample), height(sample)) else { continue };
        #[expect(clippy::cast_possible_truncation, reason = "within the drawing")]
        let height = height.round() as i64;
        match runs.last_mut() {
            Some((begin, heights))
                if i64::try_from(heights.len()).is_ok_and(|length| *begin + length == slot) =>
            {
                heights.push(height);
            }
            _ => runs.push((slot, vec![height])),
        }
    }
    runs
}

/// Returns a path through the middles of the slots.
fn lines(runs: &[Run]) -> String {
    let mut path = String::new();
    for (slot, heights) in runs {
        let mut last: Option<i64> = None;
        for height in heights {
            // Writing to a string does not fail.
            match last {
                None => write!(path, "M{} {height}h.01", slot * i64::from(SLOT) + i64::from(SLOT / 2)).ok(),
                Some(last) => write!(path, "l{SLOT} {}", height - last).ok(),
            };
            last = Some(*height);
        }
    }
    path
}

/// Returns the areas between the lines and the height `zero`.
fn areas(runs: &[Run], zero: f64) -> String {
    let mut path = String::new();
    for (slot, heights) in runs {
        let left = slot * i64::from(SLOT) + i64::from(SLOT / 2);
        write!(path, "M{left} {zero:.0}").ok();
        let mut last: Option<i64> = None;
        for height in heights {
            match last {
                None => write!(path, "V{height}").ok(),
                Some(last) => write!(path, "l{SLOT} {}", height - last).ok(),
            };
            last = Some(*height);
        }
        write!(path, "V{zero:.0}Z").ok();
    }
    path
}

/// Draws the state of charge as a strip below the curve.
fn charge(samples: &[Sample], range: Range) -> Markup {
    const HEIGHT: f64 = 44.0;
    let height =
        |sample: &Sample| sample.soc.map(|percent| 2.0 + (HEIGHT - 2.0) * (1.0 - percent.value() / 100.0));
    let runs = runs(samples, range, height);
    html! {
        svg.strip aria-hidden="true" width="100%" height=(HEIGHT) viewBox=(format!("0 0 {} {HEIGHT}", width(range)))
            preserveAspectRatio="none" {
            path.area.charge d=(areas(&runs, HEIGHT)) {}
            path.line.charge d=(lines(&runs)) {}
        }
    }
}

/// Returns the hours below the curve: every sixth one of the local clock.
fn labels(range: Range, zone: &TimeZone) -> Vec<Label> {
    let mut labels = Vec::new();
    let mut at = range.begin;
    while at <= range.end {
        let hour = at.to_zoned(zone.clone());
        #[expect(clippy::cast_precision_loss, reason = "seconds of a day")]
        let slots = (at.as_second() - range.begin.as_second()) as f64 / SLOT_S as f64;
        let position = range.percent(slots);
        if hour.minute() == 0 && hour.hour() % 6 == 0 && (1.0..99.0).contains(&position) {
            labels.push((position, format!("{}:00", hour.hour())));
        }
        at += SignedDuration::from_mins(30);
    }
    labels
}

/// Lists the values of each quarter of an hour, for readers who cannot see the curve, and for the script to show.
fn table(samples: &[Sample], range: Range, zone: &TimeZone) -> Markup {
    let measured: Vec<usize> = (0..SERIES.len())
        .filter(|place| samples.iter().any(|sample| power_of(sample, *place).is_some()))
        .collect();
    let has_charge = samples.iter().any(|sample| sample.soc.is_some());
    let rows = samples.chunk_by(|a, b| range.slot(a) / ROW_SLOTS == range.slot(b) / ROW_SLOTS);
    html! {
        details.values {
            summary { "Values as a table" }
            div.scroll tabindex="0" role="region" aria-label="Values of each quarter of an hour" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Time" }
                            @for place in &measured { th scope="col" { (SERIES.get(*place).copied().unwrap_or_default().0) } }
                            @if has_charge { th scope="col" { "Charge" } }
                        }
                    }
                    tbody { @for slots in rows { (row(slots, &measured, has_charge, range, zone)) } }
                }
            }
        }
    }
}

fn row(slots: &[Sample], measured: &[usize], has_charge: bool, range: Range, zone: &TimeZone) -> Markup {
    let Some(first) = slots.first() else { return PreEscaped(String::new()) };
    #[expect(clippy::cast_precision_loss, reason = "some hundred slots")]
    let middle = range.slot(first) as f64 + slots.len() as f64 / 2.0;
    let time = first.start.to_zoned(zone.clone()).strftime("%-H:%M").to_string();
    html! {
        tr data-x=(percent(range.percent(middle))) {
            th { (time) }
            @for place in measured { td { (mean(slots, *place).map(|watts| shown_as(*place, watts)).unwrap_or_default()) } }
            @if has_charge {
                td { @if let Some(soc) = slots.iter().rev().find_map(|sample| sample.soc) { (format!("{:.0} %", soc.value())) } }
            }
        }
    }
}

/// Returns the mean power of a quarter of an hour.
fn mean(slots: &[Sample], place: usize) -> Option<Watts> {
    let values: Vec<f64> =
        slots.iter().filter_map(|sample| power_of(sample, place)).map(Watts::value).collect();
    let count = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Watts::new(values.iter().sum::<f64>() / f64::from(count))
}

fn shown_as(place: usize, watts: Watts) -> String {
    let with = |word: &str| if word == "idle" { size(watts) } else { format!("{} {word}", size(watts)) };
    match place {
        2 => with(grid_word(watts)),
        3 => with(battery_word(watts)),
        _ => power(watts),
    }
}
