//! Formats the history: CSV with a header, JSON, and a table for people. Rows are formatted one by one, because ten years
//! of them would not fit into the memory.

mod columns;
mod heading;
mod table;

use jiff::tz::TimeZone;

use crate::io::history::rows::Sample;
use crate::rules::history::periods::Period;
use columns::{Cell, of_period, of_sample};
use heading::plural;
pub use heading::{Heading, Step};

/// The formats of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Table,
    Csv,
    Json,
}

/// Formats the rows of one list.
#[derive(Clone, Debug)]
pub struct Rows {
    format: Format,
    heading: Heading,
    zone: TimeZone,
    is_first: bool,
}

impl Rows {
    /// Creates the formatter of a list. Times are shown in `zone`.
    pub const fn new(format: Format, heading: Heading, zone: TimeZone) -> Self {
        Self { format, heading, zone, is_first: true }
    }

    /// Appends what is before the rows.
    pub fn begin(&self, out: &mut String) {
        let Heading { gateway, step, of, from, to } = &self.heading;
        match self.format {
            Format::Csv => {
                out.push_str(&columns::names(*step, *of).join(","));
                out.push('\n');
            }
            Format::Json => {
                let (step, of) = (step.name(), plural(*of));
                let head = format!(
                    "{{\"gateway\":\"{gateway}\",\"step\":\"{step}\",\"of\":\"{of}\",\"from\":\"{from}\",\"to\":\"{to}\",\"values\":["
                );
                out.push_str(&head);
            }
            Format::Table => table::begin(&self.heading, out),
        }
    }

    /// Appends a sample.
    pub fn sample(&mut self, sample: &Sample, out: &mut String) {
        match self.format {
            Format::Table => table::sample(sample, &self.zone, out),
            _ => self.cells(&of_sample(sample, &self.zone), out),
        }
    }

    /// Appends a day, a month or a year.
    pub fn period(&mut self, period: &Period, out: &mut String) {
        let Step::Periods(length) = self.heading.step else { return };
        match self.format {
            Format::Table => table::period(period, length, self.heading.of, out),
            _ => self.cells(&of_period(period, length, self.heading.of, &self.zone), out),
        }
    }

    fn cells(&mut self, cells: &[Cell], out: &mut String) {
        if self.format == Format::Csv {
            for (n, cell) in cells.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                cell.push_plain(out);
            }
            return out.push('\n');
        }
        out.push_str(if self.is_first { "\n{" } else { ",\n{" });
        self.is_first = false;
        let names = columns::names(self.heading.step, self.heading.of);
        let present = names.into_iter().zip(cells).filter(|(_, cell)| !cell.is_absent());
        for (n, (name, cell)) in present.enumerate() {
            out.push_str(if n == 0 { "\"" } else { ",\"" });
            out.push_str(name);
            out.push_str("\":");
            cell.push_json(out);
        }
        out.push('}');
    }

    /// Appends what is after the rows.
    pub fn end(&self, out: &mut String) {
        if self.format == Format::Json {
            out.push_str("\n]}\n");
        }
    }
}

#[cfg(test)]
mod tests;
