//! The table for people.

use jiff::tz::TimeZone;

use super::heading::{Heading, Step, label};
use crate::base::units::{WattHours, Watts};
use crate::io::history::rows::{Kind, Sample};
use crate::output::text::amounts;
use crate::rules::history::periods::{Length, Period};

/// Appends the heading.
pub(super) fn begin(heading: &Heading, out: &mut String) {
    let Heading { gateway, step, of, from, to } = heading;
    let line = match step {
        // All years.
        Step::Periods(Length::Year) => format!("Gateway {gateway}\n\n"),
        _ => format!("Gateway {gateway}  {from} to {to}\n\n"),
    };
    out.push_str(&line);
    match (step, of) {
        (Step::FiveMinutes, _) => {
            row(&["time", "production", "house", "grid", "battery", "charge"], out);
        }
        (_, Kind::Site) => {
            row(&["date", "production", "house", "import", "export", "charged", "discharged"], out);
        }
        (_, Kind::Phase) => {
            row(&["date", "phase", "production", "house", "import", "export", "charged", "discharged"], out);
        }
        (_, Kind::Inverter) => row(&["date", "inverter", "production"], out),
    }
}

/// Appends a sample.
pub(super) fn sample(sample: &Sample, zone: &TimeZone, out: &mut String) {
    let time = sample.start.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let [production, house, grid, storage] = sample.power.map(power);
    let charge = sample.soc.map(|soc| soc.to_string()).unwrap_or_default();
    row(&[&time, &production, &house, &grid, &storage, &charge], out);
}

/// Appends a day, a month or a year.
pub(super) fn period(period: &Period, length: Length, of: Kind, out: &mut String) {
    let mut cells = vec![label(period, length)];
    if of != Kind::Site {
        cells.push(period.device.chars().filter(char::is_ascii_alphanumeric).collect());
    }
    let columns = if of == Kind::Inverter { 1 } else { 6 };
    cells.extend(period.energy.iter().take(columns).map(|wh| energy(*wh)));
    let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
    row(&cells, out);
    let mut notes = Vec::new();
    if length == Length::Day && period.days > 1 {
        notes.push(format!("{} days", period.days));
    }
    if period.estimated {
        notes.push("estimated".to_owned());
    }
    if !notes.is_empty() {
        out.truncate(out.trim_end().len());
        out.push_str("  (");
        out.push_str(&notes.join(", "));
        out.push_str(")\n");
    }
}

fn power(power: Option<Watts>) -> String {
    power.map(amounts::power).unwrap_or_default()
}

fn energy(energy: Option<WattHours>) -> String {
    energy.map(amounts::energy).unwrap_or_default()
}

/// Appends a line. The first cell is as wide as a time, and the others are aligned to the right.
fn row(cells: &[&str], out: &mut String) {
    let mut line = String::new();
    for (n, cell) in cells.iter().enumerate() {
        let cell = if n == 0 { format!("{cell:16}") } else { format!(" {cell:>12}") };
        line.push_str(&cell);
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
