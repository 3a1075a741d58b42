//! The columns of CSV and the fields of JSON, which have the same names. A name ends with the unit.

use jiff::tz::TimeZone;

use super::heading::{Step, label, local};
use crate::base::units::{Percent, WattHours, Watts};
use crate::io::history::rows::{Kind, Sample};
use crate::rules::history::periods::{Length, Period};

const SAMPLE: [&str; 14] = [
    "time",
    "seconds",
    "production_w",
    "consumption_w",
    "grid_w",
    "storage_w",
    "production_wh",
    "consumption_wh",
    "import_wh",
    "export_wh",
    "charged_wh",
    "discharged_wh",
    "soc_percent",
    "estimated",
];
const SITE: [&str; 11] = [
    "date",
    "days",
    "since",
    "until",
    "production_wh",
    "consumption_wh",
    "import_wh",
    "export_wh",
    "charged_wh",
    "discharged_wh",
    "estimated",
];
const PHASE: [&str; 12] = [
    "date",
    "phase",
    "days",
    "since",
    "until",
    "production_wh",
    "consumption_wh",
    "import_wh",
    "export_wh",
    "charged_wh",
    "discharged_wh",
    "estimated",
];
const INVERTER: [&str; 7] = ["date", "inverter", "days", "since", "until", "production_wh", "estimated"];

/// Returns the names of the columns.
pub(super) fn names(step: Step, of: Kind) -> Vec<&'static str> {
    match (step, of) {
        (Step::FiveMinutes, _) => SAMPLE.to_vec(),
        (_, Kind::Site) => SITE.to_vec(),
        (_, Kind::Phase) => PHASE.to_vec(),
        (_, Kind::Inverter) => INVERTER.to_vec(),
    }
}

/// A value in a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Number(i64),
    Fraction(f64),
    Flag(bool),
    Absent,
}

impl Cell {
    pub(super) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    /// Appends the value as in CSV: texts have no quotes, because they are dates, times and serial numbers.
    pub(super) fn push_plain(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Fraction(number) => out.push_str(&number.to_string()),
            Self::Flag(flag) => out.push(if *flag { '1' } else { '0' }),
            Self::Absent => {}
        }
    }

    /// Appends the value as in JSON.
    pub(super) fn push_json(&self, out: &mut String) {
        match self {
            Self::Text(text) => {
                out.push('"');
                // Only another program could have written a device with other characters.
                out.extend(text.chars().filter(|c| c.is_ascii_graphic() && !"\"\\".contains(*c)));
                out.push('"');
            }
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            _ => self.push_plain(out),
        }
    }
}

fn power(power: Option<Watts>) -> Cell {
    power.map_or(Cell::Absent, |power| Cell::Number(power.whole()))
}

fn energy(energy: Option<WattHours>) -> Cell {
    energy.map_or(Cell::Absent, |energy| Cell::Number(energy.whole()))
}

/// Returns the values of a sample.
pub(super) fn of_sample(sample: &Sample, zone: &TimeZone) -> Vec<Cell> {
    let mut cells = vec![Cell::Text(local(sample.start, zone)), Cell::Number(i64::from(sample.seconds))];
    cells.extend(sample.power.map(power));
    cells.extend(sample.energy.map(energy));
    cells.push(sample.soc.map(Percent::published).map_or(Cell::Absent, Cell::Fraction));
    cells.push(Cell::Flag(sample.estimated));
    cells
}

/// Returns the values of a period.
pub(super) fn of_period(period: &Period, length: Length, of: Kind, zone: &TimeZone) -> Vec<Cell> {
    let mut cells = vec![Cell::Text(label(period, length))];
    if of != Kind::Site {
        // In CSV a name may not have a comma.
        cells.push(Cell::Text(period.device.chars().filter(char::is_ascii_alphanumeric).collect()));
    }
    cells.extend([
        Cell::Number(period.days),
        Cell::Text(local(period.since, zone)),
        Cell::Text(local(period.until, zone)),
    ]);
    let columns = if of == Kind::Inverter { 1 } else { 6 };
    cells.extend(period.energy.iter().take(columns).map(|wh| energy(*wh)));
    cells.push(Cell::Flag(period.estimated));
    cells
}
