//! The values of each phase, where there are several.

use maud::{Markup, html};

use super::house::{House, Site};
use crate::base::reading::{Phase, PhaseValues};
use crate::output::text::amounts::{power, size};
use crate::output::text::{battery_word, grid_word};

/// A row of the table: its name, and the value of a phase.
type Row = (&'static str, fn(&Phase) -> Option<String>);

const ROWS: [Row; 7] = [
    ("Sun", |phase| of(phase.production.as_ref(), |values| values.power_w.map(power))),
    ("House", |phase| of(phase.consumption.as_ref(), |values| values.power_w.map(power))),
    ("Grid", |phase| {
        of(phase.grid.as_ref(), |values| Some(with_word(grid_word(values.power_w?), size(values.power_w?))))
    }),
    ("Battery", |phase| {
        of(phase.storage.as_ref(), |values| {
            Some(with_word(battery_word(values.power_w?), size(values.power_w?)))
        })
    }),
    ("Voltage", |phase| of(meter(phase), |values| Some(format!("{:.1} V", values.voltage_v?.value())))),
    ("Current", |phase| of(meter(phase), |values| Some(format!("{:.2} A", values.current_a?.value())))),
    ("Frequency", |phase| of(meter(phase), |values| Some(format!("{:.2} Hz", values.frequency_hz?.value())))),
];

fn of(values: Option<&PhaseValues>, show: fn(&PhaseValues) -> Option<String>) -> Option<String> {
    values.and_then(show)
}

/// Returns the meter that shows the voltage: the one at the grid, if there is one.
fn meter(phase: &Phase) -> Option<&PhaseValues> {
    phase.grid.as_ref().or(phase.production.as_ref()).or(phase.consumption.as_ref())
}

fn with_word(word: &str, size: String) -> String {
    if word == "idle" { size } else { format!("{size} {word}") }
}

/// Renders the section.
pub(super) fn phases(house: &House) -> Markup {
    let several = |site: &&Site| site.reading.as_ref().is_some_and(|reading| reading.phases.len() > 1);
    let sites: Vec<&Site> = house.sites.iter().filter(several).collect();
    html! {
        section #phases.card aria-labelledby="phases-title" hidden[sites.is_empty()] {
            h2 #phases-title { "Phases" }
            @for site in sites {
                @if house.is_several() { h3 { (site.name) } }
                @if !site.is_fresh { p.quiet { "Not now: the gateway does not respond" } }
                @if let Some(reading) = &site.reading { (table(&reading.phases)) }
            }
        }
    }
}

fn table(phases: &[Phase]) -> Markup {
    html! {
        table.phases {
            thead { tr { td {} @for phase in phases { th scope="col" { (phase.phase) } } } }
            tbody {
                @for (name, value) in ROWS {
                    @let values: Vec<Option<String>> = phases.iter().map(value).collect();
                    @if values.iter().any(Option::is_some) {
                        tr { th scope="row" { (name) } @for value in values { td { (value.unwrap_or_default()) } } }
                    }
                }
            }
        }
    }
}
