//! The rows of the first part of the table: current power, energy of today and yesterday, and totals.

use jiff::Timestamp;

use crate::base::reading::Reading;
use crate::base::units::{WattHours, Watts};
use crate::output::text::amounts::{energy, power, size};
use crate::output::text::line::{battery_word, grid_word};
use crate::output::text::paint::Paint;

/// A row of the table.
#[derive(Default)]
pub(super) struct Row {
    /// The group; empty if the row continues the one before.
    pub(super) name: &'static str,
    /// The power, or the state of charge.
    pub(super) now: Option<String>,
    /// The direction, or the name of the counter.
    pub(super) word: String,
    /// The colour of `now`.
    pub(super) paint: Option<Paint>,
    pub(super) today: Option<WattHours>,
    pub(super) yesterday: Option<WattHours>,
    pub(super) total: Option<WattHours>,
    /// The time of the measurement, by the gateway's clock.
    pub(super) measured_at: Option<Timestamp>,
}

/// Returns the rows: production, house, grid, battery.
pub(super) fn rows(reading: &Reading) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(production) = &reading.production {
        rows.push(Row {
            name: "Production",
            now: production.power_w.map(power),
            paint: Some(Paint::Yellow),
            today: production.today_wh,
            yesterday: production.yesterday_wh,
            total: production.energy_wh,
            measured_at: production.measured_at,
            ..Row::default()
        });
    }
    if let Some(consumption) = &reading.consumption {
        rows.push(Row {
            name: "House",
            now: consumption.power_w.map(power),
            today: consumption.today_wh,
            yesterday: consumption.yesterday_wh,
            total: consumption.energy_wh,
            measured_at: consumption.measured_at,
            ..Row::default()
        });
    }
    rows.extend(grid_rows(reading));
    rows.extend(battery_rows(reading));
    rows
}

fn grid_rows(reading: &Reading) -> Vec<Row> {
    let Some(grid) = &reading.grid else { return Vec::new() };
    let is_importing = grid.power_w.is_some_and(|watts| watts > Watts::ZERO);
    let first = Row {
        name: "Grid",
        now: grid.power_w.map(size),
        word: grid.power_w.map(grid_word).unwrap_or_default().to_owned(),
        paint: Some(if is_importing { Paint::Red } else { Paint::Green }),
        measured_at: grid.measured_at,
        ..Row::default()
    };
    let both = [
        ("imported", grid.import_today_wh, grid.import_wh),
        ("exported", grid.export_today_wh, grid.export_wh),
    ];
    counters(first, both)
}

fn battery_rows(reading: &Reading) -> Vec<Row> {
    let Some(storage) = &reading.storage else { return Vec::new() };
    let first = Row {
        name: "Battery",
        now: storage.power_w.map(size),
        word: storage.power_w.map(battery_word).unwrap_or_default().to_owned(),
        paint: Some(Paint::Green),
        measured_at: storage.measured_at,
        ..Row::default()
    };
    let both = [
        ("charged", storage.charged_today_wh, storage.charged_wh),
        ("discharged", storage.discharged_today_wh, storage.discharged_wh),
    ];
    let mut rows = counters(first, both);
    if let Some(percent) = storage.soc_percent {
        let of = |(available, capacity)| format!("{} of {}", energy(available), energy(capacity));
        let charge = storage.available_wh.zip(storage.capacity_wh).map(of);
        let row = Row {
            now: Some(format!("{:.0} %", percent.value())),
            word: charge.unwrap_or_default(),
            ..Row::default()
        };
        rows.insert(1, row);
    }
    rows
}

/// Returns the row of a group and one for each of its known counters.
fn counters(first: Row, both: [(&'static str, Option<WattHours>, Option<WattHours>); 2]) -> Vec<Row> {
    let row = |(word, today, total): (&str, _, Option<WattHours>)| {
        total.map(|_| Row { word: word.to_owned(), today, total, ..Row::default() })
    };
    std::iter::once(first).chain(both.into_iter().filter_map(row)).collect()
}
