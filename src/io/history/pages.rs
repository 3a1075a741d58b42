//! Reads the history page by page. Each page opens the file for reading and closes it again, so that a slow consumer holds
//! no lock, and a file that was replaced is found.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Error;
use super::file::HistoryFile;
use super::rows::{CountedOn, Day, Kind, Recorded, Sample};
use super::stored;
use crate::base::reading::Serial;

/// The rows of a page: about 100 kB.
const ROWS: u32 = 1000;

/// Returns the gateways that have a history, in the order in which they were first seen.
pub fn gateways(file: &HistoryFile) -> Result<Vec<Serial>, Error> {
    stored::gateways(&file.open_for_reading()?)
}

/// Returns the first date of all gateways.
pub fn first_date(file: &HistoryFile) -> Result<Option<Date>, Error> {
    stored::first_date(&file.open_for_reading()?)
}

/// Returns the counters of all sites, and what was counted before `date` in `zone`.
pub fn recorded_before(file: &HistoryFile, date: Date, zone: &TimeZone) -> Result<Vec<Recorded>, Error> {
    stored::recorded_before(&file.open_for_reading()?, date, zone)
}

/// Returns the counters of `kind` of `gateway`, each with its energy on `date`.
pub fn counted_on(
    file: &HistoryFile,
    gateway: &Serial,
    kind: Kind,
    date: Date,
) -> Result<Vec<CountedOn>, Error> {
    stored::counted_on(&file.open_for_reading()?, gateway, kind, date)
}

/// The samples of a gateway in a range of time.
#[derive(Debug)]
pub struct Samples {
    file: HistoryFile,
    gateway: Serial,
    /// `None` after the last page.
    next: Option<i64>,
    to: i64,
}

impl Samples {
    /// Selects the samples that begin at `from` or later, and before `to`.
    pub fn new(file: HistoryFile, gateway: Serial, from: Timestamp, to: Timestamp) -> Self {
        Self { file, gateway, next: Some(from.as_second()), to: to.as_second() }
    }

    /// Reads the next page; an empty one is the end.
    pub fn page(&mut self) -> Result<Vec<Sample>, Error> {
        let Some(from) = self.next else { return Ok(Vec::new()) };
        let connection = self.file.open_for_reading()?;
        let page = stored::samples(&connection, &self.gateway, from, self.to, ROWS)?;
        let is_full = u32::try_from(page.len()).is_ok_and(|length| length == ROWS);
        self.next = match page.last() {
            Some(last) if is_full => Some(last.start.as_second() + 1),
            _ => None,
        };
        Ok(page)
    }
}

/// The days of a gateway in a range of dates.
#[derive(Debug)]
pub struct Days {
    file: HistoryFile,
    gateway: Serial,
    kind: Kind,
    /// The date and the number of the series of the last row; `None` after the last page.
    after: Option<(String, i64)>,
    to: Date,
}

impl Days {
    /// Selects the days of the counters of `kind` from `from` to `to`, both included.
    pub fn new(file: HistoryFile, gateway: Serial, kind: Kind, from: Date, to: Date) -> Self {
        Self { file, gateway, kind, after: Some((from.to_string(), i64::MIN)), to }
    }

    /// Reads the next page. Returns `None` after the last one.
    pub fn page(&mut self) -> Result<Option<Vec<Day>>, Error> {
        let Some((date, series)) = self.after.take() else { return Ok(None) };
        let connection = self.file.open_for_reading()?;
        let position = (self.kind, (date.as_str(), series), self.to);
        let (page, last) = stored::days(&connection, &self.gateway, position, ROWS)?;
        self.after = last;
        Ok(Some(page))
    }
}

/// The days of the sites of all gateways in a range of dates, in the order of the dates.
#[derive(Debug)]
pub struct DaysOfAll {
    file: HistoryFile,
    after: Option<(String, i64)>,
    to: Date,
}

impl DaysOfAll {
    /// Selects the days from `from` to `to`, both included.
    pub fn new(file: HistoryFile, from: Date, to: Date) -> Self {
        Self { file, after: Some((from.to_string(), i64::MIN)), to }
    }

    /// Reads the next page. Returns `None` after the last one.
    pub fn page(&mut self) -> Result<Option<Vec<(Serial, Day)>>, Error> {
        let Some((date, series)) = self.after.take() else { return Ok(None) };
        let connection = self.file.open_for_reading()?;
        let position = (Kind::Site, (date.as_str(), series), self.to);
        let (page, last) = stored::days_of_all(&connection, position, ROWS)?;
        self.after = last;
        Ok(Some(page))
    }
}
